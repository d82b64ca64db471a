"""Exact degree-1 persistent homology of neural-network activations, and layer selection by AdaBet.

`betti1`, `betti1_batch`, `h1` and `pairwise_distances` measure point clouds; `score_layers` and `select_layers` choose
the layers of a PyTorch model that are worth training (they import torch when first used).
"""

from __future__ import annotations

from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

try:
    from adabet_fast import _core
except ImportError as error:
    raise ImportError(
        f"the native module adabet_fast._core could not be loaded ({error}). Install the package with its compiled "
        "part: `pip install .` in the source folder needs a C++20 compiler. If Python found the bare source folder "
        "instead of an installed package, start it elsewhere or remove that folder from PYTHONPATH."
    ) from error

from adabet_fast._backends import backends
from adabet_fast._drop_in import Rips, correlation_to_distance, lower_star_img, ripser
from adabet_fast._plan import MemoryPlan, estimate_memory
from adabet_fast.barcode import Barcode
from adabet_fast.distances import pairwise_distances, pairwise_distances_batch
from adabet_fast.errors import BackendUnavailableError, CrossCheckError, InvalidInputError, MemoryBudgetError
from adabet_fast.homology import betti1, betti1_batch, h1

if TYPE_CHECKING:
    from adabet_fast.nn import LayerScores, Selection, print_trainable_parameters, score_layers, select_layers
    from adabet_fast.transformer import VietorisRipsH1

__version__: str = _core.__version__

_FROM_NN = frozenset({"LayerScores", "Selection", "print_trainable_parameters", "score_layers", "select_layers"})

__all__ = [
    "BackendUnavailableError",
    "Barcode",
    "CrossCheckError",
    "InvalidInputError",
    "LayerScores",
    "MemoryBudgetError",
    "MemoryPlan",
    "Rips",
    "Selection",
    "VietorisRipsH1",
    "__version__",
    "backends",
    "betti1",
    "betti1_batch",
    "correlation_to_distance",
    "estimate_memory",
    "h1",
    "lower_star_img",
    "pairwise_distances",
    "pairwise_distances_batch",
    "print_trainable_parameters",
    "ripser",
    "score_layers",
    "select_layers",
]


# What cannot be had is not offered: help(), tab completion and `import *` work without torch.
if _find_spec("torch") is None:
    __all__ = [name for name in __all__ if name not in _FROM_NN]
if _find_spec("sklearn") is None:
    __all__ = [name for name in __all__ if name != "VietorisRipsH1"]


def __getattr__(name: str) -> object:
    if name == "VietorisRipsH1":
        return _transformer()
    if name not in _FROM_NN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from adabet_fast import nn
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            f"adabet_fast.{name} needs PyTorch, which is not installed: pip install torch", name="torch"
        ) from error

    value = getattr(nn, name)
    globals()[name] = value
    return value


def _transformer() -> object:
    try:
        from adabet_fast.transformer import VietorisRipsH1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("sklearn", "joblib"):
            raise
        raise ModuleNotFoundError(
            "adabet_fast.VietorisRipsH1 needs scikit-learn, which is not installed: pip install scikit-learn",
            name="sklearn",
        ) from error

    globals()["VietorisRipsH1"] = VietorisRipsH1
    return VietorisRipsH1


def __dir__() -> list[str]:
    return sorted({*__all__, "__doc__", "__file__", "__name__", "__path__"})
