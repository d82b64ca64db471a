"""Choose layers in a Lightning ``Trainer``."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any

from torch import nn

try:
    from lightning.pytorch.callbacks import BaseFinetuning
except ImportError as error:  # pragma: no cover (said where it is imported)
    raise ImportError("adabet_fast.nn.lightning needs lightning: pip install lightning") from error

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.channels import restore_channels
from adabet_fast.nn.freeze import is_frozen, thaw
from adabet_fast.nn.select import select_layers
from adabet_fast.nn.selection import Selection

_STATE = "adabet_selection"


class AdaBetFinetuning(BaseFinetuning):
    """Chooses layers before the optimizers are configured, and freezes the others for the whole training.

    The selection is part of every checkpoint; training that resumes from one goes on with it instead of choosing anew.

    Parameters
    ----------
    batches
        Batches of the new data, as for :func:`adabet_fast.nn.select_layers`. None with ``selection``.
    rho
        The share of layers to train; None with ``k=`` or a budget.
    network
        Name of the attribute of the ``LightningModule`` that holds the network, such as ``"net"`` or
        ``"net.backbone"``; the module itself if None. What is outside of it stays as it is.
    selection
        A selection, or the path of its JSON, to be used instead of choosing.
    channels
        As in :meth:`~adabet_fast.nn.Selection.apply`.
    **how
        What else :func:`adabet_fast.nn.select_layers` takes.

    Attributes
    ----------
    selection
        The selection, once training has been set up.
    source
        ``"chosen"``, ``"given"`` or ``"checkpoint"``.

    Examples
    --------
    A ``Trainer`` takes it in its list of callbacks (see docs/training.md for one that runs)::

        callback = AdaBetFinetuning(batches, rho=0.1, network="net")
        Trainer(max_epochs=3, callbacks=[callback]).fit(module, loader)
    """

    def __init__(
        self,
        batches: Iterable[Any] | None = None,
        rho: float | None = None,
        *,
        network: str | None = None,
        selection: Selection | str | PathLike[str] | None = None,
        channels: Any = "slice",
        **how: Any,
    ) -> None:
        super().__init__()
        if (batches is None) == (selection is None):
            raise InvalidInputError("batches: give either batches to choose by, or a selection")
        self.batches = batches
        self.rho = rho
        self.network = network
        self.how = how
        self.channels = channels
        self.selection = selection if isinstance(selection, (Selection, type(None))) else Selection.from_json(selection)
        self.source = "given"

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Choose and freeze, unless a checkpoint is about to be read: that one says what."""
        if stage == "fit" and trainer.ckpt_path is None:
            self.freeze_before_training(pl_module)

    def freeze_before_training(self, pl_module: Any) -> None:
        """Choose, if that is still to be done, and freeze. Called before optimizers are configured."""
        network = self._network_of(pl_module)
        if is_frozen(network):
            if self.selection is not None and self.source != "given":
                return  # a second fit goes on with the same choice
            raise RuntimeError("a selection is applied to this network already; undo it first")
        if self.selection is None:
            self.selection = select_layers(network, self.batches or (), self.rho, **self.how)
            self.source = "chosen"
        self.selection.apply(network, channels=self.channels)

    def finetune_function(self, pl_module: Any, epoch: int, optimizer: Any) -> None:
        """Do nothing: the choice holds for the whole training."""

    def state_dict(self) -> dict[str, Any]:
        """Return what goes into a checkpoint: the selection, as JSON."""
        own = {} if self.selection is None else {_STATE: self.selection.to_json()}
        return {**super().state_dict(), **own}

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Apply the checkpoint's selection; called after weights are read and before optimizers are configured."""
        if getattr(trainer.state.fn, "value", trainer.state.fn) != "fit":
            return
        saved = checkpoint.get("callbacks", {}).get(self.state_key, {}).get(_STATE)
        network = self._network_of(pl_module)
        if saved is not None:
            self.selection = Selection.from_json(saved)
            self.source = "checkpoint"
            if is_frozen(network):
                restore_channels(network)  # whichever selection it is
                thaw(network)
        self.freeze_before_training(pl_module)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Check that a selection is applied, and let Lightning restore the optimizers' groups."""
        if not is_frozen(self._network_of(pl_module)):
            raise RuntimeError("the checkpoint was loaded without its callbacks, so no selection is applied")
        super().on_fit_start(trainer, pl_module)

    def _network_of(self, pl_module: nn.Module) -> nn.Module:
        return pl_module if self.network is None else pl_module.get_submodule(self.network)
