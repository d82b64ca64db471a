"""`Rips`: ripser.py's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from adabet_fast._drop_in.call import compute
from adabet_fast._drop_in.metrics import Metric
from adabet_fast.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from adabet_fast._drop_in.engines import Array

_PARAMETERS = ("maxdim", "thresh", "coeff", "do_cocycles", "n_perm", "verbose", "n_threads")


class Rips:
    """Persistence diagrams in the manner of scikit-learn: a drop-in for ripser.py's class of this name.

    Parameters
    ----------
    maxdim, thresh, coeff, do_cocycles, n_perm, n_threads
        As in `ripser`.
    verbose : bool, default True
        Print the parameters when an object is made, as ripser.py does.

    Attributes
    ----------
    dgms_, cocycles_, num_edges_, dperm2all_, idx_perm_, r_cover_
        What `ripser` gave at the last call of `transform`, under its keys; before that None (and 0.0). Of a point cloud
        ``dperm2all_`` and ``num_edges_`` are computed when first read.

    Notes
    -----
    scikit-learn's `clone` and `Pipeline` take it (not so ripser.py's, which has neither `fit` nor `get_params`).

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import Rips
    >>> rips = Rips(maxdim=1)
    Rips(maxdim=1, thresh=inf, coeff=2, do_cocycles=False, n_perm = None, verbose=True)
    >>> diagrams = rips.fit_transform(np.array([[0, 0], [2, 0], [2, 1], [0, 1]]))
    >>> diagrams[1]
    array([[2.        , 2.23606801]])
    """

    def __init__(
        self,
        maxdim: int = 1,
        thresh: float = np.inf,
        coeff: int = 2,
        do_cocycles: bool = False,
        n_perm: int | None = None,
        verbose: bool = True,
        *,
        n_threads: int | None = None,
    ) -> None:
        self.maxdim = maxdim
        self.thresh = thresh
        self.coeff = coeff
        self.do_cocycles = do_cocycles
        self.n_perm = n_perm
        self.verbose = verbose
        self.n_threads = n_threads
        self.dgms_: list[Array] | None = None
        self.cocycles_: list[list[Array]] | None = None
        self.idx_perm_: Array | None = None
        self.r_cover_: float = 0.0
        self.metric_: Metric | None = None  # ripser.py has it, and never sets it
        self._result: dict[str, Any] = {}
        if verbose:
            print(  # noqa: T201
                f"Rips(maxdim={maxdim}, thresh={thresh}, coeff={coeff}, do_cocycles={do_cocycles}, "
                f"n_perm = {n_perm}, verbose={verbose})"
            )

    @property
    def dperm2all_(self) -> Any:
        """``dperm2all`` of the last result, computed when first read; None before."""
        return self._result.get("dperm2all")

    @property
    def num_edges_(self) -> Any:
        """``num_edges`` of the last result, computed when first read; None before."""
        return self._result.get("num_edges")

    def fit(self, X: Any, y: Any = None) -> Rips:
        """Return the object itself: there is nothing to learn."""
        del X, y
        return self

    def transform(self, X: Any, distance_matrix: bool = False, metric: Metric = "euclidean") -> list[Array]:
        """Compute the diagrams of `X`; `ripser` says how `X`, `distance_matrix` and `metric` are read.

        Returns
        -------
        list of ndarray, each (k, 2)
            ``dgms_``, one diagram a degree.
        """
        return self._transform(X, distance_matrix, metric)

    def fit_transform(self, X: Any, distance_matrix: bool = False, metric: Metric = "euclidean") -> list[Array]:
        """Do what `transform` does."""
        return self._transform(X, distance_matrix, metric)

    def _transform(self, x: Any, distance_matrix: Any, metric: Metric) -> list[Array]:
        result = compute(
            x,
            self.maxdim,
            self.thresh,
            self.coeff,
            # In a Pipeline the labels come second.
            False if np.ndim(distance_matrix) else distance_matrix,
            self.do_cocycles,
            metric,
            self.n_perm,
            self.n_threads,
            stacklevel=4,
        )
        self._result = result
        self.dgms_ = result["dgms"]
        self.cocycles_ = result["cocycles"]
        self.idx_perm_ = result["idx_perm"]
        self.r_cover_ = result["r_cover"]
        return result["dgms"]  # type: ignore[no-any-return]

    def plot(self, diagrams: Any = None, *args: Any, **kwargs: Any) -> None:
        """Draw the diagrams by persim, which has to be installed.

        Parameters
        ----------
        diagrams : ndarray of shape (k, 2), or list of such, optional
            None: those of the last call of `transform`.
        *args, **kwargs
            What ``persim.plot_diagrams`` takes: plot_only, title, xy_range, labels, colormap, size, ax_color, diagonal,
            lifetime, legend, show.

        Raises
        ------
        BackendUnavailableError
            Where persim or matplotlib is not installed.
        InvalidInputError
            Where there are no diagrams yet.
        """
        if diagrams is None:
            diagrams = self.dgms_
        if diagrams is None:
            raise InvalidInputError("there are no diagrams to draw yet: call transform(X) first, or pass some")
        try:
            from persim import plot_diagrams
        except ImportError as error:
            raise BackendUnavailableError(
                f"Rips.plot draws by persim, which cannot be imported ({error}): pip install persim"
            ) from error
        plot_diagrams(diagrams, *args, **kwargs)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments, as scikit-learn asks for them."""
        del deep
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **params: Any) -> Rips:
        """Set some of the constructor's arguments.

        Raises
        ------
        InvalidInputError
            Where a name is none of them.
        """
        for name, value in params.items():
            if name not in _PARAMETERS:
                raise InvalidInputError(f"{name!r} is no parameter of Rips: {', '.join(_PARAMETERS)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"Rips({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            requires_fit=False,
        )
