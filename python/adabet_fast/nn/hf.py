"""Choose layers in a Hugging Face ``Trainer``."""

from __future__ import annotations

from collections.abc import Iterable
from logging import getLogger
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

try:
    from transformers import TrainerCallback
    from transformers.trainer_utils import get_last_checkpoint
except ImportError as error:  # pragma: no cover (said where it is imported)
    raise ImportError("adabet_fast.nn.hf needs transformers and accelerate: pip install transformers[torch]") from error

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.freeze import is_frozen
from adabet_fast.nn.select import select_layers
from adabet_fast.nn.selection import Selection

FILE_NAME = "adabet_selection.json"
"""The selection's file in the output folder."""

_log = getLogger(__name__)


class AdaBetCallback(TrainerCallback):
    """Chooses layers when the ``Trainer`` is built, which is before its optimizer, and freezes the others.

    At ``on_init_end`` there is no data loader yet, so the callback is given batches. The selection is saved in the
    output folder. Where that folder holds a checkpoint, the saved selection is read instead of choosing anew: training
    that resumes goes on with the same layers, and the optimizer's state fits.

    With reentrant gradient checkpointing, embeddings are made to require gradients (``enable_input_require_grads``): a
    block none of whose inputs needs a gradient would give none to its own layers.

    Parameters
    ----------
    batches
        Batches of the new data, as for :func:`adabet_fast.nn.select_layers`. None with ``selection``.
    rho
        The share of layers to train; None with ``k=`` or a budget.
    selection
        A selection, or the path of its JSON, to be used instead of choosing.
    channels
        As in :meth:`~adabet_fast.nn.Selection.apply`.
    **how
        What else :func:`adabet_fast.nn.select_layers` takes.

    Attributes
    ----------
    selection
        The selection, once the Trainer is built.
    source
        ``"chosen"``, ``"given"``, or the path that it was read from.

    Examples
    --------
    A ``Trainer`` takes it in its list of callbacks (see docs/training.md for one that runs)::

        callback = AdaBetCallback(batches, rho=0.1)
        trainer = Trainer(model, args, train_dataset=dataset, callbacks=[callback])
        trainer.train()
        trainer.train(resume_from_checkpoint=True)  # in a later process, with a callback of its own
    """

    def __init__(
        self,
        batches: Iterable[Any] | None = None,
        rho: float | None = None,
        *,
        selection: Selection | str | PathLike[str] | None = None,
        channels: Any = "slice",
        **how: Any,
    ) -> None:
        if (batches is None) == (selection is None):
            raise InvalidInputError("batches: give either batches to choose by, or a selection")
        self.batches = batches
        self.rho = rho
        self.how = how
        self.channels = channels
        self.selection = selection if isinstance(selection, (Selection, type(None))) else Selection.from_json(selection)
        self.source = "given"

    def on_init_end(self, args: Any, state: Any, control: Any, model: nn.Module | None = None, **_: Any) -> None:
        """Choose or read, apply, and save."""
        if model is None:
            raise InvalidInputError("model: the Trainer has no model yet; give it one instead of model_init")
        path = Path(args.output_dir) / FILE_NAME
        if path.is_file() and get_last_checkpoint(args.output_dir) is not None:  # type: ignore[no-untyped-call]
            self.selection = Selection.from_json(path)
            self.source = str(path)
            _log.info("AdaBet: %s holds a checkpoint; its selection is used again", args.output_dir)
        elif self.selection is None:
            self.selection = select_layers(model, self.batches or (), self.rho, **self.how)
            self.source = "chosen"
        self.selection.apply(model, channels=self.channels)
        if _checkpoints_reentrantly(args):
            enable: Any = model.enable_input_require_grads
            enable()  # else a block above frozen layers gets no gradient
        if args.should_save and self.source != str(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.selection.to_json(path)

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: nn.Module | None = None, optimizer: Any = None, **_: Any
    ) -> None:
        """Check that what is trained is what was chosen."""
        if model is None or self.selection is None:
            return
        if not any(is_frozen(module) for module in model.modules()):
            raise RuntimeError(
                "the Trainer trains another model than it was built with (model_init makes a new one each time), on "
                "which no selection is applied; apply it in model_init: selection.apply(model)"
            )
        if state.global_step > 0 and self.source == "chosen":
            raise RuntimeError(
                f"training resumes at step {state.global_step}, but {Path(args.output_dir) / FILE_NAME} was not there "
                "when the Trainer was built, so other layers may have been chosen; give AdaBetCallback(selection=path)"
            )
        groups = getattr(optimizer, "param_groups", [])
        trained = {id(p) for group in groups for p in group["params"]}
        missing = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in trained]
        if groups and missing:
            raise RuntimeError(
                f"the optimizer does not have '{missing[0]}', which is to be trained: it was built before the "
                "selection was applied; let the Trainer build it"
            )


def _checkpoints_reentrantly(args: Any) -> bool:
    for name in ("activation_checkpointing", "gradient_checkpointing"):  # since and before transformers 5
        if getattr(args, name, None):
            chosen = getattr(args, f"{name}_kwargs", None) or {}
            return bool(chosen.get("use_reentrant", not hasattr(args, "activation_checkpointing")))
    return False
