"""The barcode: what persistent homology in degree 1 finds in a point cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from adabet_fast._options import check_length
from adabet_fast.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    Floats = NDArray[np.floating[Any]]


class Barcode:
    """H1 bars of a Vietoris-Rips filtration, as `adabet_fast.h1` returns them.

    A bar is a half-open interval [birth, death): a loop that appears when edges of length `birth` are drawn and is
    filled when those of length `death` are. Bars of length zero are left out. The arrays are read-only.

    Attributes
    ----------
    intervals : ndarray of shape (k, 2)
        Births and deaths in the precision of the run, sorted by birth, then death. An essential bar, which no edge up
        to the threshold fills, has death = inf.
    h0 : ndarray of shape (m, 2)
        Degree 0, a by-product: births are 0; deaths > 0 rise, then one infinite bar for each connected component.
    n, d : int, int or None
        Points, and coordinates of each; `d` is None where distances were given.
    backend : {"cpu", "ripser"}
        Which engine ran.
    plan : str
        The memory plan: ``"dense"``, ``"streamed"``, ``"sparse"``, or of a GPU ``"panels"``; see `MemoryPlan`.
    representatives : list of lists of ndarray, or None
        Where they were asked for: for each bar a list of closed vertex loops (one, today), each an array of vertices
        without the first one again at the end. Their edges are no longer than the bar's birth, and they are no boundary
        before its death.
    enclosing_radius : float
        The least distance within which some point has all others; beyond it nothing is born and nothing lives.
    stats : dict
        Seconds by stage (``seconds_distances``, ``seconds_survey``, ``seconds_rng``, ``seconds_edges``,
        ``seconds_lunes``, ``seconds_columns``), ``edges`` looked at, ``births`` with those of zero length,
        ``critical_cells``, ``peak_bytes`` of the engine's own memory beyond input and output, and ``peak_rss_bytes``,
        the largest resident size that the process has had so far.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import h1
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    >>> bars = h1(square)
    >>> bars
    Barcode(1 bar, n=4, d=2, float32, backend='cpu')
    >>> bars.intervals
    array([[1.       , 1.4142135]], dtype=float32)
    >>> bars.betti(1.2), len(bars)
    (1, 1)
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        intervals: Floats,
        h0: Floats,
        *,
        n: int,
        d: int | None = None,
        birth_edges: NDArray[np.int64] | None = None,
        death_edges: NDArray[np.int64] | None = None,
        enclosing_radius: float = np.inf,
        backend: str = "cpu",
        plan: str = "dense",
        representatives: list[list[NDArray[np.int64]]] | None = None,
        stats: Mapping[str, float] | None = None,
    ) -> None:
        for array in (intervals, h0, birth_edges, death_edges):
            if array is not None:
                array.setflags(write=False)
        self.intervals = intervals
        self.h0 = h0
        self._birth_edges = birth_edges
        self._death_edges = death_edges
        self.n = n
        self.d = d
        self.enclosing_radius = enclosing_radius
        self.backend = backend
        self.plan = plan
        self.representatives = representatives
        self.stats = dict(stats or {})

    @property
    def births(self) -> Floats:
        """Births, shape (k,), rising."""
        return self.intervals[:, 0]

    @property
    def deaths(self) -> Floats:
        """Deaths, shape (k,), in the order of the births."""
        return self.intervals[:, 1]

    @property
    def persistence(self) -> Floats:
        """Lengths of the bars, death - birth, shape (k,)."""
        lengths: Floats = self.deaths - self.births
        return lengths

    @property
    def birth_edges(self) -> NDArray[np.int64]:
        """Vertices (i, j), i < j, of the edge that closes each loop, shape (k, 2): its length is the birth.

        Raises
        ------
        BackendUnavailableError
            With ``backend="ripser"``, which does not tell edges.
        """
        return self._edges(self._birth_edges)

    @property
    def death_edges(self) -> NDArray[np.int64]:
        """Vertices (i, j), i < j, of the edge that fills each loop, shape (k, 2); (-1, -1) where the bar is essential.

        Raises
        ------
        BackendUnavailableError
            With ``backend="ripser"``, which does not tell edges.
        """
        return self._edges(self._death_edges)

    def _edges(self, edges: NDArray[np.int64] | None) -> NDArray[np.int64]:
        if edges is None:
            raise BackendUnavailableError(f"backend {self.backend!r} does not tell edges; use backend='cpu'")
        return edges

    @overload
    def betti(self, t: float) -> int: ...
    @overload
    def betti(self, t: ArrayLike) -> int | NDArray[np.int64]: ...
    def betti(self, t: ArrayLike) -> int | NDArray[np.int64]:
        """Betti number at scale t: the bars with birth <= t < death.

        Parameters
        ----------
        t : float or array_like
            Filtration values, cast to the precision of the barcode first, as a threshold is.

        Returns
        -------
        int or ndarray of int64
            An array of the shape of `t`, or an int for a number.

        Raises
        ------
        InvalidInputError
            Where `t` is not numeric or contains NaN.
        """
        try:
            given = np.asarray(t)
        except ValueError as error:
            raise InvalidInputError(f"t cannot be read as numbers: {error}") from None
        if given.dtype.kind not in "fiub":
            raise InvalidInputError(f"t cannot be read as numbers: it has dtype {given.dtype}")
        with np.errstate(over="ignore"):
            scales = given.astype(self.intervals.dtype)
        if np.isnan(scales).any():
            raise InvalidInputError("t contains NaN, expected filtration values")
        born = np.searchsorted(self.births, scales, side="right")
        dead = np.searchsorted(np.sort(self.deaths), scales, side="right")
        alive = np.asarray(born - dead, dtype=np.int64)
        return int(alive) if scales.ndim == 0 else alive

    def count(self, min_persistence: float = 0.0) -> int:
        """The bars with death - birth > min_persistence; with 0 all of them, as `betti1` counts.

        Raises
        ------
        InvalidInputError
            Where `min_persistence` is negative, NaN, or no number.
        """
        with np.errstate(over="ignore"):
            least = self.intervals.dtype.type(check_length(min_persistence, "min_persistence"))
        return int(np.count_nonzero(self.persistence > least))

    def total_persistence(self) -> float:
        """The sum of the bars' lengths, added in float64; inf where a bar is essential."""
        return float(np.sum(self.deaths.astype(np.float64) - self.births.astype(np.float64)))

    def plot(self, *, kind: str = "both", min_persistence: float = 0.0, ax: Any = None) -> Any:
        """Draw the bars, the persistence diagram, or both side by side, with matplotlib.

        Parameters
        ----------
        kind : {"both", "barcode", "diagram"}, default "both"
            A line for each bar from birth to death, lowest the first born; or a point for each at (birth, death).
            Essential bars end in an arrow, or lie on a line marked ∞.
        min_persistence : float, default 0.0
            Draw only bars with death - birth greater than this.
        ax : matplotlib Axes, or two of them for "both", optional
            Where to draw. None: a new figure.

        Returns
        -------
        matplotlib Axes, or ndarray of two
            What was drawn on; their ``figure`` can be saved.

        Raises
        ------
        BackendUnavailableError
            Where matplotlib is not installed.
        InvalidInputError
            Where an argument is not what is said above.
        """
        from adabet_fast.plotting import plot_barcode

        return plot_barcode(self, kind=kind, min_persistence=min_persistence, ax=ax)

    def plot_representatives(self, points: ArrayLike, *, top: int = 3, ax: Any = None) -> Any:
        """Draw the representative loops of the longest bars among their points, with matplotlib.

        Parameters
        ----------
        points : array_like of shape (n, 2) or (n, 3)
            Where the points are drawn: the cloud itself, or a projection of it.
        top : int, default 3
            Of how many bars, the longest first.
        ax : matplotlib Axes, optional
            Where to draw, of as many dimensions. None: a new figure.

        Returns
        -------
        matplotlib Axes
            What was drawn on.

        Raises
        ------
        BackendUnavailableError
            Where matplotlib is not installed.
        InvalidInputError
            Where the barcode has no representatives, or an argument is not what is said above.
        """
        from adabet_fast.plotting import plot_representatives

        return plot_representatives(self, points, top=top, ax=ax)

    def __len__(self) -> int:
        return len(self.intervals)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """Pairs (birth, death)."""
        return ((float(birth), float(death)) for birth, death in self.intervals)

    def __getitem__(self, index: Any) -> Any:
        """``intervals[index]``: one bar, some bars, or a column of them."""
        return self.intervals[index]

    def __eq__(self, other: object) -> bool:
        """Whether the intervals are the same, in value and in precision; edges may differ where lengths are tied."""
        if not isinstance(other, Barcode):
            return NotImplemented
        return self.intervals.dtype == other.intervals.dtype and np.array_equal(self.intervals, other.intervals)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The intervals."""
        array = self.intervals if dtype is None else self.intervals.astype(dtype, copy=False)
        if copy is False and array is not self.intervals:
            raise ValueError(f"the intervals are {self.intervals.dtype}: as {dtype} they need a copy")
        return array.copy() if copy else array

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for array in (self.intervals, self.h0, self._birth_edges, self._death_edges):
            if array is not None:
                array.setflags(write=False)

    def __repr__(self) -> str:
        bars = f"{len(self)} bar{'' if len(self) == 1 else 's'}"
        size = f"n={self.n}" if self.d is None else f"n={self.n}, d={self.d}"
        return f"Barcode({bars}, {size}, {self.intervals.dtype}, backend={self.backend!r})"
