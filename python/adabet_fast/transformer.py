"""H1 as a step of a scikit-learn pipeline: clouds in, diagrams or features out."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import joblib.parallel
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from adabet_fast import _features
from adabet_fast._features import FEATURES, SAMPLED, Floats, Ranges, Sampling
from adabet_fast._inputs import as_stack
from adabet_fast._memory import resolve_budget
from adabet_fast._options import check_length
from adabet_fast._threads import resolve_threads
from adabet_fast.errors import InvalidInputError
from adabet_fast.homology import betti1_batch, h1

T = TypeVar("T")

_EXPECTED = "expected clouds: an array of shape (b, n, d), or a list of arrays of shape (n, d)"


def _gives_features(transformer: VietorisRipsH1) -> bool:
    return not (isinstance(transformer.output, str) and transformer.output in ("diagrams", "padded"))


class VietorisRipsH1(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Exact H1 of point clouds as a scikit-learn transformer.

    Parameters
    ----------
    output : str or sequence of str, default "diagrams"
        ``"diagrams"``: a list with one float64 array (k, 2) of births and deaths for each cloud, as persim and GUDHI's
        representations take it; an essential bar has death = inf.
        ``"padded"``: one array (b, k, 3) of births, deaths and the homology dimension 1, as giotto-tda takes it; k is
        that of the cloud with most bars, at least 1, and shorter diagrams are filled with points of length zero.
        Or a feature, or several side by side in an array of shape (b, columns): ``"count"`` (AdaBet's b1),
        ``"total_persistence"``, ``"betti_curve"`` (the Betti number at `resolution` equally spaced scales),
        ``"landscape"`` (the first `n_landscapes` persistence landscapes there) and ``"persistence_image"`` (`pixels`
        by `pixels`, bars weighted by their persistence); the last two are computed by GUDHI.
    metric : str, default "euclidean"
        As in `adabet_fast.h1`, or ``"precomputed"``: each cloud is a distance matrix, square, condensed or sparse.
    n_coordinates : int, optional
        For arrays of shape (b, columns), which most other steps give: each row is one cloud, its points of this many
        coordinates one after the other. None: the clouds come as an array (b, n, d) or a list.
    threshold, dtype, backend, max_memory
        As in `adabet_fast.h1`; `max_memory` for all clouds that are worked on at once.
    min_persistence : float, default 0.0
        Leave out bars with death - birth not greater than this.
    infinity_value : float, optional
        What stands for the death of an essential bar in padded arrays and features. None: the threshold if that is
        finite, else the greatest length that a bar of the clouds of `fit` begins or ends at.
    value_range : (float, float), optional
        Where Betti curves and landscapes are sampled. None: from the least birth to the greatest death in `fit`.
    resolution : int, default 100
        Scales of Betti curves and landscapes.
    n_landscapes : int, default 5
        Landscapes for each cloud.
    pixels : int, default 20
        Height and width of persistence images.
    bandwidth : float, optional
        Standard deviation of the gaussians of persistence images. None: the longer side of the image over `pixels`.
    n_jobs : int, optional
        Clouds worked on at once, by threads (the engine gives up the GIL). None: 1, or what joblib's context says; -1:
        all cores.
    n_threads : int, optional
        Threads for one cloud. None: the cores that this process may use over the clouds at once; 1 inside another
        joblib job in threads, so that nested searches do not ask for more than there are.

    Attributes
    ----------
    infinity_value_ : float
        What stands for infinite deaths; inf where it is not needed.
    ranges_ : tuple
        The ranges in which features are sampled: filtration values, births, persistence. Where features are sampled.
    n_features_in_ : int
        Columns of `X` in `fit`. With `n_coordinates` only.

    Notes
    -----
    Time and memory of each cloud are those of `adabet_fast.h1`, or of `betti1_batch` where only counts are asked for.
    `fit` computes diagrams only for what depends on them: ranges, and infinite deaths. Needs scikit-learn 1.3 or later.
    scikit-learn's estimator checks, which speak in tables, pass with ``n_coordinates=1``; without it they are skipped.
    Persistence images: Adams et al., JMLR 18 (2017), section 4; landscapes: Bubenik, JMLR 16 (2015), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import VietorisRipsH1
    >>> angles = np.arange(12) * (2 * np.pi / 12)
    >>> circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    >>> [bars.shape for bars in VietorisRipsH1().fit_transform([circle, circle[:5]])]
    [(1, 2), (0, 2)]
    >>> VietorisRipsH1(output=("count", "total_persistence")).fit_transform([circle, 2 * circle]).round(3)
    array([[1.   , 1.214],
           [1.   , 2.429]])
    """

    def __init__(
        self,
        *,
        output: str | Sequence[str] = "diagrams",
        metric: str = "euclidean",
        n_coordinates: int | None = None,
        threshold: float = math.inf,
        min_persistence: float = 0.0,
        infinity_value: float | None = None,
        value_range: tuple[float, float] | None = None,
        resolution: int = 100,
        n_landscapes: int = 5,
        pixels: int = 20,
        bandwidth: float | None = None,
        dtype: str = "float32",
        backend: str = "auto",
        max_memory: int | str | None = None,
        n_jobs: int | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.output = output
        self.metric = metric
        self.n_coordinates = n_coordinates
        self.threshold = threshold
        self.min_persistence = min_persistence
        self.infinity_value = infinity_value
        self.value_range = value_range
        self.resolution = resolution
        self.n_landscapes = n_landscapes
        self.pixels = pixels
        self.bandwidth = bandwidth
        self.dtype = dtype
        self.backend = backend
        self.max_memory = max_memory
        self.n_jobs = n_jobs
        self.n_threads = n_threads

    def fit(self, X: Any, y: object = None) -> VietorisRipsH1:
        """Learn the ranges in which features are sampled; for all else only look whether `X` can be read.

        Parameters
        ----------
        X : array_like of shape (b, n, d), or list of clouds of shape (n, d), or array of shape (b, columns)
            Clouds, or with ``metric="precomputed"`` distance matrices; rows with `n_coordinates`.
        y : None
            Not looked at.

        Returns
        -------
        VietorisRipsH1
            The transformer itself.
        """
        self._fit(self._read(X, reset=True))
        return self

    def transform(self, X: Any) -> Any:
        """Compute the diagrams or features of clouds.

        Parameters
        ----------
        X : array_like of shape (b, n, d), or list of clouds of shape (n, d), or array of shape (b, columns)
            As in `fit`; clouds may have other sizes than there.

        Returns
        -------
        list of ndarray, or ndarray
            As `output` says.
        """
        check_is_fitted(self, "infinity_value_")
        return self._output_of(self._read(X, reset=False))

    def fit_transform(self, X: Any, y: object = None) -> Any:
        """``fit(X).transform(X)``, with the homology of each cloud computed once.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        list of ndarray, or ndarray
            As `output` says.
        """
        clouds = self._read(X, reset=True)
        return self._output_of(clouds, self._fit(clouds))

    @available_if(_gives_features)  # type: ignore[untyped-decorator]
    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of the columns, such as ``betti_curve_7``; where `output` names features."""
        check_is_fitted(self, "infinity_value_")
        sampling = self._sampling()
        return np.array([name for one in self._features() for name in _features.names(one, sampling)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        # Condensed matrices are 2-D too, but few 2-D arrays are condensed matrices.
        tags.input_tags.two_d_array = self.n_coordinates is not None
        tags.transformer_tags.preserves_dtype = []  # features are float64
        return tags

    def _features(self) -> tuple[str, ...]:
        """The features that `output` names; none for diagrams."""
        named = (self.output,) if isinstance(self.output, str) else tuple(self.output)
        if named in (("diagrams",), ("padded",)):
            return ()
        if not named or not all(isinstance(name, str) and name in FEATURES for name in named):
            choices = ", ".join(map(repr, FEATURES))
            raise InvalidInputError(
                f"output is {self.output!r}, expected 'diagrams', 'padded', or one or several of {choices}"
            )
        return named

    def _sampling(self) -> Sampling:
        bandwidth = None if self.bandwidth is None else check_length(self.bandwidth, "bandwidth")
        if bandwidth is not None and not 0 < bandwidth < math.inf:
            raise InvalidInputError(f"bandwidth is {bandwidth}, expected a positive number or None")
        return Sampling(
            _positive(self.resolution, "resolution"),
            _positive(self.n_landscapes, "n_landscapes"),
            _positive(self.pixels, "pixels"),
            bandwidth,
        )

    def _read(self, X: Any, *, reset: bool) -> Any:
        """The clouds as `betti1_batch` takes them."""
        precomputed = isinstance(self.metric, str) and self.metric == "precomputed"
        if self.n_coordinates is not None:
            if precomputed:
                raise InvalidInputError("n_coordinates is for points, but metric is 'precomputed'")
            d = _positive(self.n_coordinates, "n_coordinates")
            rows = _table(self, X, reset=reset)
            if rows.shape[1] % d:
                raise InvalidInputError(
                    f"X has {rows.shape[1]} columns, expected a multiple of n_coordinates={d}: each row is one cloud"
                )
            return rows.reshape(len(rows), -1, d)
        if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
            X = list(X)
        shape = getattr(X, "shape", None)
        if shape is not None and len(shape) < 3 and not (precomputed and len(shape) == 2) and hasattr(X, "ndim"):
            one = " One cloud is X[np.newaxis]; where rows are flattened clouds set n_coordinates." if shape else ""
            raise InvalidInputError(f"X has shape {tuple(shape)}, {_EXPECTED}.{one}")
        if isinstance(X, Iterable) and not isinstance(X, (str, bytes, Mapping)) and shape is None:
            X = list(X)
        clouds = as_stack(X, precomputed)
        if len(clouds) == 0:
            raise InvalidInputError(f"X holds no cloud, {_EXPECTED}")
        return X if isinstance(X, list) else clouds  # the engine reads the clouds of a list themselves

    def _fit(self, clouds: Any) -> list[Floats] | None:
        """Learn what depends on the diagrams; they are returned where they had to be computed."""
        features, sampling = self._features(), self._sampling()
        value = self.infinity_value
        threshold = check_length(self.threshold, "threshold")
        sampled = not SAMPLED.isdisjoint(features)
        for feature in {"landscape", "persistence_image"}.intersection(features):
            _features.import_representations(feature)  # rather raise now than after the work
        # Without a threshold nothing in a cloud of points lives for ever, and a count asks for no length.
        unbounded = self.metric == "precomputed" and math.isinf(threshold) and value is None
        replaced = self.output != "diagrams" and features != ("count",)
        diagrams = self._diagrams(clouds) if sampled or (unbounded and replaced) else None
        if value is not None:
            self.infinity_value_ = check_length(value, "infinity_value")
        elif unbounded and diagrams is not None:
            ends = np.concatenate([np.empty(0), *(bars.ravel() for bars in diagrams)])
            self.infinity_value_ = float(ends[np.isfinite(ends)].max(initial=0.0))
        else:
            self.infinity_value_ = threshold
        if sampled and diagrams is not None:
            ranges = Ranges.of([self._finite(bars) for bars in diagrams])
            self.ranges_ = ranges if self.value_range is None else ranges._replace(values=_range(self.value_range))
        self._n_features_out = sum(_features.width(feature, sampling) for feature in features)
        return diagrams

    def _output_of(self, clouds: Any, diagrams: list[Floats] | None = None) -> Any:
        features, sampling = self._features(), self._sampling()
        if features == ("count",) and diagrams is None:
            return self._counts(clouds)
        if diagrams is None:
            diagrams = self._diagrams(clouds)
        if self.output == "diagrams":
            return diagrams
        finite = [self._finite(bars) for bars in diagrams]
        if not features:
            return _features.padded(finite)
        ranges = self.ranges_ if hasattr(self, "ranges_") else Ranges.of([])
        return np.hstack([_features.vectors(feature, finite, ranges, sampling) for feature in features])

    def _finite(self, bars: Floats) -> Floats:
        """With `infinity_value_` for infinite deaths, and no bar that ends before it begins."""
        endless = np.isinf(bars[:, 1])
        if not endless.any():
            return bars
        finite = bars.copy()
        finite[endless, 1] = np.maximum(bars[endless, 0], self.infinity_value_)
        return finite

    def _engine(self) -> dict[str, Any]:
        precomputed = self.metric == "precomputed"
        return {
            "distance_matrix": precomputed,
            "metric": "euclidean" if precomputed else self.metric,
            "threshold": self.threshold,
            "dtype": self.dtype,
            "backend": self.backend,
        }

    def _parallel(self) -> tuple[int, int]:
        """How many clouds at once, and threads for each."""
        jobs = joblib.effective_n_jobs(self.n_jobs)
        if self.n_threads is not None:
            return jobs, resolve_threads(self.n_threads)
        # A worker process of joblib is told its share of the cores by OMP_NUM_THREADS; a worker thread is told nothing.
        nested = (getattr(joblib.parallel.get_active_backend()[0], "nesting_level", 0) or 0) > 0
        told = any(os.environ.get(name) for name in ("ADABET_NUM_THREADS", "OMP_NUM_THREADS"))
        return jobs, 1 if nested and not told else max(1, resolve_threads(None) // jobs)

    def _counts(self, clouds: Any) -> Floats:
        jobs, threads = self._parallel()
        least = check_length(self.min_persistence, "min_persistence")
        counts = betti1_batch(
            clouds,
            min_persistence=least,
            max_memory=self.max_memory,
            n_threads=jobs * threads,
            **self._engine(),
        )
        return counts.astype(np.float64).reshape(-1, 1)

    def _diagrams(self, clouds: Any) -> list[Floats]:
        jobs, threads = self._parallel()
        jobs = min(jobs, len(clouds))
        least = check_length(self.min_persistence, "min_persistence")
        engine = {**self._engine(), "n_threads": threads, "max_memory": resolve_budget(self.max_memory) // jobs}
        return _each(lambda index: _bars(index, clouds[index], least, engine), len(clouds), jobs)


def _table(transformer: VietorisRipsH1, X: Any, *, reset: bool) -> NDArray[Any]:
    """A checked array (b, columns), and its number of columns and their names remembered or compared."""
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # before scikit-learn 1.6, to which giotto-tda is bound, it was a method
        rows: NDArray[Any] = transformer._validate_data(X, reset=reset)
    else:
        rows = validate_data(transformer, X, reset=reset)
    return rows


def _each(work: Callable[[int], T], count: int, jobs: int) -> list[T]:
    if jobs == 1:  # in the main thread, where Ctrl-C stops it at once
        return [work(index) for index in range(count)]
    # Some slices for each job: handing a small cloud over takes longer than its barcode.
    slices = np.array_split(np.arange(count), min(count, 4 * jobs))
    done = Parallel(n_jobs=jobs, require="sharedmem")(
        delayed(lambda part: [work(int(index)) for index in part])(part) for part in slices
    )
    return [result for part in done for result in part]


def _bars(index: int, cloud: Any, least: float, engine: dict[str, Any]) -> Floats:
    try:
        barcode = h1(cloud, **engine)
    except InvalidInputError as error:
        raise InvalidInputError(f"cloud {index}: {error}") from None
    kept = barcode.persistence > barcode.intervals.dtype.type(least)
    return barcode.intervals[kept].astype(np.float64)


def _positive(value: object, name: str) -> int:
    try:
        count = 0 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        count = 0
    if count < 1:
        raise InvalidInputError(f"{name} is {value!r}, expected a positive integer")
    return count


def _range(value: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not -math.inf < low < high < math.inf:
        raise InvalidInputError(f"value_range is {value!r}, expected two finite numbers, the lower one first")
    return low, high
