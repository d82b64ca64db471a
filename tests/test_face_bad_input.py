"""Bad input of every kind: the right error, naming the argument, what was got, and what was expected."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import adabet_fast
from adabet_fast import (
    BackendUnavailableError,
    InvalidInputError,
    MemoryBudgetError,
    betti1,
    betti1_batch,
    estimate_memory,
    h1,
    pairwise_distances,
)


def nested_tensor() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a prototype, says torch
        return torch.nested.nested_tensor([torch.zeros(3, 2), torch.zeros(4, 2)])


GOOD = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
SQUARE = pairwise_distances(GOOD)


def changed(array: np.ndarray, index: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


class OnGpu:
    """What a CUDA tensor shows of itself."""

    shape = (10, 3)
    device = "cuda:0"

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **options: Any) -> Any:
        raise AssertionError("must not be asked")


class Refusing(OnGpu):
    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("cannot be exported today")


class Bare:
    """DLPack alone, in a type that NumPy does not have."""

    def __dlpack__(self, **options: Any) -> Any:
        return torch.from_numpy(GOOD).bfloat16().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class NoCapsule(Refusing):
    def __dlpack__(self, **options: Any) -> Any:
        return "capsule"


POINTS = {
    "a number": (3.0, r"shape \(\)"),
    "None": (None, "None"),
    "a string": ("cloud", "str"),
    "bytes": (b"cloud", "bytes"),
    "a dictionary": ({"x": 1}, "dict"),
    "an object": (object(), "dtype object"),
    "a module": (np, "dtype object"),
    "an iterator": (iter([[1.0, 2.0]]), "dtype object"),
    "0-d": (np.array(1.0), r"shape \(\)"),
    "1-D": (np.ones(5), r"x has shape \(5,\).*reshape"),
    "1-D tensor": (torch.ones(5), r"x has shape \(5,\)"),
    "0-d tensor": (torch.ones(()), r"shape \(\)"),
    "an empty list": ([], r"shape \(0,\)"),
    "a ragged list": ([[1.0, 2.0], [3.0]], "cannot be read as an array"),
    "a list of strings": ([["a", "b"]], "dtype <U1"),
    "a list with None": ([[1.0, None], [2.0, 3.0]], "dtype object"),
    "object": (GOOD.astype(object), "dtype object"),
    "complex": (GOOD.astype(complex), "dtype complex128"),
    "complex tensor": (torch.from_numpy(GOOD).to(torch.complex64), "scalar type"),
    "strings": (GOOD.astype(str), "dtype <U"),
    "dates": (GOOD.astype("datetime64[s]"), "dtype datetime64"),
    "longdouble": (GOOD.astype(np.longdouble), "dtype (float128|longdouble)"),
    "a structure": (np.zeros((4, 2), dtype=[("a", "f4")]), "dtype"),
    "float8 tensor": (torch.from_numpy(GOOD).to(torch.float8_e5m2), "scalar type|DLPack"),
    "sparse tensor": (torch.from_numpy(GOOD).to_sparse(), "DLPack"),
    "meta tensor": (torch.ones(3, 3, device="meta"), "DLPack"),
    "nested tensor": (nested_tensor(), "no one shape"),
    "masked": (np.ma.masked_greater(GOOD, 0), "masked"),
    "scipy sparse": (scipy.sparse.csr_array(GOOD), "distance_matrix=True"),
    "NaN": (changed(GOOD, (4, 2), math.nan), "4.*2"),
    "NaN tensor": (torch.from_numpy(changed(GOOD, (4, 2), math.nan)), "4.*2"),
    "NaN in bfloat16": (torch.from_numpy(changed(GOOD, (4, 2), math.nan)).bfloat16(), "4.*2"),
    "inf": (changed(GOOD, (0, 1), math.inf), "0.*1"),
    "-inf": (changed(GOOD, (9, 0), -math.inf), "9.*0"),
    "NaN in one point": ([[math.nan]], "0.*0"),
    "inf in two points": ([[1.0], [math.inf]], "1.*0"),
    "overflow": (changed(GOOD, (3, 1), 3e38) * np.float32([[1, -1, 1]]), "float32|overflow|beyond|large"),
    "bfloat16 of unknown shape": (Bare(), "DLPack"),
    "refused": (Refusing(), "cannot be exported today"),
    "no capsule": (NoCapsule(), "capsule"),
}
POINTS["overflow"] = (np.array([[3e38, 0], [-3e38, 0], [0, 1]], np.float32), "float32|overflow|beyond|large")


@pytest.mark.parametrize("kind", POINTS)
@pytest.mark.parametrize("function", [betti1, h1, pairwise_distances], ids=lambda f: f.__name__)
def test_points(kind: str, function: Any) -> None:
    x, message = POINTS[kind]
    with pytest.raises(InvalidInputError, match=message):
        function(x() if isinstance(x, type) else x)


@pytest.mark.parametrize("kind", [kind for kind in POINTS if kind != "an iterator"])
def test_points_in_a_batch(kind: str) -> None:
    x, message = POINTS[kind]
    with pytest.raises(InvalidInputError, match=rf"(?s)cloud 1: .*({message})"):
        betti1_batch([GOOD, x, GOOD])


STACKS = {
    "one cloud": (GOOD, r"shape \(10, 3\).*betti1"),
    "1-D": (np.ones(5), r"shape \(5,\)"),
    "a tensor of one cloud": (torch.from_numpy(GOOD), r"shape \(10, 3\)"),
    "a number": (3, "int"),
    "None": (None, "None"),
    "a string": ("clouds", "str"),
    "a dictionary": ({"a": GOOD}, "dict"),
    "a sparse matrix": (scipy.sparse.csr_array(SQUARE), "csr_array"),
    "objects": (np.array([GOOD, GOOD[:3]], dtype=object), "dtype object"),
    "a list of numbers": ([1.0, 2.0], r"cloud 0: x has shape \(\)"),
    "a list of 1-D": ([GOOD[0]], r"cloud 0: x has shape \(3,\)"),
    "NaN": (np.stack([GOOD, changed(GOOD, (4, 2), math.nan)]), r"cloud 1: .*4.*2"),
}


@pytest.mark.parametrize("kind", STACKS)
def test_stacks(kind: str) -> None:
    xs, message = STACKS[kind]
    with pytest.raises(InvalidInputError, match=message):
        betti1_batch(xs)


def symmetric(index: tuple[int, int], value: float) -> np.ndarray:
    return changed(changed(SQUARE, index, value), index[::-1], value)


GRAPH = scipy.sparse.coo_array(np.triu(SQUARE))

MATRICES = {
    "not square": (SQUARE[:, :9], r"shape \(10, 9\)"),
    "three axes": (SQUARE[None], r"shape \(1, 10, 10\)"),
    "0-d": (np.array(1.0), r"shape \(\)"),
    "impossible length": (np.ones(5), "got 5.*3 for n = 3, 6 for n = 4"),
    "a ragged list": ([[0, 1], [1]], "cannot be read"),
    "complex": (SQUARE.astype(complex), "dtype complex"),
    "NaN": (symmetric((2, 7), math.nan), r"\(2, 7\) is NaN"),
    "NaN in the lower triangle": (changed(SQUARE, (7, 2), math.nan), r"\(7, 2\) is NaN"),
    "NaN, condensed": (changed(SQUARE[np.triu_indices(10, 1)], 3, math.nan), r"entry 3, the pair \(0, 4\)"),
    "negative": (symmetric((2, 7), -1), r"\(2, 7\) is negative: got -1"),
    "negative, condensed": (changed(SQUARE[np.triu_indices(10, 1)], 3, -2), "negative: got -2"),
    "minus infinity": (symmetric((0, 1), -math.inf), "negative"),
    "asymmetric": (changed(SQUARE, (7, 2), 9), r"not symmetric: entry \(2, 7\) is .*\(7, 2\) is 9"),
    "asymmetric infinity": (changed(SQUARE, (7, 2), math.inf), "not symmetric"),
    "slightly asymmetric": (changed(SQUARE, (7, 2), SQUARE[2, 7] * np.float32(1.001)), "not symmetric"),
    "diagonal": (changed(SQUARE, (3, 3), 0.5), r"diagonal entry \(3, 3\) is 0.5"),
    "NaN on the diagonal": (changed(SQUARE, (3, 3), math.nan), r"\(3, 3\) is NaN"),
    "infinite diagonal": (changed(SQUARE, (3, 3), math.inf), r"diagonal entry \(3, 3\) is inf"),
    "too large for float32": (symmetric((2, 7), 1).astype(np.float64) * 1e39, "overflows float32"),
    "sparse, not square": (scipy.sparse.csr_array(SQUARE[:, :9]), r"shape \(10, 9\)"),
    "sparse, complex": (scipy.sparse.csr_array(SQUARE.astype(complex)), "dtype complex"),
    "sparse, directed": (scipy.sparse.coo_array(([1, 1], ([0, 2], [1, 1])), shape=(3, 3)), r"G.maximum\(G.T\)"),
    "sparse, triangles that differ": (scipy.sparse.coo_array(changed(SQUARE, (7, 2), 9)), r"\(7, 2\) is 9.*maximum"),
    "sparse, duplicates": (scipy.sparse.coo_array(([1, 1], ([0, 0], [1, 1])), shape=(3, 3)), "more than once"),
    "sparse, duplicates in csr": (
        scipy.sparse.csr_array(([1, 1], [1, 1], [0, 2, 2, 2]), shape=(3, 3)),
        "more than once",
    ),
    "sparse, negative": (-GRAPH, "negative"),
    "sparse, NaN": (GRAPH * np.float32(math.nan), "NaN"),
    "sparse, diagonal": (GRAPH + scipy.sparse.csr_array(np.eye(10, dtype=np.float32)), "diagonal entry"),
    "sparse tensor": (torch.from_numpy(SQUARE).to_sparse(), "DLPack"),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("kind", MATRICES)
def test_matrices(kind: str) -> None:
    x, message = MATRICES[kind]
    for function in (betti1, h1):
        with pytest.raises(InvalidInputError, match=rf"(?s){message}"):
            function(x, distance_matrix=True)
    with pytest.raises(InvalidInputError, match=rf"(?s)cloud 1: .*{message}"):
        betti1_batch([SQUARE, x], distance_matrix=True)


def test_stacks_of_matrices() -> None:
    for xs in (SQUARE[0], np.ones((1, 2, 3, 3)), 3.0):
        with pytest.raises(InvalidInputError, match="expected a stack"):
            betti1_batch(xs, distance_matrix=True)
    for xs in (np.ones((2, 3, 4)), np.ones((2, 5))):
        with pytest.raises(InvalidInputError, match=r"square|n \(n - 1\)"):
            betti1_batch(xs, distance_matrix=True)
    with pytest.raises(InvalidInputError, match=r"cloud 1: .*\(7, 2\) is 9"):
        betti1_batch(np.stack([SQUARE, changed(SQUARE, (7, 2), 9)]), distance_matrix=True)


OPTIONS: list[tuple[str, Any, str]] = [
    *(
        ("threshold", value, "threshold is")
        for value in (math.nan, -1, -math.inf, "1", None, True, [1], 1j, np.ones(3))
    ),
    *(("metric", value, "metric is.*'euclidean'") for value in ("manhattan", "", None, 3, len, ["euclidean"])),
    *(("dtype", value, "dtype is.*'float32'") for value in ("float16", "int32", "f", None, 3, int, np.ones(3), "")),
    *(("backend", value, "backend is.*'cpu'") for value in ("gpu", "", None, 1, np.ones(2), ["cpu"])),
    *(("n_threads", value, "n_threads is") for value in (0, -1, 1.5, "2", True, math.nan, [1])),
    *(
        ("max_memory", value, "max_memory is")
        for value in ("2 parsecs", "", "-1", "GiB", "1e3", 0, -5, 1.5, math.nan, True, [1])
    ),
    *(("max_memory", value, "max_memory is") for value in ("nan", "inf", "2gib", "0 B", "0x10", "１KB", b"1KB")),
    *(("distance_matrix", value, "distance_matrix is") for value in (None, 1, "yes", SQUARE)),
]


@pytest.mark.parametrize(("name", "value", "message"), OPTIONS)
def test_options(name: str, value: Any, message: str) -> None:
    for function, x in ((betti1, GOOD), (h1, GOOD), (betti1_batch, [GOOD])):
        with pytest.raises(InvalidInputError, match=message):
            function(x, **{name: value})
    if name in ("metric", "dtype", "backend", "n_threads"):
        with pytest.raises(InvalidInputError, match=message):
            pairwise_distances(GOOD, **{name: value})
    if name in ("dtype", "n_threads", "max_memory"):
        with pytest.raises(InvalidInputError, match=message):
            estimate_memory(10, **{name: value})


@pytest.mark.parametrize("value", [math.nan, -1, "1", None, True, 1j, [0]])
def test_min_persistence(value: Any) -> None:
    for call in (
        lambda: betti1(GOOD, min_persistence=value),
        lambda: betti1_batch([GOOD], min_persistence=value),
        lambda: h1(GOOD).count(value),
    ):
        with pytest.raises(InvalidInputError, match="min_persistence is"):
            call()


def test_other_arguments() -> None:
    for value in ("gudhi", True, 1):
        with pytest.raises(InvalidInputError, match="check is"):
            h1(GOOD, check=value)
    with pytest.raises(InvalidInputError, match="float32"):
        h1(GOOD, check="ripser", dtype="float64")
    with pytest.raises(InvalidInputError, match="condensed is"):
        pairwise_distances(GOOD, condensed=1)
    for value in (-1, 1.5, "3", None, True, 2**40):
        with pytest.raises(InvalidInputError, match="n is"):
            estimate_memory(value)
    for value in (-1, 1.5, "3", True):
        with pytest.raises(InvalidInputError, match="d is"):
            estimate_memory(3, value)
        with pytest.raises(InvalidInputError, match="n_edges is"):
            estimate_memory(3, n_edges=value)
    with pytest.raises(InvalidInputError, match="n_edges is"):
        estimate_memory(3, n_edges=10)
    with pytest.raises(InvalidInputError, match="without d"):
        estimate_memory(3, 2, n_edges=1)


def test_memory_on_a_gpu() -> None:
    for call in (
        lambda: betti1(OnGpu()),
        lambda: h1(OnGpu()),
        lambda: pairwise_distances(OnGpu()),
        lambda: betti1_batch([OnGpu()]),
    ):
        with pytest.raises(BackendUnavailableError, match=r"cuda:0.*x\.cpu\(\)"):
            call()
    with pytest.raises(BackendUnavailableError, match=r"cpu\(\)"):
        adabet_fast._core.betti1(
            LateGpu(),
            distance_matrix=False,
            metric="euclidean",
            threshold=1.0,
            min_persistence=0.0,
            dtype="float32",
            n_threads=1,
            max_memory=2**30,
        )


class LateGpu:
    """Says nothing beforehand; its capsule shows a CUDA device."""

    def __dlpack__(self, **options: Any) -> Any:
        import ctypes

        tensor = torch.ones(4, 2)
        capsule = tensor.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        address = pointer(capsule, b"dltensor")
        ctypes.c_int32.from_address(address + 8).value = 2  # DLTensor: data, then the device's type
        return capsule


def test_a_broken_producer_is_not_read_twice() -> None:
    class TypeErrorInside(Refusing):
        def __dlpack__(self, **options: Any) -> Any:
            raise TypeError("broken inside")

    with pytest.raises(InvalidInputError, match="broken inside"):
        h1(TypeErrorInside())

    class Interrupted(Refusing):
        def __dlpack__(self, **options: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        h1(Interrupted())


def test_a_tensor_whose_memory_was_freed() -> None:
    x = torch.randn(50, 20)
    x.untyped_storage().resize_(0)
    for call in (pairwise_distances, h1, betti1, lambda x: betti1_batch([torch.randn(9, 2), x])):
        with pytest.raises(InvalidInputError, match="has no memory: it was freed, or never there"):
            call(x)


def test_errors_are_pythons_own_too() -> None:
    assert issubclass(InvalidInputError, ValueError)
    assert issubclass(MemoryBudgetError, MemoryError)
    assert issubclass(BackendUnavailableError, RuntimeError)
    assert issubclass(adabet_fast.CrossCheckError, AssertionError)
    import pickle

    for error in (
        InvalidInputError("a"),
        MemoryBudgetError("b"),
        BackendUnavailableError("c"),
        adabet_fast.CrossCheckError("d"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert type(error).__module__ == "adabet_fast"
        assert type(error).__doc__
