"""What a selection would cost in training, and whether new data would change it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from torch import nn

from adabet_fast.nn.batches import Forward
from adabet_fast.nn.channels import ChannelForm
from adabet_fast.nn.cost import TrainingCost, training_cost
from adabet_fast.nn.fingerprint import Fingerprint
from adabet_fast.nn.freeze import check_applied, is_frozen
from adabet_fast.nn.layers import check_model
from adabet_fast.nn.trace import OptimizerFactory, Step, loss_of, model_kept

if TYPE_CHECKING:
    from adabet_fast.nn.scores import LayerScores
    from adabet_fast.nn.selection import Selection


def cost_of(
    selection: Selection,
    model: nn.Module,
    batch: Any,
    optimizer: OptimizerFactory,
    step: Step | None,
    forward: Forward | None,
    channels: ChannelForm,
) -> TrainingCost:
    """Run one training step with a selection and take it back; see :meth:`Selection.cost`."""
    network = check_model(model)
    check_applied(network, selection.trained_parameters, selection.trained_channels)
    with ExitStack() as undo:
        undo.enter_context(model_kept(network))
        if not is_frozen(network):
            undo.enter_context(selection.applied(network, channels=channels))
        network.train()
        loss = loss_of(network, batch, step=step, forward=forward)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return training_cost(network, lambda: loss(network), optimizer(trained))


def scores_anew(selection: Selection, model: nn.Module, new_batches: Iterable[Any], how: dict[str, Any]) -> LayerScores:
    """Score a selection's layers on new data as they were scored before; see :meth:`Selection.drift`."""
    from adabet_fast.nn.scoring import score_layers

    if not Fingerprint.of(model).is_cut:
        selection.scores.fingerprint.check(model, "this selection")
    settings = selection.scores.settings
    same = {
        "score": settings.score,
        "normalize": settings.normalize,
        "pooling": settings.pooling,
        "unit": settings.unit,
        "dtype": settings.dtype,
        "n_batches": None,
    }
    return score_layers(model, new_batches, **{**same, **how})
