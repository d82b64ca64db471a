"""Budgets: how they are given, what is refused before it starts, and what the default is taken from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from adabet_fast import MemoryBudgetError, _memory, betti1, betti1_batch, estimate_memory, h1, pairwise_distances
from adabet_fast._memory import available_memory, resolve_budget

X = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (1, 1),
        (2**40, 2**40),
        (2**80, 2**63 - 1),
        (np.int64(1000), 1000),
        ("1000", 1000),
        ("1000B", 1000),
        ("1 kB", 1000),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("500MB", 500_000_000),
        ("2GiB", 2 * 2**30),
        (" 1.5 GiB ", 3 * 2**29),
        (".5 TB", 500_000_000_000),
        ("1TiB", 2**40),
    ],
)
def test_sizes(given: Any, size: int) -> None:
    assert resolve_budget(given) == size
    assert estimate_memory(10, max_memory=given).budget == size


def test_the_plan_is_kept() -> None:
    """What is called fixed suffices for the sizes alone; a byte less is refused before anything is allocated."""
    for dtype in ("float32", "float64"):
        for n_threads in (1, 2):
            plan = estimate_memory(300, 8, dtype=dtype, n_threads=n_threads)
            assert plan.fits
            assert plan.fixed + plan.reserve == plan.budget
            options: dict[str, Any] = {"dtype": dtype, "n_threads": n_threads}
            for function in (betti1, h1):
                with pytest.raises(MemoryBudgetError, match=r"300 points.*max_memory") as caught:
                    function(X, max_memory=2**16, **options)
                assert caught.value.budget == 2**16
                assert caught.value.needed is not None
                assert 2**16 < caught.value.needed <= plan.fixed
                function(X, max_memory=caught.value.needed + 2**22, **options)
            bars = h1(X, **options)
            assert bars.stats["peak_bytes"] <= plan.fixed + 2**22


def test_matrices_in_place_need_less() -> None:
    matrix = pairwise_distances(X)
    with pytest.raises(MemoryBudgetError) as caught:
        h1(matrix.astype(np.float64), distance_matrix=True, max_memory=1000)
    with pytest.raises(MemoryBudgetError) as in_place:
        h1(matrix, distance_matrix=True, max_memory=1000)
    assert caught.value.needed == in_place.value.needed
    # On one thread, where a run takes the same bytes each time.
    budget = int(h1(matrix, distance_matrix=True, n_threads=1).stats["peak_bytes"])
    for copied in (matrix.astype(np.float64), matrix[np.triu_indices(300, 1)]):
        with pytest.raises(MemoryBudgetError):
            h1(copied, distance_matrix=True, max_memory=budget, n_threads=1)
        h1(copied, distance_matrix=True, max_memory=budget + matrix.nbytes, n_threads=1)
    h1(matrix, distance_matrix=True, max_memory=budget, n_threads=1)


def least_budget(call: Callable[[int], object]) -> int:
    """The fewest bytes with which a call is not refused."""
    few, enough = 0, 2**24
    while enough - few > 1:
        budget = (few + enough) // 2
        try:
            call(budget)
            enough = budget
        except MemoryBudgetError:
            few = budget
    return enough


@pytest.mark.parametrize("sizes", [(100, 200, 300), (128, 129, 130, 131), (300, 127), (260, 40, 261)])
@pytest.mark.parametrize("d", [3, 100, 3000])
def test_a_batch_on_one_thread_needs_what_its_most_demanding_cloud_needs(sizes: tuple[int, ...], d: int) -> None:
    rng = np.random.default_rng(2)
    clouds = [rng.standard_normal((n, d), dtype=np.float32) for n in sizes]
    alone = [partial(betti1, cloud, n_threads=1) for cloud in clouds]
    budget = max(least_budget(lambda size, one=one: one(max_memory=size)) for one in alone)  # type: ignore[misc]
    assert betti1_batch(clouds, max_memory=budget, n_threads=1).tolist() == [one() for one in alone]
    with pytest.raises(MemoryBudgetError):
        betti1_batch(clouds, max_memory=budget - 1, n_threads=1)
    # Each thread works on one cloud at a time.
    betti1_batch(3 * clouds, max_memory=2 * budget, n_threads=2)


def test_a_batch_holds_large_clouds_as_their_own_calls_do() -> None:
    """A matrix of these takes 36 MB; bit rows and a threshold take less."""
    x = np.random.default_rng(4).random((3000, 3), dtype=np.float32)
    few = x[:30]
    cases: list[dict[str, Any]] = [{"max_memory": "16MiB"}, {"max_memory": "1500KB", "threshold": 0.05}]
    for options in cases:
        expected = [betti1(cloud, n_threads=1, **options) for cloud in (few, x)]
        assert betti1_batch([few, x], n_threads=1, **options).tolist() == expected
    assert betti1_batch([x, few] * 2, max_memory="32MiB", n_threads=2).tolist() == [betti1(x), betti1(few)] * 2


def test_too_many_points_are_refused_at_once() -> None:
    many = np.broadcast_to(np.float32(0), (400_000, 3))
    graph = scipy.sparse.coo_array(([1.0], ([0], [1])), shape=(400_000, 400_000))
    nothing = np.empty((3_000_000_000, 0))
    for call in (
        lambda: betti1(many, max_memory="1GiB"),
        lambda: h1(many, max_memory="1GiB"),
        lambda: betti1_batch([X, many], max_memory="1GiB"),
        lambda: betti1_batch(np.broadcast_to(np.float32(0), (2, 400_000, 3)), max_memory="1GiB"),
        lambda: h1(graph, distance_matrix=True, max_memory="1MiB"),
        lambda: betti1(nothing),
        lambda: pairwise_distances(nothing),
        lambda: pairwise_distances(many),
        lambda: pairwise_distances(many, condensed=True),
        lambda: h1(many, backend="ripser", max_memory="1GiB"),
    ):
        with pytest.raises(MemoryBudgetError, match="budget"):
            call()


def test_an_estimate_needs_no_memory_and_never_wraps() -> None:
    last = 0
    for n in (0, 1, 2, 3, 1000, 46_341, 65_537, 92_683, 100_000, 2**29, 2**31 - 1):
        plan = estimate_memory(n, 10, max_memory="1GiB")
        assert plan.fixed >= last
        assert plan.fixed >= min(n * n // 8, 2**60)  # rows of bits, whatever the plan
        assert plan.plan == "dense" or n >= 2048
        assert plan.fits == (plan.fixed <= 2**30)
        assert str(plan).endswith("fits" if plan.fits else "does not fit")
        last = plan.fixed
    wide = estimate_memory(1000, 1_000_000)
    assert wide.fixed < 2**30
    graph = estimate_memory(1000, n_edges=400_000, dtype="float64")
    assert graph.fixed >= 8_000_000
    assert graph.d is None
    assert graph.dtype == "float64"


def test_the_budget_holds_for_what_depends_on_births() -> None:
    """The complete bipartite {1, 2} metric has (n/2 - 1)^2 classes: its columns need far more than its matrix."""
    n = 200
    side = np.arange(n) % 2
    matrix = np.where(side[:, None] == side, 2.0, 1.0).astype(np.float32)
    np.fill_diagonal(matrix, 0)
    bars = h1(matrix, distance_matrix=True)
    assert len(bars) == (n // 2 - 1) ** 2
    assert betti1(matrix, distance_matrix=True) == len(bars)
    fixed = estimate_memory(n).fixed
    assert bars.stats["peak_bytes"] > fixed
    with pytest.raises(MemoryBudgetError, match="budget"):
        h1(matrix, distance_matrix=True, max_memory=fixed)
    assert h1(matrix, distance_matrix=True, max_memory=int(bars.stats["peak_bytes"])) == bars


def test_the_default_is_a_share_of_what_is_available() -> None:
    budget = estimate_memory(10).budget
    assert 0 < budget <= 0.8 * 2**50
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert budget <= 0.8 * total
    assert abs(resolve_budget(None) - 0.8 * available_memory()) < 0.2 * total


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = "MemTotal:  8000 kB\nMemFree:  10 kB\nMemAvailable:  4000 kB\n"


def test_available_memory_of_the_machine(tmp_path: Path) -> None:
    assert available_memory(write(tmp_path, {"proc/meminfo": MEMINFO})) == 4_096_000


def test_available_memory_under_version_2_groups(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user/job"
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/user/job\n",
            f"{group}/memory.max": "1000000\n",
            f"{group}/memory.current": "400000\n",
            f"{group}/memory.stat": "anon 5\ninactive_file 50000\nactive_file 7\n",
            "sys/fs/cgroup/user/memory.max": "max\n",
            "sys/fs/cgroup/user/memory.current": "400000\n",
        },
    )
    assert available_memory(root) == 650_000
    write(root, {"sys/fs/cgroup/user/memory.max": "500000\n"})  # a group above may leave less
    assert available_memory(root) == 100_000
    write(root, {f"{group}/memory.current": "9000000\n", f"{group}/memory.stat": ""})
    assert available_memory(root) == 0


def test_available_memory_in_a_container(tmp_path: Path) -> None:
    """The path is the host's, the mount shows the container's own group at its top; version 1 beside version 2."""
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "500000\n",
            "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 100000\n",
        },
    )
    assert available_memory(root) == 1_600_000
    write(root, {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert available_memory(root) == 4_096_000


def test_nonsense_in_the_system_files_is_passed_over(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "garbage\n0::/a\n::\n",
            "sys/fs/cgroup/a/memory.max": "many",
            "sys/fs/cgroup/a/memory.current": "",
        },
    )
    assert available_memory(root) == 4_096_000


def test_the_reading_is_kept_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    readings = iter([1000, 2000])
    monkeypatch.setattr(_memory.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_memory, "available_memory", lambda: next(readings))
    monkeypatch.setattr(_memory, "_last_reading", None)
    assert resolve_budget(None) == resolve_budget(None) == 800
    now[0] += 1
    assert resolve_budget(None) == 1600


def test_a_machine_that_runs_out() -> None:
    """Under a hard limit of the process an allocation fails that max_memory would allow: an error, not a crash."""
    code = """
import resource, time, numpy as np, adabet_fast
x = np.random.default_rng(0).standard_normal((40_000, 3)).astype(np.float32)
adabet_fast.betti1(x[:50], n_threads=1)
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
time.sleep(0.2)  # longer than a reading is kept
try:
    adabet_fast.betti1(x, n_threads=1, max_memory="1TiB")
except adabet_fast.MemoryBudgetError as error:
    print("machine" in str(error), error.budget, error.needed)
try:
    adabet_fast.betti1(x, n_threads=1)
except adabet_fast.MemoryBudgetError as error:
    print(error.budget < 2**26 < error.needed)
print(adabet_fast.betti1(x[:50], n_threads=1))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "True None None",
        "True",
        str(betti1(np.random.default_rng(0).standard_normal((40_000, 3)).astype(np.float32)[:50])),
    ]
