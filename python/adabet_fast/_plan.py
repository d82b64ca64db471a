"""How much memory a call will need, told before it runs."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from adabet_fast import _core, _cuda
from adabet_fast._memory import resolve_budget
from adabet_fast._options import check_dtype
from adabet_fast._threads import resolve_threads
from adabet_fast.errors import InvalidInputError

_MOST_POINTS = 2**31 - 1


@dataclass(frozen=True)
class MemoryPlan:
    """What a barcode of n points takes of memory, beyond its input and output; in bytes.

    Attributes
    ----------
    plan : str
        ``"dense"``: the full distance matrix and one row of bits a point. ``"streamed"``: the bits alone; distances are
        made anew from the points, or read again from the caller's matrix, a tile at a time. ``"sparse"``: lists of
        neighbours, of a graph or of points under a threshold that leaves few edges. With ``backend="cuda"`` the
        matrix of ``"dense"`` is in the GPU's memory; ``"panels"``: it is in the host's, computed by the GPU a panel of
        rows at a time; ``"streamed"``: the GPU makes distances anew, a strip of rows at a time.
    n, d : int, int or None
        The points and their coordinates; `d` is None for a distance matrix or a graph.
    dtype : str
        Precision of the filtration values.
    n_threads : int
        Threads that the figures are for.
    fixed : int
        Bytes that follow from these sizes alone. A call is refused before it starts where they exceed the budget.
    reserve : int
        The most that births and critical cells, unknown beforehand, may add: what the budget leaves over `fixed`.
    budget : int
        What the call may take: `max_memory`, or by default 80 % of what is available.
    device_fixed : int
        Bytes of the GPU's memory that follow from these sizes alone, for points that are there already (those from the
        host are copied, and take as much again as they do there); 0 without a GPU.
    device_budget : int
        What the call may take of it: `max_memory`, or by default all that the first GPU has.
    """

    plan: str
    n: int
    d: int | None
    dtype: str
    n_threads: int
    fixed: int
    reserve: int
    budget: int
    device_fixed: int = 0
    device_budget: int = 0

    @property
    def fits(self) -> bool:
        """Whether the fixed bytes are within the budget, on the host and on a GPU."""
        return self.fixed <= self.budget and self.device_fixed <= self.device_budget

    def __str__(self) -> str:
        size = f"n={self.n}" if self.d is None else f"n={self.n}, d={self.d}"
        verdict = "fits" if self.fits else "does not fit"
        gpu = f" and {_readable(self.device_fixed)} on the GPU" if self.device_fixed else ""
        return (
            f"plan {self.plan} for {size}, {self.dtype}: {_readable(self.fixed)} fixed{gpu}, "
            f"up to {_readable(self.reserve)} for births, budget {_readable(self.budget)}: {verdict}"
        )


def estimate_memory(
    n: int,
    d: int | None = None,
    *,
    n_edges: int | None = None,
    dtype: str = "float32",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    backend: str = "cpu",
) -> MemoryPlan:
    """Tell what `betti1` or `h1` of n points will take of memory, before anything is allocated.

    Parameters
    ----------
    n : int
        Number of points.
    d : int, optional
        Coordinates of each. None: a distance matrix is given; it is counted as if it had to be copied, though one that
        is contiguous, symmetric and of the right precision is read in place. The figures are for the whole filtration:
        a small `threshold` may need far less, see `h1`.
    n_edges : int, optional
        Edges of a sparse graph, each given once. With few of them, or where a matrix does not fit, memory follows from
        them.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the filtration values.
    n_threads : int, optional
        As in `h1`.
    max_memory : int or str, optional
        As in `h1`.
    backend : {"cpu", "cuda"}, default "cpu"
        Where distances are computed. The figures for "cuda" need no GPU; without `max_memory`, they may take what the
        first GPU has, and where there is none, anything.

    Returns
    -------
    MemoryPlan
        `fixed` bytes that follow from the sizes, the `reserve` for what does not, and whether that fits.

    Raises
    ------
    InvalidInputError
        Where an argument is not what is said above.

    Examples
    --------
    >>> from adabet_fast import estimate_memory
    >>> plan = estimate_memory(1000, 512, max_memory="1GiB")
    >>> plan.plan, plan.fits, plan.fixed + plan.reserve == 2**30
    ('dense', True, True)
    >>> estimate_memory(100_000, 3, max_memory="1GiB").fits
    False
    >>> estimate_memory(100_000, n_edges=1_000_000, max_memory="1GiB").fits
    True
    >>> estimate_memory(65_536, 64, max_memory="8GiB", backend="cuda").plan  # 16 GiB of distances
    'streamed'
    """
    n = _size(n, "n")
    d = None if d is None else _size(d, "d")
    if n_edges is not None and (d is not None or _size(n_edges, "n_edges", n * n) > n * n):
        raise InvalidInputError(f"n_edges is {n_edges} with d = {d}: expected a graph's edges, without d")
    name = check_dtype(dtype)
    threads = resolve_threads(n_threads)
    budget = resolve_budget(max_memory)
    if backend == "cuda":
        if d is None:
            raise InvalidInputError("d is None with backend='cuda': a GPU reads points, not distance matrices")
        room = _cuda.first_memory() if max_memory is None else budget
        plan, fixed, on_device = _core.device_plan(
            n, d, metric="euclidean", dtype=name, n_threads=threads, max_memory=budget, device_memory=room
        )
        return MemoryPlan(plan, n, d, name, threads, fixed, max(0, budget - fixed), budget, on_device, room)
    if backend != "cpu":
        raise InvalidInputError(f"backend is {backend!r}, expected 'cpu' or 'cuda'")
    plan, fixed = _core.plan(n, d, n_edges, metric="euclidean", dtype=name, n_threads=threads, max_memory=budget)
    return MemoryPlan(plan, n, d, name, threads, fixed, max(0, budget - fixed), budget)


def _size(value: object, name: str, most: int = _MOST_POINTS) -> int:
    try:
        size = -1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        size = -1
    if not 0 <= size <= most:
        raise InvalidInputError(f"{name} is {value!r}, expected an integer from 0 to {most}")
    return size


def _readable(size: int) -> str:
    for unit, bytes_each in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= bytes_each:
            return f"{size / bytes_each:.1f} {unit}"
    return f"{size} B"
