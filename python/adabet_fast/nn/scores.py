"""The scores of a network's layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.criteria import Normalize, ScoreName, check_criterion, name_of
from adabet_fast.nn.files import read_json, write_json
from adabet_fast.nn.fingerprint import Fingerprint
from adabet_fast.nn.layer_score import LayerScore, Settings
from adabet_fast.nn.layers import label
from adabet_fast.nn.memory import MemoryUse
from adabet_fast.nn.pictures import Shown, table_of

if TYPE_CHECKING:
    from torch import nn

    from adabet_fast.nn.batches import Forward
    from adabet_fast.nn.selection import Rounding, Selection
    from adabet_fast.nn.stability import Stability
    from adabet_fast.nn.trace import OptimizerFactory, Step


@dataclass(frozen=True)
class LayerScores(Shown, Sequence[LayerScore]):
    """The scores of a network's layers, in the order of ``model.named_modules()``. Made by :func:`score_layers`.

    A sequence of :class:`LayerScore`, also indexed by name; ``print`` shows it as a table.

    Attributes
    ----------
    layers
        All layers, also those without a score.
    settings
        How the scores came about.
    head
        Names of the layers that make up the classifier head, if one was found.
    head_reason
        How it was recognised, or why there is none.
    fingerprint
        Names, shapes and dtypes of the model's parameters.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from adabet_fast import score_layers
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    >>> scores = score_layers(network, [torch.randn(8, 2) for _ in range(5)])
    >>> by_size = scores.rescore("size")
    >>> [layer.name for layer in by_size.ranked()]
    ['2', '0']
    >>> by_size.select(rho=0.5).trained_layers
    ('0', '2')
    """

    __hash__ = None  # type: ignore[assignment]  # compared by value, and its parts are no dictionary keys either

    layers: tuple[LayerScore, ...]
    settings: Settings
    head: tuple[str, ...]
    head_reason: str
    fingerprint: Fingerprint

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return self.layers[key]
        for layer in self.layers:
            if layer.name == key:
                return layer
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return any(layer.name == key for layer in self.layers) if isinstance(key, str) else key in self.layers

    def __iter__(self) -> Iterator[LayerScore]:
        return iter(self.layers)

    def ranked(self) -> list[LayerScore]:
        """Return the layers that have a score, best first; of equal scores the earlier layer comes first."""
        scored = [layer for layer in self.layers if layer.rank is not None]
        return sorted(scored, key=lambda layer: layer.rank or 0)

    def rescore(self, score: ScoreName = "adabet", normalize: Normalize = "activation") -> LayerScores:
        """Rank the same measurements by another score, without another forward pass.

        Parameters
        ----------
        score
            ``"adabet"``, ``"b1"``, ``"size"``, or ``"total_persistence"`` if that was measured.
        normalize
            ``"activation"``, ``"none"``, ``"parameters"``, a cost that was measured (``"flops"``, ``"saved_bytes"``,
            ``"latency"``), or a callable on a :class:`LayerScore` that returns a positive number.

        Returns
        -------
        LayerScores
        """
        if callable(score):
            raise InvalidInputError("score: a callable needs the activations; give it to score_layers")
        check_criterion(score, normalize)
        layers = [
            layer
            if layer.rank is None
            else replace(
                layer,
                score=layer.scored_by(score, normalize),
                resampled_scores=layer.parts_scored_by(score, normalize),
            )
            for layer in self.layers
        ]
        return replace(
            self, layers=with_ranks(layers), settings=replace(self.settings, score=score, normalize=name_of(normalize))
        )

    def stability(self) -> Stability:
        """Compare the rankings that parts of the samples give; needs ``score_layers(resamples=...)``.

        Returns
        -------
        Stability
            Kendall tau of each pair of parts, and how much of the best tenth each has in common with all samples.
        """
        from adabet_fast.nn.stability import stability_of

        return stability_of(self)

    def select(
        self,
        rho: float | None = None,
        *,
        k: int | None = None,
        budget_bytes: float | None = None,
        budget_flops: float | None = None,
        rounding: Rounding = "ceil",
        always_train: str | Sequence[str] | None = "auto",
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        model: nn.Module | None = None,
        batch: Any = None,
        step: Step | None = None,
        forward: Forward | None = None,
        optimizer: OptimizerFactory | None = None,
    ) -> Selection:
        """Choose the best layers: a share, a number, or as many as a budget holds.

        Parameters
        ----------
        rho, rounding, always_train
            As in :func:`adabet_fast.nn.select_layers`; 0.1 if nothing else is asked for.
        k
            How many layers.
        budget_bytes
            What one training step may hold beyond parameters and buffers, with the chosen layers and those that are
            always trained: activations saved for backward, also by frozen layers that a gradient passes through,
            gradients, optimizer state. Layers are taken in the order of their rank; what does not fit is passed over.
        budget_flops
            The same for the operations of one step, forward and backward, as ``torch.utils.flop_counter`` counts them.
        include, exclude
            Which layers may be chosen, as PEFT reads its ``target_modules``: a string is a regular expression for the
            whole name, of a list each entry is a whole name or its end from a dot on. ``rho`` is of what is left.
        model, batch
            For a budget: the model, and a batch of the size that will be trained on.
        step
            For a budget: ``step(model, batch)`` returns the loss. By default the batch is given as for scoring and its
            outputs are summed up.
        forward
            For a budget: as in :func:`score_layers`.
        optimizer
            For ``budget_bytes``: makes the optimizer from a list of parameters; AdamW by default.

        Returns
        -------
        Selection

        Notes
        -----
        A budget costs some traced steps, two a layer at most, on tensors without values (a tenth of a second each for
        ResNet50), and one true forward pass to confirm; models whose course depends on values are run truly each time.
        """
        from adabet_fast.nn.choice import Wish, choose  # choices know scores, not the other way round
        from adabet_fast.nn.stability import as_recorded
        from adabet_fast.nn.trace import StepTracer

        wish = Wish(rho, k, budget_bytes, budget_flops, rounding, include, exclude)
        trace = None if batch is None else lambda network: StepTracer(network, batch, step=step, forward=forward)
        made = choose(self, wish, always_train, model, trace, optimizer)
        return replace(made, include=as_recorded(include), exclude=as_recorded(exclude))

    def select_named(
        self, layers: str | Sequence[str], *, always_train: str | Sequence[str] | None = "auto"
    ) -> Selection:
        """Choose layers by other means than their scores: at random, the last ones, all.

        Parameters
        ----------
        layers
            Names, names of modules around them, or shell patterns.
        always_train
            As in :func:`adabet_fast.nn.select_layers`.

        Returns
        -------
        Selection
        """
        from adabet_fast.nn.choice import choose_named

        return choose_named(self, layers, always_train=always_train)

    def table(self, chosen: Mapping[str, str] | None = None) -> str:
        """Lay the scores out as text, in the order of the network.

        Parameters
        ----------
        chosen
            Layer names and what to write into a last column about them.

        Returns
        -------
        str
        """
        return table_of(self, chosen or {}).text()

    def _marked(self) -> tuple[LayerScores, Mapping[str, str]]:
        return self, {}

    def summary(self) -> str:
        """Say in a few lines how the scores came about."""
        how = self.settings
        sizes = how.batch_sizes
        same = f"{len(sizes)} x {sizes[0]}" if len(set(sizes)) == 1 else " + ".join(map(str, sizes))
        merged = ""
        if how.merged is not None:
            once = "one on each rank" if how.ranks > 1 else "one"
            merged = f", {how.merged} batches merged into {once}, which changes low bits of the activations"
        pooling = "one cloud" if how.pooling == "pool" else "b1 of each batch summed"
        head = ", ".join(map(label, self.head))
        return "\n".join(
            [
                f"{len(self.ranked())} of {len(self)} layers scored by {how.score!r} (normalize={how.normalize!r}) "
                f"on {sum(sizes)} samples ({same}, {pooling}{merged})",
                f"head: {head} ({self.head_reason})" if head else f"head: {self.head_reason}",
                f"forward passes {how.seconds_forward:.3f} s, distances {how.seconds_distances:.3f} s, "
                f"homology {how.seconds_homology:.3f} s",
                *([] if how.memory is None else [how.memory.summary()]),
            ]
        )

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.summary()}"

    def __repr__(self) -> str:
        best = self.ranked()[:1]
        top = f", best='{label(best[0].name)}'" if best else ""
        n_samples = sum(self.settings.batch_sizes)
        return f"LayerScores({len(self)} layers, score={self.settings.score!r}, {n_samples} samples{top})"

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain lists, strings and numbers."""
        return {
            "layers": [asdict(layer) for layer in self.layers],
            "settings": asdict(self.settings),
            "head": list(self.head),
            "head_reason": self.head_reason,
            "fingerprint": self.fingerprint.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerScores:
        """Undo :meth:`to_dict`."""
        layers = [LayerScore(**_known(LayerScore, layer)) for layer in data["layers"]]
        how = _known(Settings, data["settings"])
        return cls(
            layers=tuple(layers),
            settings=Settings(
                **{
                    **how,
                    "batch_sizes": tuple(how["batch_sizes"]),
                    "memory": None if how.get("memory") is None else MemoryUse(**how["memory"]),
                }
            ),
            head=tuple(data["head"]),
            head_reason=data["head_reason"],
            fingerprint=Fingerprint.from_dict(data["fingerprint"]),
        )

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return the scores as JSON, and write it to a file if a path is given."""
        return write_json("LayerScores", self.to_dict(), path)

    @classmethod
    def from_json(cls, source: str | PathLike[str]) -> LayerScores:
        """Read what :meth:`to_json` wrote: the text, or the path of a file."""
        return read_json("LayerScores", source, cls.from_dict)


def with_ranks(layers: Sequence[LayerScore]) -> tuple[LayerScore, ...]:
    """Number the layers that have a score from the best on; of equal scores the earlier layer comes first.

    >>> a, b, c = (LayerScore(n, "Linear", (n,), 1, score=s) for n, s in [("a", 0.5), ("b", 0.75), ("c", 0.5)])
    >>> [layer.rank for layer in with_ranks([a, b, c])]
    [2, 1, 3]
    """
    order = sorted((-layer.score, i) for i, layer in enumerate(layers) if layer.score is not None)
    ranks = {i: rank for rank, (_, i) in enumerate(order, start=1)}
    return tuple(replace(layer, rank=ranks.get(i)) for i, layer in enumerate(layers))


def _known(kind: type[LayerScore] | type[Settings], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in names}
