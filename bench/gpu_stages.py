"""The stages of bench.gpu, each in its own process: `python -m bench.gpu_stages checks|times|small [result.json]`."""

from __future__ import annotations

import contextlib
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import adabet_fast
from adabet_fast import _core, betti1, betti1_batch, h1, pairwise_distances
from bench import clouds

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
    """Work that another stream still has under way comes first; a tensor freed during the call keeps its values."""
    expected = pairwise_distances(torch.full((64, 60000), 3.0).cumsum(1), backend="cpu")
    for _ in range(5):
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            x = torch.zeros(64, 60000, device=CUDA)
            for _ in range(50):
                x.add_(0.06)
            x.fill_(3.0)
            got = pairwise_distances(x.cumsum(1).mul_(1.0))
            del x
            torch.full((64, 60000), 9.0, device=CUDA)
        assert torch.allclose(got.cpu(), expected, rtol=1e-3), "a side stream's work was not waited for"
    y = gaussian(500, 3000)
    kept = y.clone()
    results = []
    for _ in range(10):
        results.append(pairwise_distances(y.clone()))  # the argument is gone when the call returns
        torch.randn(500, 3000, device=CUDA)
    assert all(torch.equal(result, pairwise_distances(kept)) for result in results)


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


def check_memory() -> None:
    x = gaussian(700, 900)
    h1(x)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before, _ = torch.cuda.mem_get_info(CUDA)
    for _ in range(100):
        pairwise_distances(x)
        betti1(x)
    torch.cuda.empty_cache()
    after, _ = torch.cuda.mem_get_info(CUDA)
    assert abs(before - after) < 2**23, f"{before - after} bytes were not given back"


def check_launch_failure() -> None:
    """A broken context: an exception with the reason, and the CPU works on. Last, since the context stays broken."""
    with contextlib.suppress(RuntimeError, IndexError):
        torch.empty(4, device=CUDA)[torch.tensor([10**9], device=CUDA)]
        torch.cuda.synchronize()
    refused(lambda: pairwise_distances(np.ones((5, 5)), backend="cuda"), adabet_fast.BackendUnavailableError, "")
    assert betti1(np.random.default_rng(0).standard_normal((60, 3)), backend="cpu") >= 0


CHECKS: tuple[Callable[[], None], ...] = (
    check_regimes,
    check_types,
    check_scales,
    check_layouts,
    check_streams,
    check_second_device,
    check_repeats,
    check_barcodes,
    check_errors,
    check_memory,
    check_launch_failure,
)


def checks(keep: Callable[[dict[str, Any]], None]) -> None:
    found: dict[str, str] = {}
    for check in CHECKS:
        try:
            check()
            found[check.__name__] = "ok"
        except Exception as error:
            found[check.__name__] = f"{type(error).__name__}: {error}"[:500]
        keep({"checks": found})


def median_ms(call: Callable[[], object], repeats: int) -> float:
    call()
    seconds = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        started = time.perf_counter()
        call()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def times(keep: Callable[[dict[str, Any]], None]) -> None:
    """Each answer is compared with the CPU's, where that is not too slow, before it is timed."""
    rows: list[dict[str, Any]] = []

    def row(what: str, call: Callable[[], object], aim_ms: float | None, repeats: int = 20) -> None:
        try:
            rows.append({"what": what, "ms": median_ms(call, repeats), "aim_ms": aim_ms})
        except Exception as error:
            rows.append({"what": f"{what}: {error}"[:200], "ms": float("nan"), "aim_ms": aim_ms})
        keep({"times": rows})

    for n, d, aim in ((40, 802816, 0.06), (512, 100352, 1.0), (4096, 4096, 2.6), (20000, 512, 7.8)):
        x = gaussian(n, d) if n * d < 10**8 else torch.randn(n, d, device=CUDA)
        if n <= 512:
            same(x)
        for kind in (torch.float32, torch.bfloat16):
            y = x.to(kind)
            what = f"distances ({n}, {d}) {str(kind).removeprefix('torch.')}"
            seconds = _core.device_seconds(y, device=0, metric="euclidean", dtype="float32", repeats=20)
            rows.append({"what": what, "ms": 1000 * seconds, "aim_ms": aim if kind == torch.float32 else None})
            row(f"{what}, a call", functools.partial(pairwise_distances, y), None)
    layers = [torch.randn(40, 100000, device=CUDA) for _ in range(100)]
    assert betti1_batch(layers[:3]).tolist() == [betti1(x.cpu(), backend="cpu") for x in layers[:3]]
    row("betti1 of 100 layers (40, 100000)", lambda: betti1_batch(layers), 15.0)
    x = torch.tensor(clouds.gauss(512, 1000), device=CUDA)
    assert h1(x) == h1(x.cpu(), backend="cpu")
    x = torch.tensor(clouds.gauss(512, 4096), device=CUDA)
    row("h1 gaussian (4096, 512)", lambda: h1(x), 150.0, 5)
    row("betti1 gaussian (4096, 512)", lambda: betti1(x), None, 5)
    y = torch.tensor(clouds.torus(16384), device=CUDA)
    row("h1 torus (16384, 3)", lambda: h1(y), 1500.0, 3)
    row("betti1 torus (16384, 3)", lambda: betti1(y), None, 3)
    for cloud in (x, y):
        stats = h1(cloud).stats
        keep({"times": rows, f"stats of n={len(cloud)}": {name: float(value) for name, value in stats.items()}})
    z = torch.rand(65536, 3, device=CUDA)
    row("distances (65536, 3)", lambda: pairwise_distances(z), None, 3)
    row("betti1 uniform cube (65536, 3)", lambda: betti1(z), None, 1)


def small(keep: Callable[[dict[str, Any]], None]) -> None:
    """Every kernel once, on sizes that a sanitizer gets through."""
    for n, d in ((40, 1500), (70, 90), (70, 1100), (90, 3)):
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            pairwise_distances(gaussian(n, d, dtype=dtype))
    for metric in METRICS:
        pairwise_distances(gaussian(70, 90), metric=metric)
        pairwise_distances(gaussian(70, 9), metric=metric, dtype="float64")
    pairwise_distances(gaussian(70, 90) * 1e-22)
    pairwise_distances(gaussian(70, 9, dtype=torch.float64) * 1e-300, dtype="float64")
    h1(gaussian(600, 3))
    betti1(gaussian(600, 3), dtype="float64")
    betti1_batch([gaussian(40, 200), gaussian(30, 100)])
    keep({"small": "done"})


def main() -> int:
    stage, *rest = sys.argv[1:]
    found: dict[str, Any] = {}

    def keep(more: dict[str, Any]) -> None:
        found.update(more)
        if rest:
            Path(rest[0]).write_text(json.dumps(found), encoding="utf-8")

    {"checks": checks, "times": times, "small": small}[stage](keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
