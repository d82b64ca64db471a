"""A choice of layers to train, and what follows from it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Literal, TypeAlias

from torch import nn

from adabet_fast.nn.batches import Forward
from adabet_fast.nn.budget import Budget, default_optimizer
from adabet_fast.nn.channels import ChannelChoice, ChannelForm, cut_channels, restore_channels
from adabet_fast.nn.cost import TrainingCost
from adabet_fast.nn.criteria import check_choice
from adabet_fast.nn.files import read_json, write_json
from adabet_fast.nn.freeze import check_applied, freeze, is_frozen, thaw
from adabet_fast.nn.layers import SharedParameter as SharedParameter
from adabet_fast.nn.layers import check_model, label
from adabet_fast.nn.outlook import cost_of
from adabet_fast.nn.parameters import format_trainable_parameters
from adabet_fast.nn.patterns import Patterns
from adabet_fast.nn.pictures import Shown
from adabet_fast.nn.scores import LayerScores
from adabet_fast.nn.stability import Drift, as_recorded
from adabet_fast.nn.table import format_bytes
from adabet_fast.nn.trace import OptimizerFactory, Step

Rounding: TypeAlias = Literal["ceil", "floor", "round"]


@dataclass(frozen=True)
class Selection(Shown):
    """A choice of layers of a network: these are trained, all others frozen.

    A plain value that can be saved, and applied to any model with the same parameters (names, shapes, dtypes).
    Apply it *before* an optimizer, a ``Trainer``, DDP or FSDP is built: they take up the parameters as they find them.

    Attributes
    ----------
    scores
        What the choice was made from.
    layers
        Names of the chosen layers, best first.
    always_train
        Names of the layers that are trained besides and do not count in ``rho``, usually the classifier head.
    always_train_reason
        How they came to be.
    rho, rounding
        The share of layers that was asked for; None where the choice was made otherwise.
    k
        The number of layers that was asked for, or None.
    budget
        The budget that was kept to and what the selection costs, or None.
    channels
        For each chosen layer of which only some output channels are trained, which; see :meth:`with_channels`.
    include, exclude
        Which layers could be chosen, as given to :meth:`LayerScores.select`; a list is kept as a tuple.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from adabet_fast import Selection, select_layers
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    >>> selection = select_layers(network, [torch.randn(8, 2) for _ in range(5)], rho=1.0)
    >>> selection.apply(network)  # before the optimizer is built
    >>> selection.undo()
    >>> Selection.from_json(selection.to_json()) == selection
    True
    """

    __hash__ = None  # type: ignore[assignment]  # compared by value, and its parts are no dictionary keys either

    scores: LayerScores
    layers: tuple[str, ...]
    always_train: tuple[str, ...]
    always_train_reason: str
    rho: float | None = None
    rounding: Rounding | None = None
    k: int | None = None
    budget: Budget | None = None
    channels: Mapping[str, ChannelChoice] = field(default_factory=dict)
    include: Patterns = None
    exclude: Patterns = None
    _applied: list[weakref.ref[nn.Module]] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def trained_layers(self) -> tuple[str, ...]:
        """Names of all layers that are trained, in the order of the network."""
        return tuple(layer.name for layer in self.scores if layer.name in {*self.layers, *self.always_train})

    @property
    def trained_parameters(self) -> tuple[str, ...]:
        """Names of all parameters that are trained, as ``model.named_parameters()`` gives them."""
        return tuple(dict.fromkeys(name for layer in self.trained_layers for name in self.scores[layer].parameters))

    @property
    def trained_channels(self) -> dict[str, tuple[int, ...]]:
        """The output channels that are trained of each layer that is cut."""
        return {name: choice.trained for name, choice in self.channels.items()}

    @property
    def n_trainable(self) -> int:
        """Number of trained parameter elements; of layers cut by channels, those of the trained channels."""
        return sum(self._elements(name) for name in self.trained_parameters)

    def _elements(self, name: str) -> int:
        whole = self.scores.fingerprint.parameters[name].n_elements
        cut = self.channels.get(name.rpartition(".")[0])
        return whole if cut is None else whole // cut.n_channels * len(cut.trained)

    @property
    def n_parameters(self) -> int:
        """Number of parameter elements of the model, shared ones counted once."""
        return sum(shape.n_elements for shape in self.scores.fingerprint.parameters.values() if shape.tied_to is None)

    @property
    def trainable_bytes(self) -> int:
        """Bytes of the trained parameters, which is also what their gradients take."""
        shapes = self.scores.fingerprint.parameters
        return sum(self._elements(name) * shapes[name].itemsize for name in self.trained_parameters)

    @property
    def shared(self) -> tuple[SharedParameter, ...]:
        """Parameters that are trained though a layer that holds them is not chosen."""
        trained = self.trained_layers
        trained_with = {name: layer for layer in reversed(trained) for name in self.scores[layer].parameters}
        return tuple(
            SharedParameter(name, trained_with[name], layer.name)
            for layer in self.scores
            if layer.name not in trained
            for name in layer.parameters
            if name in trained_with
        )

    def apply(self, model: nn.Module, *, hold_statistics: bool = True, channels: ChannelForm = "slice") -> None:
        """Freeze the model but for the chosen layers.

        ``requires_grad`` is set on every parameter. Frozen normalisation layers with running statistics (and frozen
        parametrisations that iterate, such as spectral normalisation) are put in eval mode and stay there through
        later ``model.train()`` calls, in copies and pickles of the model too.

        Build the optimizer afterwards; one that was built before goes on updating frozen parameters that still have a
        gradient. Freeze before ``DistributedDataParallel`` and FSDP wrap the model. Frozen layers below a trained one
        cost no activations; those between a trained layer and the loss still do. Convert to ``SyncBatchNorm`` before,
        too: the modules that it puts in do not know that they are to stay in eval mode. Reentrant checkpointing
        (``use_reentrant=True``) gives no gradient to a block whose inputs need none, as when all below it is frozen.

        Parameters
        ----------
        model
            A model with the parameters of the one that was scored.
        hold_statistics
            False lets frozen running statistics follow the new data.
        channels
            How layers are cut by channels, if they are (:meth:`with_channels`). ``"slice"``: the trained channels
            become parameters of their own, so that gradients and optimizer state are theirs alone. ``"mask"``:
            gradients of the other channels are set to zero, which saves no memory; weight decay still moves them.

        Raises
        ------
        InvalidInputError
            If the model has other parameters.
        RuntimeError
            If a selection is applied to it already.
        """
        network = check_model(model)
        self.scores.fingerprint.check(network, "this selection")
        check_choice("channels", channels, ChannelForm)
        freeze(network, self.trained_parameters, hold_statistics=hold_statistics, channels=self.trained_channels)
        if self.channels:
            cut_channels(network, self.channels, channels)
        self._applied.append(weakref.ref(network))

    def undo(self, model: nn.Module | None = None) -> None:
        """Take an :meth:`apply` back: flags, modes and, where channels were cut, the modules are restored exactly.

        Values stay as trained.

        Parameters
        ----------
        model
            Which model; the one that this selection was applied to last if None. A copy of a frozen model can be
            named here too.

        Raises
        ------
        RuntimeError
            If no selection is applied.
        InvalidInputError
            If another selection is applied.
        """
        network = self._network(model, "undo")
        check_applied(network, self.trained_parameters, self.trained_channels)
        restore_channels(network)
        thaw(network)
        self._applied[:] = [ref for ref in self._applied if ref() not in (None, network)]

    @contextmanager
    def applied(
        self, model: nn.Module, *, hold_statistics: bool = True, channels: ChannelForm = "slice"
    ) -> Iterator[nn.Module]:
        """Apply for the length of a ``with`` block, and undo at its end, also after an error."""
        self.apply(model, hold_statistics=hold_statistics, channels=channels)
        try:
            yield model
        finally:
            self.undo(model)

    def with_channels(
        self, model: nn.Module, batches: Iterable[Any], rho_channel: float = 0.25, **how: Any
    ) -> Selection:
        """Rank the output channels of the chosen convolutions and linear layers by b1; train the best of each.

        Parameters
        ----------
        model, batches
            The model and batches of the new data, as in :func:`adabet_fast.nn.select_layers`; the model is not changed.
        rho_channel
            The share of each layer's channels that is trained, rounded up.
        **how
            ``n_batches``, ``forward``, ``mask``, ``sample_axis``, ``n_samples``, ``ranks``, ``dtype``, ``n_threads`` as
            in :func:`adabet_fast.nn.score_layers`; under ``torch.distributed`` the samples of all ranks count.

        Returns
        -------
        Selection
            This one with ``channels``. Layers that cannot be cut (see :mod:`adabet_fast.nn.channel_scores`) are trained
            whole.
        """
        from adabet_fast.nn.channel_scores import choose_channels

        found = choose_channels(model, batches, self, rho_channel, **how)
        return replace(self, channels=found)

    def cost(
        self,
        model: nn.Module,
        batch: Any,
        *,
        optimizer: OptimizerFactory = default_optimizer,
        step: Step | None = None,
        forward: Forward | None = None,
        channels: ChannelForm = "slice",
    ) -> TrainingCost:
        """Measure what one training step with this selection holds in memory, by running one and taking it back.

        Parameters
        ----------
        model
            The model. This selection may be applied to it already; else it is for the measurement. Training mode is
            on meanwhile.
        batch
            A batch of the size that will be trained on.
        optimizer
            Makes the optimizer from a list of parameters; AdamW by default.
        step
            ``step(model, batch)`` returns the loss. By default the batch is given as for scoring, and the outputs are
            summed up, which saves nothing by itself: a true loss adds about the size of the logits.
        forward
            As in :func:`adabet_fast.nn.score_layers`.
        channels
            As in :meth:`apply`.

        Returns
        -------
        TrainingCost
            Bytes of saved activations, gradients and optimizer state, and the names of parameters that got no gradient.
        """
        return cost_of(self, model, batch, optimizer, step, forward, channels)

    def drift(self, new_batches: Iterable[Any], model: nn.Module | None = None, **how: Any) -> Drift:
        """Score the layers on new data, and tell whether the same ones would be chosen by the same rule.

        Parameters
        ----------
        new_batches
            Batches of the new data, best as many and as large as those of the choice: b1 grows with the samples.
        model
            The model; the one that this selection was applied to last if None. Once it is trained, the change of its
            weights shows too.
        **how
            What :func:`adabet_fast.nn.score_layers` was given beside the score and its divisor; a callable score or
            divisor has to be given again. For a choice within a budget also ``train_batch``, ``step`` and
            ``optimizer`` as in :func:`adabet_fast.nn.select_layers`, if they were given there.

        Returns
        -------
        Drift
            Kendall tau between old and new scores, which chosen layers would stay, leave and enter. Of layers that
            were chosen by name (:meth:`LayerScores.select_named`) only the scores are compared.
        """
        from adabet_fast.nn.select import drift_by_rule  # which makes selections

        return drift_by_rule(self, self._network(model, "measure"), new_batches, **how)

    def _network(self, model: nn.Module | None, what: str) -> nn.Module:
        if model is not None:
            return check_model(model)
        alive = [network for network in (ref() for ref in self._applied) if network is not None and is_frozen(network)]
        if not alive:
            raise RuntimeError(f"this selection is applied to no model, so there is nothing to {what}")
        return alive[-1]

    def target_modules(self, model: nn.Module | None = None, *, always_train: bool = False) -> str:
        """Return the chosen layers as PEFT's ``target_modules``; see :func:`adabet_fast.nn.lora.target_modules`."""
        from adabet_fast.nn.lora import target_modules

        return target_modules(self, model, always_train=always_train)

    def modules_to_save(self, model: nn.Module | None = None) -> list[str]:
        """Return the layers always trained, for PEFT; see :func:`adabet_fast.nn.lora.modules_to_save`."""
        from adabet_fast.nn.lora import modules_to_save

        return modules_to_save(self, model)

    def print_trainable_parameters(self) -> None:
        """Print what is trained, in the format of PEFT."""
        print(format_trainable_parameters(self.n_trainable, self.n_parameters))  # noqa: T201

    def table(self) -> str:
        """Lay the scores out as text, with what was chosen."""
        return self.scores.table(self._marked()[1])

    def _marked(self) -> tuple[LayerScores, Mapping[str, str]]:
        return self.scores, dict.fromkeys(self.layers, "yes") | dict.fromkeys(self.always_train, "always")

    def summary(self) -> str:
        """Say in a few lines what was chosen and what is trained."""
        asked = "" if self.rho is None else f" (rho={self.rho:g}, {self.rounding})"
        asked = asked if self.k is None else f" (k={self.k})"
        lines = [f"chosen: {', '.join(map(label, self.layers)) or 'no layer'}{asked}"]
        if self.always_train:
            lines.append(f"always trained: {', '.join(map(label, self.always_train))} ({self.always_train_reason})")
        else:
            lines.append(f"always trained: none ({self.always_train_reason})")
        lines.append(format_trainable_parameters(self.n_trainable, self.n_parameters))
        lines.append(f"trained values: {format_bytes(self.trainable_bytes)}, and as much for their gradients")
        if self.budget is not None:
            lines.append(str(self.budget))
        lines += [f"of '{label(name)}' {choice}" for name, choice in self.channels.items()]
        return "\n".join(lines + [f"shared: {shared}" for shared in self.shared])

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.scores.summary()}\n{self.summary()}"

    def __repr__(self) -> str:
        names = f"layers={list(self.layers)}, always_train={list(self.always_train)}"
        return f"Selection({names}, n_trainable={self.n_trainable})"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_applied": []}

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return the selection, its scores and the fingerprint as JSON, and write it to a file if a path is given."""
        data = {
            "layers": list(self.layers),
            "always_train": list(self.always_train),
            "always_train_reason": self.always_train_reason,
            "rho": self.rho,
            "rounding": self.rounding,
            "k": self.k,
            "budget": None if self.budget is None else self.budget.to_dict(),
            "channels": {name: choice.to_dict() for name, choice in self.channels.items()},
            "include": self.include,
            "exclude": self.exclude,
            "scores": self.scores.to_dict(),
        }
        return write_json("Selection", data, path)

    @classmethod
    def from_json(cls, source: str | PathLike[str]) -> Selection:
        """Read what :meth:`to_json` wrote: the text, or the path of a file."""

        def make(data: Mapping[str, Any]) -> Selection:
            scores = LayerScores.from_dict(data["scores"])
            names = {layer.name for layer in scores}
            layers, always = tuple(data["layers"]), tuple(data["always_train"])
            if not names.issuperset(layers + always):
                raise ValueError(f"layers {sorted({*layers, *always} - names)} are not among the scores")
            budget, channels = data.get("budget"), data.get("channels") or {}
            return cls(
                scores,
                layers,
                always,
                data["always_train_reason"],
                data["rho"],
                data["rounding"],
                data.get("k"),
                None if budget is None else Budget.from_dict(budget),
                {name: ChannelChoice.from_dict(choice) for name, choice in channels.items()},
                *(as_recorded(data.get(key)) for key in ("include", "exclude")),
            )

        return read_json("Selection", source, make)
