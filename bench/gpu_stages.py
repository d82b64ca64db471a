"""The stages of bench.gpu, each in its own process: checks, libraries, times, small; then a file for what they find."""

from __future__ import annotations

import functools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adabet_fast import _core, _cuda, betti1, betti1_batch, h1, pairwise_distances
from bench import clouds
from bench.gpu_checks import CHECKS, CUDA, LIBRARIES, METRICS, same

Keep = Callable[[dict[str, Any]], None]


def checks(which: tuple[Callable[[], None], ...], keep: Keep) -> None:
    found: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for check in which:
        found[check.__name__] = "begun, not ended"
        keep({"checks": found, "check_seconds": seconds})
        started = time.monotonic()
        try:
            check()
            found[check.__name__] = "ok"
        except Exception as error:
            found[check.__name__] = f"{type(error).__name__}: {error}"[:500]
        seconds[check.__name__] = round(time.monotonic() - started, 2)
        keep({"checks": found, "check_seconds": seconds})


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


def equal(got: object, expected: object) -> None:
    assert got == expected, f"{got}, expected {expected}"


def times(keep: Keep) -> None:
    """Each answer is compared with the CPU's, where that is not too slow, before it is timed."""
    rows: list[dict[str, Any]] = []
    more: dict[str, Any] = {"times": rows}

    def row(what: str, aim_ms: float | None, measure: Callable[[], float]) -> None:
        """A row of the table; one that fails says why, and the others go on."""
        rows.append({"what": what, "ms": None, "aim_ms": aim_ms, "error": "begun, not ended"})
        keep(more)
        try:
            rows[-1] = {"what": what, "ms": measure(), "aim_ms": aim_ms}
        except Exception as error:
            rows[-1]["error"] = f"{type(error).__name__}: {error}"[:500]
        keep(more)

    def on_device(x: torch.Tensor, check: bool) -> float:
        if check:
            same(x)
        return 1000 * _core.device_seconds(x, device=0, metric="euclidean", dtype="float32", repeats=20)

    def call_of(function: Callable[[torch.Tensor], object], x: torch.Tensor, repeats: int) -> Callable[[], float]:
        return lambda: median_ms(lambda: function(x), repeats)

    for n, d, aim in ((40, 802816, 0.06), (512, 100352, 1.0), (4096, 4096, 2.6), (20000, 512, 7.8)):
        x = torch.randn(n, d, device=CUDA)
        for kind in (torch.float32, torch.bfloat16):
            y = x.to(kind)
            what = f"distances ({n}, {d}) {str(kind).removeprefix('torch.')}"
            row(what, aim if kind == torch.float32 else None, functools.partial(on_device, y, n <= 512))
            row(f"{what}, a call", None, call_of(pairwise_distances, y, 10))
    del x, y
    layers = [torch.randn(40, 100000, device=CUDA) for _ in range(100)]

    def all_layers() -> float:
        equal(betti1_batch(layers[:3]).tolist(), [betti1(x.cpu(), backend="cpu") for x in layers[:3]])
        return median_ms(lambda: betti1_batch(layers), 10)

    row("betti1 of 100 layers (40, 100000)", 15.0, all_layers)
    layers.clear()

    def checked_h1() -> float:
        small = torch.tensor(clouds.gauss(512, 1000), device=CUDA)
        equal(h1(small), h1(small.cpu(), backend="cpu"))
        return median_ms(lambda: h1(gauss), 5)

    gauss = torch.tensor(clouds.gauss(512, 4096), device=CUDA)
    torus = torch.tensor(clouds.torus(16384), device=CUDA)
    row("h1 gaussian (4096, 512)", 150.0, checked_h1)
    row("betti1 gaussian (4096, 512)", None, call_of(betti1, gauss, 5))
    row("h1 torus (16384, 3)", 1500.0, call_of(h1, torus, 3))
    row("betti1 torus (16384, 3)", None, call_of(betti1, torus, 3))

    def by_strips() -> float:
        tight = functools.partial(h1, torus, max_memory="512MiB")
        equal(tight().plan, "streamed")
        equal(tight(), h1(torus))
        return median_ms(tight, 1)

    row("h1 torus (16384, 3) in 512 MiB, by strips", None, by_strips)
    for cloud in (gauss, torus):
        try:
            more[f"stats of n={len(cloud)}"] = {name: float(value) for name, value in h1(cloud).stats.items()}
        except Exception as error:
            more[f"stats of n={len(cloud)}"] = str(error)[:500]
        keep(more)
    many = torch.randn(32768, 64, device=CUDA)  # 4 GiB of distances
    row(
        "distances (32768, 64) to the host in 256 MiB",
        None,
        call_of(lambda x: _cuda.square(x, 0, "euclidean", "float32", "256MiB"), many, 1),
    )
    del many
    cube = torch.rand(65536, 3, device=CUDA)
    row("distances (65536, 3)", None, call_of(pairwise_distances, cube, 3))
    row("betti1 uniform cube (65536, 3)", None, call_of(betti1, cube, 1))


def small(keep: Keep) -> None:
    """Every kernel once, on sizes that a sanitizer gets through, from the host's memory: no kernel but ours runs."""
    for n, d in ((40, 1500), (70, 90), (70, 1100), (90, 3)):
        for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
            pairwise_distances(torch.randn(n, d).to(dtype), backend="cuda")
    x = np.random.default_rng(0).standard_normal((70, 90)).astype(np.float32)
    for metric in METRICS:
        pairwise_distances(x, metric=metric, backend="cuda")
        pairwise_distances(x[:, :9], metric=metric, dtype="float64", backend="cuda")
    pairwise_distances(x * np.float32(1e-22), backend="cuda")
    pairwise_distances(x[:, :9] * 1e-300, dtype="float64", backend="cuda")
    cloud = np.random.default_rng(1).standard_normal((600, 3))
    h1(cloud, backend="cuda")
    betti1(cloud, dtype="float64", backend="cuda")
    equal(h1(cloud, backend="cuda", max_memory=2_200_000, n_threads=1).plan, "streamed")
    equal(h1(cloud, backend="cuda", max_memory=2_200_000, n_threads=1), h1(cloud))
    betti1_batch([x[:40], x[:30, :80]], backend="cuda")
    keep({"small": "done"})
    sys.stdout.write("small: done\n")


def main() -> int:
    stage, *rest = sys.argv[1:]
    found: dict[str, Any] = {}

    def keep(more: dict[str, Any]) -> None:
        found.update(more)
        if rest:
            whole = Path(rest[0])
            part = whole.with_suffix(".part")
            part.write_text(json.dumps(found), encoding="utf-8")
            part.replace(whole)  # never half a file, whenever this process is stopped

    if stage == "checks":
        checks(CHECKS, keep)
        sys.stdout.flush()
        os._exit(0)  # the last check leaves a broken context, at which an orderly end might fail
    elif stage == "libraries":
        checks(LIBRARIES, keep)
    else:
        {"times": times, "small": small}[stage](keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
