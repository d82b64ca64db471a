"""The peers, each called as its own users call it. This runs inside the measured process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Call = Callable[[], list[Any]]


@dataclass(frozen=True)
class Data:
    """What is measured: one or many clouds, or matrices, or one graph (scipy COO, each edge once)."""

    kind: str  # "points", "matrix" or "graph"
    clouds: list[Any]
    threshold: float = np.inf
    folder: str = "."  # for files; whoever starts the process takes it away, also where the process was killed
    notes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Rival:
    """A peer in one of its settings; `prepare(data)` imports it and gives the call that is timed."""

    name: str
    package: str
    module: str
    prepare: Callable[[Data], Call]
    batch_only: bool = False


def _ripser(data: Data) -> Call:
    from ripser import ripser

    given = data.kind != "points"
    return lambda: [ripser(x, maxdim=1, thresh=data.threshold, distance_matrix=given)["dgms"][1] for x in data.clouds]


def _giotto(n_threads: int, collapse: bool) -> Callable[[Data], Call]:
    def prepare(data: Data) -> Call:
        from gph import ripser_parallel

        metric = "euclidean" if data.kind == "points" else "precomputed"
        return lambda: [
            ripser_parallel(
                x, maxdim=1, thresh=data.threshold, metric=metric, n_threads=n_threads, collapse_edges=collapse
            )["dgms"][1]
            for x in data.clouds
        ]

    return prepare


def _gudhi(collapses: int, n_jobs: int | None = None) -> Callable[[Data], Call]:
    def prepare(data: Data) -> Call:
        from gudhi.sklearn import RipsPersistence

        kinds = {"points": "point cloud", "matrix": "full distance matrix", "graph": "distance coo_matrix"}
        rips = RipsPersistence(
            homology_dimensions=1,
            threshold=data.threshold,
            input_type=kinds[data.kind],
            num_collapses=collapses,
            homology_coeff_field=2,
            n_jobs=n_jobs,
        )
        return lambda: list(rips.fit_transform(data.clouds))

    return prepare


def _pydory(n_threads: int) -> Callable[[Data], Call]:
    """Dory reads text: points while these are few numbers, else the edges up to the enclosing radius.

    What it then computes is timed with what its users have to do for it: distances, their radius, the file. The file
    lies in memory where the system has such a folder.
    """

    def prepare(data: Data) -> Call:
        import pydory
        from scipy.spatial.distance import cdist, pdist, squareform

        source, target = f"{data.folder}/input.csv", f"{data.folder}/"

        def one(x: Any) -> Any:
            threshold, filetype = data.threshold, 2
            if data.kind == "graph":
                _write(source, _edge_lines(x.row, x.col, x.data))
            elif data.kind == "points" and 4 * x.shape[1] <= len(x):
                blocks = (cdist(x[start : start + 256], x) for start in range(0, len(x), 256))
                threshold = min(threshold, min(float(block.max(axis=1).min()) for block in blocks))
                filetype = 1
                _write(source, (",".join(map(repr, row)) + "\n" for row in x.tolist()))
            else:
                matrix = squareform(pdist(x)) if data.kind == "points" else x
                threshold = min(threshold, float(matrix.max(axis=1).min()))
                i, j = np.nonzero(np.triu(matrix <= threshold, 1))
                _write(source, _edge_lines(i, j, matrix[i, j]))
                del matrix, i, j
            # Lengths equal to it are in; of an edge file they would not be, and squares are rounded.
            limit = -1.0 if np.isinf(threshold) else threshold * (1 + 1e-12)
            start = time.perf_counter()
            pydory.compute_PH(source, 0.0, limit, filetype, n_threads, target, 1, 0, 0, 0.0, 1, 1000, 1000)
            data.notes["own_seconds"] += time.perf_counter() - start
            bars = np.loadtxt(f"{target}H1_pers_data.txt", delimiter=",", ndmin=2).reshape(-1, 2)
            bars[bars[:, 1] == -1, 1] = np.inf
            return bars

        def call() -> list[Any]:
            data.notes["own_seconds"] = 0.0
            return [one(x) for x in data.clouds]

        return call

    return prepare


def _write(path: str, lines: Iterable[str]) -> None:
    with open(path, "w") as file:
        file.writelines(lines)


def _edge_lines(i: Any, j: Any, lengths: Any, chunk: int = 10_000) -> Iterator[str]:
    """`i,j,length` for each edge; formatted by the thousand, which is what text takes least for."""
    for start in range(0, len(lengths), chunk):
        part = slice(start, start + chunk)
        columns = zip(i[part].tolist(), j[part].tolist(), lengths[part].tolist(), strict=True)
        flat = [value for row in columns for value in row]
        yield ("%d,%d,%r\n" * (len(flat) // 3)) % tuple(flat)


# From the usually fastest of large clouds to the slowest: where --patience is given, the first ones set the measure.
RIVALS = [
    Rival("pydory 2 thr", "pydory", "pydory", _pydory(2)),
    Rival("pydory 1 thr", "pydory", "pydory", _pydory(1)),
    Rival("GUDHI", "gudhi", "gudhi.sklearn", _gudhi(0)),
    Rival("GUDHI 2 jobs", "gudhi", "gudhi.sklearn", _gudhi(0, n_jobs=2), batch_only=True),
    Rival("giotto-ph 2 thr", "giotto-ph", "gph", _giotto(2, False)),
    Rival("giotto-ph 1 thr", "giotto-ph", "gph", _giotto(1, False)),
    Rival("ripser.py", "ripser", "ripser", _ripser),
    Rival("GUDHI collapse", "gudhi", "gudhi.sklearn", _gudhi(1)),
    Rival("giotto-ph 2 thr collapse", "giotto-ph", "gph", _giotto(2, True)),
    Rival("giotto-ph 1 thr collapse", "giotto-ph", "gph", _giotto(1, True)),
]
BY_NAME = {rival.name: rival for rival in RIVALS}
