"""What must hold on a GPU: bytes equal to the CPU's, whatever the input, the stream or the failure. For bench.gpu."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import adabet_fast
from adabet_fast import _cuda, betti1, betti1_batch, h1, pairwise_distances, pairwise_distances_batch

METRICS = ("euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "correlation")
CUDA = torch.device("cuda", 0)


def same(x: torch.Tensor, **options: Any) -> None:
    """The distances of a GPU tensor are those of the CPU, byte by byte, and lie where the tensor does."""
    got = pairwise_distances(x, **options)
    assert got.device == x.device, got.device
    expected = pairwise_distances(x.cpu(), backend="cpu", **options)
    assert got.cpu().numpy().tobytes() == expected.numpy().tobytes(), f"{tuple(x.shape)} {x.dtype} {options}"


def gaussian(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype).to(CUDA)


def check_regimes() -> None:
    for n, d in ((40, 5000), (64, 9001), (64, 20000), (65, 300), (200, 9000), (512, 20000), (1500, 700), (3000, 65)):
        same(gaussian(n, d))
    for n, d in ((300, 1), (300, 3), (300, 64), (2000, 33)):
        same(gaussian(n, d))


def check_types() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        for n, d in ((30, 3000), (130, 200), (130, 20)):
            for metric in METRICS:
                for name in ("float32", "float64"):
                    same(gaussian(n, d, dtype=dtype), metric=metric, dtype=name)
    for dtype in (torch.int8, torch.int32, torch.int64, torch.uint8, torch.bool):
        same((gaussian(70, 90) * 3).to(dtype))


def check_scales() -> None:
    for scale in (1e-22, 1e-38, 1e-12, 1e17, 0.0):
        for n in (40, 150):
            x = gaussian(n, 200) * scale
            x[5:8] = x[1:4]
            same(x)
            same(x.double(), dtype="float64")
    same(gaussian(100, 500, dtype=torch.float64) * 1e-300, dtype="float64")
    same(gaussian(100, 500, dtype=torch.float64) * 1e160, dtype="float64")
    same(gaussian(100, 500) * 0.01 + 100)


def check_layouts() -> None:
    x = gaussian(90, 400)
    for view in (x[:, ::2], x[::2], x[3:, 5:], x.t(), x[:1], x[:2], x[:0], x[:, :0], x[:, 3:4], x[:30, 1:300]):
        same(view)
    same(x[:1].expand(50, 400))
    conv = gaussian(40, 16, 9, 9)
    assert torch.equal(pairwise_distances(conv), pairwise_distances(conv.reshape(40, -1)))
    same(x.clone().requires_grad_().detach())
    assert pairwise_distances(x.clone().requires_grad_()).shape == (90, 90)


def check_streams() -> None:
    """Work that another stream still has under way comes first; what is done to a tensor after the call comes after."""
    late = gaussian(64, 60000, seed=1)
    wide = gaussian(700, 300, seed=2)
    expected = [pairwise_distances(x.cpu(), backend="cpu") for x in (late, wide)]
    for values, distances in zip((late, wide), expected, strict=True):
        for stream in (torch.cuda.default_stream(), torch.cuda.Stream(), torch.cuda.Stream()):
            with torch.cuda.stream(stream):
                x = torch.zeros_like(values)
                torch.cuda._sleep(100_000_000)  # cycles: some 50 ms before the values are there
                x.copy_(values)
                got = pairwise_distances(x)
                x.fill_(9.0)
                del x
                torch.full_like(values, 9.0)
                assert torch.equal(got.cpu(), distances), "a stream's work was not waited for"
    y = gaussian(500, 3000)
    results = []
    for _ in range(10):
        results.append(pairwise_distances(y.clone()))  # the argument is gone when the call returns
        torch.randn(500, 3000, device=CUDA)
    assert all(torch.equal(result, pairwise_distances(y)) for result in results)


def check_second_device() -> None:
    if torch.cuda.device_count() < 2:
        return
    x = gaussian(100, 300).to("cuda:1")
    same(x)
    assert torch.cuda.current_device() == 0


def check_repeats() -> None:
    for x in (gaussian(40, 30000), gaussian(300, 3000), gaussian(900, 6)):
        first = pairwise_distances(x).cpu().numpy().tobytes()
        bars = h1(x)
        for _ in range(20):
            assert pairwise_distances(x).cpu().numpy().tobytes() == first
            assert h1(x) == bars


def check_barcodes() -> None:
    generator = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(30), np.arange(30)), -1).reshape(-1, 2)
    inputs = [
        generator.standard_normal((1200, 20)),
        generator.random((1500, 3)),
        grid,
        np.repeat(generator.standard_normal((100, 5)), 7, axis=0),
        generator.standard_normal((40, 3000)),
        *(generator.standard_normal((n, 3)) for n in range(5)),
    ]
    for array in inputs:
        x = torch.tensor(np.asarray(array, dtype=np.float32), device=CUDA)
        for options in ({}, {"dtype": "float64"}, {"threshold": 1.0}):
            ours, theirs = h1(x, **options), h1(x.cpu(), backend="cpu", **options)
            assert ours.backend == "cuda", ours.backend
            assert ours == theirs, f"{tuple(x.shape)} {options}"
            assert np.array_equal(ours.birth_edges, theirs.birth_edges)
            assert betti1(x, **options) == betti1(x.cpu(), backend="cpu", **options)
    layers = [torch.tensor(generator.standard_normal((40, 900)), device=CUDA) for _ in range(5)]
    assert betti1_batch(layers).tolist() == [betti1(x.cpu()) for x in layers]
    stack = torch.stack(layers)
    assert betti1_batch(stack).tolist() == betti1_batch(stack.cpu()).tolist()
    host = np.asarray(inputs[0], dtype=np.float32)
    assert h1(host, backend="cuda") == h1(host, backend="cpu")
    assert pairwise_distances(host, backend="cuda").tobytes() == pairwise_distances(host, backend="cpu").tobytes()


def check_batches() -> None:
    stack = gaussian(3, 70, 200)
    got = pairwise_distances_batch(stack)
    assert got.device == stack.device
    assert torch.equal(got.cpu(), pairwise_distances_batch(stack.cpu(), backend="cpu"))
    got = pairwise_distances_batch([stack[0], stack[1, :20]], metric="cosine", dtype="float64")
    assert torch.equal(got[1].cpu(), pairwise_distances(stack[1, :20].cpu(), metric="cosine", dtype="float64"))
    assert pairwise_distances_batch(stack[:0], dtype="float64").shape == (0, 70, 70)
    host = stack.cpu().numpy()
    assert pairwise_distances_batch(host, backend="cuda").tobytes() == pairwise_distances_batch(host).tobytes()
    several = [gaussian(n, 30) for n in (0, 1, 40, 513, 700, 12, 512)]
    assert betti1_batch(several).tolist() == [betti1(x.cpu(), backend="cpu") for x in several]
    several[2][3, 4] = float("inf")
    refused(lambda: betti1_batch(several), adabet_fast.InvalidInputError, "cloud 2: ")
    refused(lambda: pairwise_distances_batch(several), adabet_fast.InvalidInputError, "cloud 2: ")


def check_a_model() -> None:
    """The scores of a model on a GPU are the counts of what its layers gave, as the CPU counts them."""
    from adabet_fast.nn import score_layers

    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 8, 3), torch.nn.Tanh(), torch.nn.Conv2d(8, 8, 3), torch.nn.Flatten())
    model = torch.nn.Sequential(*layers, torch.nn.Linear(512, 10)).to(CUDA).eval()
    batch = gaussian(48, 3, 12, 12)
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str, output: torch.Tensor) -> None:
        outputs[name] = output.detach().clone()

    hooks = [
        layer.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
        for name, layer in model.named_children()
    ]
    scores = score_layers(model, [batch])
    for hook in hooks:
        hook.remove()
    assert {score.name: score.b1 for score in scores} == {
        score.name: betti1(outputs[score.name].cpu().flatten(1), backend="cpu") for score in scores
    }


def check_gradients() -> None:
    from adabet_fast import nn

    ours = gaussian(80, 3).requires_grad_()
    theirs = ours.detach().cpu().requires_grad_()
    for metric in ("euclidean", "cityblock"):
        bars, expected = nn.h1(ours, metric=metric), nn.h1(theirs, metric=metric)
        assert bars.device == ours.device
        assert torch.equal(bars.detach().cpu(), expected.detach())
        (got,), (gradient,) = torch.autograd.grad(bars.sum(), ours), torch.autograd.grad(expected.sum(), theirs)
        assert torch.allclose(got.cpu(), gradient, atol=1e-5)
    matrix = pairwise_distances(ours.detach())
    assert torch.equal(nn.h1(matrix, distance_matrix=True).cpu(), nn.h1(theirs.detach()))


def check_large_indices() -> None:
    """Rows where n² and n (n - 1) / 2 pass 31 and 32 bits: a pair has one distance, in a subset as in the whole."""
    for d in (3, 70):
        x = gaussian(70000, d)
        rows = torch.tensor([0, 1, 46339, 46340, 46341, 46342, 65535, 65536, 65537, 69998, 69999], device=CUDA)
        got = pairwise_distances(x)[rows][:, rows]
        assert torch.equal(got.cpu(), pairwise_distances(x[rows].cpu(), backend="cpu")), f"d = {d}"
        torch.cuda.empty_cache()


def refused(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    try:
        call()
    except kind as error:
        if text not in str(error):
            raise AssertionError(f"expected '{text}', got: {error}") from error
        return
    raise AssertionError(f"nothing was raised, expected {kind.__name__} saying '{text}'")


def check_errors() -> None:
    x = gaussian(50, 200)
    x[7, 5] = float("nan")
    refused(lambda: pairwise_distances(x), adabet_fast.InvalidInputError, "got nan at row 7, column 5")
    refused(lambda: h1(x), adabet_fast.InvalidInputError, "got nan at row 7, column 5")
    refused(lambda: betti1(x), adabet_fast.InvalidInputError, "got nan at row 7, column 5")
    y = gaussian(300, 200)
    refused(lambda: pairwise_distances(y, backend="cpu"), adabet_fast.BackendUnavailableError, ".cpu()")
    refused(lambda: h1(gaussian(3000, 20), max_memory="1MiB"), adabet_fast.MemoryBudgetError, "bytes")
    free, _ = torch.cuda.mem_get_info(CUDA)
    taken = torch.empty(int(free * 0.9) // 4, device=CUDA)
    n = int((free / 4) ** 0.5)
    refused(lambda: pairwise_distances(gaussian(n, 3)), adabet_fast.MemoryBudgetError, "free")
    del taken
    torch.cuda.empty_cache()
    same(gaussian(50, 200))
    freed = gaussian(50, 200)
    freed.untyped_storage().resize_(0)
    refused(lambda: pairwise_distances(freed), adabet_fast.InvalidInputError, "freed")
    refused(lambda: betti1_batch([y, freed]), adabet_fast.InvalidInputError, "freed")
    same(gaussian(50, 200))


def check_budget() -> None:
    """max_memory holds for the device's bytes: the same bars in less, or an error that says what is needed."""
    x = gaussian(700, 5000)
    expected = h1(x.cpu(), backend="cpu")
    done = 0
    for mebibytes in (2, 3, 4, 6, 8, 16, 64):
        try:
            bars = h1(x, max_memory=mebibytes * 2**20)
        except adabet_fast.MemoryBudgetError:
            continue
        done += 1
        assert bars == expected, f"{mebibytes} MiB"
        assert bars.stats["peak_device_bytes"] <= mebibytes * 2**20
    assert done >= 2


def check_tiles() -> None:
    """No room for the matrix on the GPU, or on the host either: the same bytes by panels, the same bars by strips."""
    x = gaussian(3001, 200)
    expected = pairwise_distances(x.cpu(), backend="cpu").numpy().tobytes()
    for mebibytes in (1, 4, 8, 30, 64):  # bands of points, strips of several heights; then the matrix, of 34 MiB, fits
        assert _cuda.square(x, 0, "euclidean", "float32", mebibytes * 2**20).tobytes() == expected, f"{mebibytes} MiB"
    for cloud in (gaussian(3001, 3), gaussian(2500, 66)):
        bars = h1(cloud.cpu(), backend="cpu")
        got = h1(cloud, max_memory="24MiB", n_threads=2)
        assert (got.plan, got == bars) == ("streamed", True), f"{tuple(cloud.shape)}: {got.plan}"
        assert got.stats["peak_device_bytes"] <= 24 * 2**20
        assert betti1(cloud, max_memory="24MiB", n_threads=2) == len(bars)


def check_memory() -> None:
    x = gaussian(700, 900)
    for _ in range(3):  # code is loaded at its first use
        pairwise_distances(x)
        betti1(x)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before, _ = torch.cuda.mem_get_info(CUDA)
    for _ in range(100):
        pairwise_distances(x)
        betti1(x)
    torch.cuda.empty_cache()
    after, _ = torch.cuda.mem_get_info(CUDA)
    assert abs(before - after) < 2**23, f"{before - after} bytes were not given back"


def refused_elsewhere(expected: str, **variables: str) -> None:
    """In a process of its own, without torch: backend="cuda" is refused with a reason, and the CPU works."""
    code = (
        "import numpy as np, adabet_fast as a\n"
        "x = np.random.default_rng(0).standard_normal((30, 80))\n"
        "try: a.pairwise_distances(x, backend='cuda'); print('it ran')\n"
        "except a.BackendUnavailableError as error: print(error)\n"
        "print('cpu:', a.betti1(x) >= 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, **variables}
    )
    assert expected in done.stdout, done.stdout + done.stderr
    assert "cpu: True" in done.stdout, done.stdout + done.stderr


def check_no_device() -> None:
    refused_elsewhere("no GPU", CUDA_VISIBLE_DEVICES="")


def check_no_code_for_the_device() -> None:
    """The driver leaves machine code out of account: to such a device this build brings nothing."""
    refused_elsewhere("compute capability", CUDA_FORCE_PTX_JIT="1", CUDA_DISABLE_PTX_JIT="1")


def check_launch_failure() -> None:
    """A broken context: an exception with the reason, and the CPU works on. Last, since the context stays broken."""
    x = gaussian(50, 200)
    with contextlib.suppress(RuntimeError, IndexError):
        torch.empty(4, device=CUDA)[torch.tensor([10**9], device=CUDA)]
        torch.cuda.synchronize()
    calls: tuple[Callable[..., object], ...] = (pairwise_distances, h1, betti1)
    for call in calls:
        for points, options in ((np.ones((5, 5)), {"backend": "cuda"}), (x, {})):
            refused(functools.partial(call, points, **options), adabet_fast.BackendUnavailableError, "cuda")
    assert betti1(np.random.default_rng(0).standard_normal((60, 3)), backend="cpu") >= 0


def check_cupy() -> None:
    if importlib.util.find_spec("cupy") is None:
        return
    cupy: Any = importlib.import_module("cupy")

    x = np.random.default_rng(0).standard_normal((90, 500)).astype(np.float32)
    got = pairwise_distances(cupy.asarray(x))
    assert isinstance(got, cupy.ndarray), type(got)
    assert cupy.asnumpy(got).tobytes() == pairwise_distances(x).tobytes()
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        assert (
            cupy.asnumpy(pairwise_distances(cupy.asarray(x)[:, ::2])).tobytes()
            == pairwise_distances(x[:, ::2]).tobytes()
        )
    assert h1(cupy.asarray(x)) == h1(x)
    got = pairwise_distances_batch(cupy.asarray(x).reshape(3, 30, 500))
    assert cupy.asnumpy(got).tobytes() == pairwise_distances_batch(x.reshape(3, 30, 500)).tobytes()


def check_jax() -> None:
    if importlib.util.find_spec("jax") is None:
        return
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    jax: Any = importlib.import_module("jax")

    x = np.random.default_rng(0).standard_normal((90, 500)).astype(np.float32)
    ours = jax.numpy.asarray(x)
    assert ours.device.platform == "gpu", f"JAX computes on {ours.device}"
    got = pairwise_distances(ours)
    assert isinstance(got, jax.Array), type(got)
    assert np.asarray(got).tobytes() == pairwise_distances(x).tobytes()
    assert h1(ours * 2) == h1(x * 2)
    got = pairwise_distances_batch(ours.reshape(3, 30, 500))
    assert np.asarray(got).tobytes() == pairwise_distances_batch(x.reshape(3, 30, 500)).tobytes()


CHECKS: tuple[Callable[[], None], ...] = (
    check_regimes,
    check_types,
    check_scales,
    check_layouts,
    check_streams,
    check_second_device,
    check_repeats,
    check_barcodes,
    check_batches,
    check_a_model,
    check_gradients,
    check_large_indices,
    check_errors,
    check_budget,
    check_tiles,
    check_memory,
    check_no_device,
    check_no_code_for_the_device,
    check_launch_failure,
)
LIBRARIES: tuple[Callable[[], None], ...] = (check_cupy, check_jax)
