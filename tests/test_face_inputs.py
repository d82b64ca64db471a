"""What the face accepts, that it reads it in place, and that it never changes it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from adabet_fast import betti1, betti1_batch, h1, pairwise_distances
from adabet_fast.errors import InvalidInputError


@pytest.fixture(scope="module")
def cloud() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((40, 24)).astype(np.float32)


@pytest.fixture(scope="module")
def bars(cloud: np.ndarray) -> Any:
    barcode = h1(cloud)
    assert len(barcode) > 5
    return barcode


class OnlyArray:
    """As a pandas frame does: an array on request."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array if dtype is None else self.array.astype(dtype)


class OldExporter:
    """A DLPack producer from before version 1.0, with nothing but the protocol."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __dlpack__(self, stream: Any = None) -> Any:
        return self.tensor.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    @property
    def shape(self) -> torch.Size:
        return self.tensor.shape


AS_GIVEN = {
    "numpy": lambda x: x,
    "fortran": np.asfortranarray,
    "list": lambda x: x.tolist(),
    "tuple of arrays": tuple,
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "strided": lambda x: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    "big-endian": lambda x: x.astype(">f4"),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view("<f4").reshape(x.shape),
    "field of a structure": lambda x: _with_field(x)["value"],
    "masked array without a mask": np.ma.asarray,
    "matrix": lambda x: x.view(np.matrix),
    "__array__": OnlyArray,
    "torch": torch.from_numpy,
    "torch, transposed": lambda x: torch.from_numpy(np.ascontiguousarray(x.T)).T,
    "torch, requires_grad": lambda x: torch.from_numpy(x.copy()).requires_grad_(),
    "torch parameter": lambda x: torch.nn.Parameter(torch.from_numpy(x.copy())),
    "torch, with history": lambda x: torch.from_numpy(x.copy()).requires_grad_() * 1,
    "torch, inference mode": lambda x: _inference(x),
    "torch, negative bit": lambda x: torch.from_numpy(x * np.complex64(-1j)).conj().imag,
    "torch, offset": lambda x: torch.cat([torch.ones(1, x.shape[1]), torch.from_numpy(x)])[1:],
    "list of tensors": lambda x: list(torch.from_numpy(x)),
    "DLPack before 1.0": lambda x: OldExporter(torch.from_numpy(x)),
    "DLPack alone": lambda x: OnlyDlpack(torch.from_numpy(x)),
    "float64": lambda x: x.astype(np.float64),
    "three axes": lambda x: x.reshape(40, 4, 6),
    "torch, four axes": lambda x: torch.from_numpy(x).reshape(40, 2, 3, 4),
    "three axes, strided": lambda x: np.ascontiguousarray(x.reshape(40, 4, 6).transpose(0, 2, 1)).transpose(0, 2, 1),
    "torch, channels last": lambda x: (
        torch.from_numpy(x).reshape(40, 4, 3, 2).contiguous(memory_format=torch.channels_last)
    ),
}


class OnlyDlpack:
    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __dlpack__(self, **options: Any) -> Any:
        return self.tensor.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def _with_field(x: np.ndarray) -> np.ndarray:
    out = np.zeros(x.shape, dtype=[("tag", "u1"), ("value", "<f4")])
    out["value"] = x
    return out


def _inference(x: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return torch.from_numpy(x.copy()) + 0


@pytest.mark.parametrize("kind", AS_GIVEN)
def test_same_bars_from_every_kind_of_array(kind: str, cloud: np.ndarray, bars: Any) -> None:
    x = AS_GIVEN[kind](cloud)
    got = h1(x)
    # A list of Python floats and float64 arrays are computed in float64 throughout.
    tolerance = 1e-6 if kind in ("list", "float64") else 0
    np.testing.assert_allclose(got.intervals, bars.intervals, rtol=tolerance, atol=0)
    assert (got.n, got.d) == (40, 24)
    assert betti1(x) == len(got)
    assert betti1_batch([x, x]).tolist() == [len(got)] * 2


def test_a_matrix_with_a_negative_bit_is_read_as_it_reads() -> None:
    values = torch.cdist(*[torch.randn(30, 3, generator=torch.Generator().manual_seed(0))] * 2).fill_diagonal_(0)
    tensor = torch.complex(torch.zeros_like(values), -values).conj().imag
    assert tensor.is_neg()
    assert torch.equal(tensor, values)
    bars = h1(values, distance_matrix=True)
    assert len(bars) > 0
    assert h1(tensor, distance_matrix=True) == bars


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "float16", "float64"]
)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_scalar_types(dtype: str, library: str) -> None:
    values = np.random.default_rng(5).integers(0, 2 if dtype == "bool" else 100, (30, 12)).astype(dtype)
    x = torch.from_numpy(values) if library == "torch" else values
    assert h1(x) == h1(values.astype(np.float64))
    assert len(h1(x)) > 0


def test_bfloat16_is_read_exactly(cloud: np.ndarray) -> None:
    tensor = torch.from_numpy(cloud).bfloat16()
    assert h1(tensor) == h1(tensor.float())
    assert h1(tensor) != h1(cloud)


def test_a_stack_is_read_in_every_layout(cloud: np.ndarray) -> None:
    stack = np.random.default_rng(7).standard_normal((6, 20, 8)).astype(np.float32)
    expected = [betti1(x) for x in stack]
    assert sum(expected) > 6
    layouts = [
        stack,
        np.asfortranarray(stack),
        stack[::-1][::-1],
        stack.reshape(6, 20, 2, 4),
        torch.from_numpy(stack),
        torch.from_numpy(stack).requires_grad_(),
        torch.from_numpy(np.ascontiguousarray(stack.transpose(2, 0, 1))).permute(1, 2, 0),
        list(stack),
        iter(stack),
        [x.tolist() for x in stack],
        [torch.from_numpy(x) for x in stack],
        stack.astype(">f4"),
    ]
    for layout in layouts:
        got = betti1_batch(layout)
        assert got.dtype == np.int64
        assert got.tolist() == expected
    assert betti1_batch(stack[::-1]).tolist() == expected[::-1]


def test_batches_of_any_sizes(cloud: np.ndarray) -> None:
    clouds = [cloud, cloud[:3], cloud[:, :2], cloud[:0], cloud[:1], cloud.astype(np.float64)]
    assert betti1_batch(clouds).tolist() == [betti1(x) for x in clouds]
    assert betti1_batch([]).shape == (0,)
    assert betti1_batch(np.zeros((0, 5, 3))).shape == (0,)
    assert betti1_batch(np.zeros((4, 0, 3))).tolist() == [0] * 4
    assert betti1_batch(np.zeros((4, 5, 0))).tolist() == [0] * 4
    least = 0.2
    assert betti1_batch(clouds, min_persistence=least).tolist() == [h1(x).count(least) for x in clouds]
    assert betti1(cloud, min_persistence=least) == h1(cloud).count(least) < betti1(cloud)


def test_input_is_never_changed(cloud: np.ndarray) -> None:
    matrix = pairwise_distances(cloud).copy()
    matrix[np.diag_indices(40)] = -0.0
    for x, is_matrix in [(cloud.copy(), False), (cloud[::-1].copy(), False), (matrix, True)]:
        before = x.tobytes()
        h1(x, distance_matrix=is_matrix)
        betti1(x, distance_matrix=is_matrix)
        assert x.tobytes() == before


def test_tensors_are_let_go(cloud: np.ndarray) -> None:
    import gc
    import weakref

    tensor = torch.from_numpy(cloud.copy())
    gone = weakref.ref(tensor)
    h1(tensor), betti1(tensor), betti1_batch([tensor]), pairwise_distances(tensor)
    with pytest.raises(ValueError, match=r"nan|NaN"):
        h1(tensor * math.nan)
    del tensor
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("d", [0, 1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_few_points(n: int, d: int, dtype: str) -> None:
    x = np.random.default_rng(n).random((n, d))
    for points in (x, torch.from_numpy(x)):
        bars = h1(points, dtype=dtype)
        assert bars.intervals.shape == (0, 2)
        assert bars.intervals.dtype == dtype
        assert (bars.n, bars.d) == (n, d)
        assert betti1(points, dtype=dtype) == 0
        assert len(bars.h0) == (n if d else min(n, 1))
        assert np.isinf(bars.h0[:, 1]).sum() == min(n, 1)
    square = pairwise_distances(x, dtype=dtype)
    assert square.shape == (n, n)
    assert h1(square, distance_matrix=True, dtype=dtype) == h1(x, dtype=dtype)


def test_no_coordinates_means_one_place() -> None:
    bars = h1(np.empty((50, 0)))
    assert len(bars) == 0
    assert bars.h0.tolist() == [[0, math.inf]]


def test_four_points_make_a_loop() -> None:
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert h1(square, dtype="float64").intervals.tolist() == [[1, math.sqrt(2)]]
    assert betti1(square, threshold=1) == 1
    assert h1(square, threshold=1).intervals.tolist() == [[1, math.inf]]
    assert betti1(square, threshold=0) == 0
    assert betti1(square, threshold=0.999) == 0
    assert betti1(square, min_persistence=0.4) == 1
    assert betti1(square, min_persistence=0.42) == 0
    assert betti1(square, min_persistence=math.inf) == 0


MATRICES = {
    "square": lambda m: m,
    "float64": lambda m: m.astype(np.float64),
    "fortran": np.asfortranarray,
    "big-endian": lambda m: m.astype(">f4"),
    "inside a larger one": lambda m: np.pad(m, 3, constant_values=-1)[3:-3, 3:-3],
    "condensed": lambda m: m[np.triu_indices(len(m), 1)],
    "condensed, strided": lambda m: np.repeat(m[np.triu_indices(len(m), 1)], 2)[::2],
    "condensed list": lambda m: m[np.triu_indices(len(m), 1)].tolist(),
    "torch": torch.from_numpy,
    "torch condensed": lambda m: torch.from_numpy(m[np.triu_indices(len(m), 1)]),
    "list": lambda m: m.tolist(),
    "one ulp off": lambda m: np.tril(np.nextafter(m, 100)) + np.triu(m, 1) - np.diag(np.diag(np.nextafter(m, 100))),
    "coo": scipy.sparse.coo_array,
    "csr": scipy.sparse.csr_array,
    "csc matrix": scipy.sparse.csc_matrix,
    "upper csr": lambda m: scipy.sparse.csr_array(np.triu(m)),
    "lower coo": lambda m: scipy.sparse.coo_matrix(np.tril(m)),
    "lil": scipy.sparse.lil_array,
    "dok": scipy.sparse.dok_array,
}


@pytest.mark.parametrize("kind", MATRICES)
def test_same_bars_from_every_kind_of_matrix(kind: str, cloud: np.ndarray, bars: Any) -> None:
    matrix = MATRICES[kind](pairwise_distances(cloud))
    got = h1(matrix, distance_matrix=True)
    assert got == bars
    assert (got.n, got.d) == (40, None)
    assert betti1(matrix, distance_matrix=True) == len(bars)
    assert betti1_batch([matrix, matrix], distance_matrix=True).tolist() == [len(bars)] * 2


def test_stacks_of_matrices(cloud: np.ndarray) -> None:
    matrices = np.stack([pairwise_distances(cloud[k : k + 20]) for k in range(5)])
    expected = [betti1(cloud[k : k + 20]) for k in range(5)]
    condensed = np.stack([m[np.triu_indices(20, 1)] for m in matrices])
    for stack in (matrices, torch.from_numpy(matrices), list(matrices), condensed, list(condensed), condensed[:, ::1]):
        assert betti1_batch(stack, distance_matrix=True).tolist() == expected


def test_a_memory_map_is_read_in_place(cloud: np.ndarray, tmp_path: Any) -> None:
    matrix = pairwise_distances(cloud)
    np.save(tmp_path / "matrix.npy", matrix)
    mapped = np.load(tmp_path / "matrix.npy", mmap_mode="r")
    got = h1(mapped, distance_matrix=True)
    assert got == h1(cloud)
    copied = h1(np.asfortranarray(matrix.astype(np.float64)), distance_matrix=True)
    assert copied.stats["peak_bytes"] - got.stats["peak_bytes"] == matrix.nbytes
    np.save(tmp_path / "points.npy", cloud)
    assert h1(np.load(tmp_path / "points.npy", mmap_mode="r")) == got


def test_infinity_in_a_matrix_is_no_edge(cloud: np.ndarray) -> None:
    matrix = pairwise_distances(cloud)
    apart = np.full((80, 80), np.inf, dtype=np.float32)
    apart[:40, :40] = apart[40:, 40:] = matrix
    bars = h1(apart, distance_matrix=True)
    both = np.repeat(h1(cloud).intervals, 2, axis=0)
    np.testing.assert_array_equal(bars.intervals, both)
    assert np.isinf(bars.h0[:, 1]).sum() == 2
    assert bars.enclosing_radius == math.inf
    ring = np.full((4, 4), np.inf)
    for i in range(4):
        ring[i, i] = 0
        ring[i, (i + 1) % 4] = ring[(i + 1) % 4, i] = 1 + i
    assert h1(ring, distance_matrix=True).intervals.tolist() == [[4, math.inf]]
    graph = scipy.sparse.csr_array(np.triu(np.where(np.isinf(ring), 0, ring)))
    assert h1(graph, distance_matrix=True).intervals.tolist() == [[4, math.inf]]


def test_explicit_zeros_of_a_graph_are_edges_of_length_zero() -> None:
    graph = scipy.sparse.coo_array(([0.0, 1.0, 1.0, 1.0], ([0, 1, 2, 0], [1, 2, 3, 3])), shape=(4, 4))
    assert h1(graph, distance_matrix=True).intervals.tolist() == [[1, math.inf]]
    assert h1(graph, distance_matrix=True).h0.tolist() == [[0, 1], [0, 1], [0, math.inf]]


def test_scikit_learns_matrices_are_accepted(cloud: np.ndarray) -> None:
    from sklearn.metrics import pairwise_distances as sklearn_distances

    for shift, dtype in itertools.product((0, 1000), ("float32", "float64")):
        matrix = sklearn_distances(cloud.astype(np.float64) + shift)
        got = h1(matrix, distance_matrix=True, dtype=dtype)
        upper = np.triu(matrix, 1)
        assert got == h1(upper + upper.T, distance_matrix=True, dtype=dtype)


def test_the_answer_depends_on_neither_threads_nor_order(cloud: np.ndarray, bars: Any) -> None:
    rng = np.random.default_rng(0)
    for n_threads in (1, 2, 5, 5000):
        assert h1(cloud, n_threads=n_threads) == bars
        assert h1(cloud[rng.permutation(40)], n_threads=n_threads) == bars
        assert betti1(cloud, n_threads=n_threads) == len(bars)


def test_the_global_lock_is_released() -> None:
    """While one thread computes, another runs Python code."""
    import threading
    import time

    x = np.random.default_rng(0).standard_normal((2500, 64)).astype(np.float32)
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    for call in (
        lambda: h1(x, n_threads=1),
        lambda: betti1(x, n_threads=1),
        lambda: betti1_batch([x], n_threads=1),
        lambda: pairwise_distances(np.repeat(x, 20, axis=1), n_threads=1),
    ):
        done.clear()
        ticks.clear()
        other = threading.Thread(target=tick)
        other.start()
        start = time.perf_counter()
        call()
        end = time.perf_counter()
        done.set()
        other.join()
        assert sum(start < t < end for t in ticks) > 5


def test_a_forgotten_flag_warns() -> None:
    matrix = pairwise_distances(np.random.default_rng(0).random((30, 3)))
    for call in (h1, betti1):
        with pytest.warns(UserWarning, match="pass distance_matrix=True"):
            call(matrix)
        call(matrix, distance_matrix=True)
        call(matrix[:, :29])  # a cloud, and so are the next two
        call(matrix + np.eye(30, dtype=np.float32))
        call(np.zeros((30, 30)))


def test_matrices_of_a_batch_are_shared_out_among_threads() -> None:
    rng = np.random.default_rng(4)
    matrices = [pairwise_distances(rng.standard_normal((n, 4))) for n in rng.integers(2, 300, 40)]
    matrices[7][matrices[7] > np.median(matrices[7])] = np.inf
    expected = [betti1(matrix, distance_matrix=True) for matrix in matrices]
    for threads in (1, 2, 7):
        counts = betti1_batch(matrices, distance_matrix=True, n_threads=threads)
        assert counts.tolist() == expected
    tight = betti1_batch(matrices, distance_matrix=True, n_threads=2, max_memory="8MiB")  # one after another
    assert tight.tolist() == expected
    wrong = [*matrices, -matrices[0]]
    with pytest.raises(InvalidInputError, match="cloud 40"):
        betti1_batch(wrong, distance_matrix=True, n_threads=2)
