"""The scores of a network's layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.criteria import Normalize, ScoreName, check_criterion, score_of
from adabet_fast.nn.files import read_json, write_json
from adabet_fast.nn.fingerprint import Fingerprint
from adabet_fast.nn.layers import label
from adabet_fast.nn.table import as_html, format_table

if TYPE_CHECKING:
    from adabet_fast.nn.selection import Rounding, Selection


@dataclass(frozen=True)
class LayerScore:
    """One layer and what was measured of it.

    Attributes
    ----------
    name
        The module's name in the model; the empty string for the model itself.
    type
        The module's class.
    parameters
        Names of its parameters in the model.
    n_parameters
        Their elements.
    status
        ``"scored"``, or why it was not: ``"not observed"`` (its module was never called), ``"tied to ..."`` (all its
        parameters belong to an earlier layer, which carries the score), ...
    b1
        H1 bars of its activations; with ``pooling="sum"`` summed over the batches. None if not scored.
    size
        |a|, the activations of one sample.
    total_persistence
        Summed lengths of the bars, if asked for.
    score
        The score, larger is better.
    rank
        1 for the best.
    calls
        Times the module was called in a forward pass; outputs of several calls stand side by side.
    note
        How its outputs were read, if that was not plain.
    """

    name: str
    type: str
    parameters: tuple[str, ...]
    n_parameters: int
    status: str = "scored"
    b1: int | None = None
    size: int | None = None
    total_persistence: float | None = None
    score: float | None = None
    rank: int | None = None
    calls: int = 0
    note: str = ""

    def scored_by(self, score: ScoreName, normalize: Normalize) -> float:
        """Return the score that a rule gives these measurements."""
        if self.b1 is None or self.size is None:
            raise InvalidInputError(f"score: layer '{label(self.name)}' was not measured")
        return score_of(
            score,
            normalize,
            b1=self.b1,
            total_persistence=self.total_persistence,
            size=self.size,
            n_parameters=self.n_parameters,
        )


@dataclass(frozen=True)
class Settings:
    """How scores came about.

    Attributes
    ----------
    score, normalize, pooling, unit, dtype
        As given to :func:`adabet_fast.nn.score_layers`; a callable score by its name.
    batch_sizes
        Samples of each forward pass.
    merged
        Number of batches that were merged into one pass, which changes low bits of activations; None if run as given.
    seconds_forward, seconds_homology
        Time of the forward passes with the copies of the activations, and of the distances and H1.
    """

    score: str = "adabet"
    normalize: Normalize = "activation"
    pooling: str = "pool"
    unit: str = "module"
    dtype: str = "float32"
    batch_sizes: tuple[int, ...] = ()
    merged: int | None = None
    seconds_forward: float = field(default=0.0, compare=False)
    seconds_homology: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class LayerScores(Sequence[LayerScore]):
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
            ``"activation"``, ``"none"`` or ``"parameters"``.

        Returns
        -------
        LayerScores
        """
        if callable(score):
            raise InvalidInputError("score: a callable needs the activations; give it to score_layers")
        check_criterion(score, normalize)
        layers = [
            replace(layer, score=layer.scored_by(score, normalize)) if layer.rank is not None else layer
            for layer in self.layers
        ]
        return replace(
            self, layers=with_ranks(layers), settings=replace(self.settings, score=score, normalize=normalize)
        )

    def select(
        self,
        rho: float = 0.1,
        *,
        rounding: Rounding = "ceil",
        always_train: str | Sequence[str] | None = "auto",
    ) -> Selection:
        """Choose the best layers; see :func:`adabet_fast.nn.select_layers` for the parameters."""
        from adabet_fast.nn.choice import choose  # choices know scores, not the other way round

        return choose(self, rho, rounding=rounding, always_train=always_train)

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
        header = ["layer", "type", "parameters", "b1", "|a|", "score", "rank"]
        rows = []
        for layer in self.layers:
            numbers = [
                _cell(layer.b1),
                _cell(layer.size),
                "" if layer.score is None else f"{layer.score:.4g}",
                _cell(layer.rank),
            ]
            remark = "; ".join(filter(None, ["" if layer.status == "scored" else layer.status, layer.note]))
            rows.append(
                [
                    label(layer.name),
                    layer.type,
                    f"{layer.n_parameters:,}",
                    *numbers,
                    (chosen or {}).get(layer.name, ""),
                    remark,
                ]
            )
        columns, sides = [*header, "chosen", "remarks"], "<<>>>>><<"
        keep = [i for i in range(len(columns)) if i < len(header) or any(row[i] for row in rows)]
        return format_table(
            [columns[i] for i in keep], [[row[i] for i in keep] for row in rows], "".join(sides[i] for i in keep)
        )

    def summary(self) -> str:
        """Say in a few lines how the scores came about."""
        how = self.settings
        sizes = how.batch_sizes
        same = f"{len(sizes)} x {sizes[0]}" if len(set(sizes)) == 1 else " + ".join(map(str, sizes))
        merged = (
            ""
            if how.merged is None
            else f", {how.merged} batches merged into one, which changes low bits of the activations"
        )
        pooling = "one cloud" if how.pooling == "pool" else "b1 of each batch summed"
        head = ", ".join(map(label, self.head))
        return "\n".join(
            [
                f"{len(self.ranked())} of {len(self)} layers scored by {how.score!r} (normalize={how.normalize!r}) "
                f"on {sum(sizes)} samples ({same}, {pooling}{merged})",
                f"head: {head} ({self.head_reason})" if head else f"head: {self.head_reason}",
                f"forward passes {how.seconds_forward:.3f} s, homology {how.seconds_homology:.3f} s",
            ]
        )

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.summary()}"

    def _repr_html_(self) -> str:
        return as_html(str(self))

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
        layers = [
            LayerScore(**{**_known(LayerScore, layer), "parameters": tuple(layer["parameters"])})
            for layer in data["layers"]
        ]
        how = _known(Settings, data["settings"])
        return cls(
            layers=tuple(layers),
            settings=Settings(**{**how, "batch_sizes": tuple(how["batch_sizes"])}),
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
    return {key: value for key, value in data.items() if key in names}


def _cell(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
