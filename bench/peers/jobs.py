"""What a fresh process does: make the cloud, warm the peer up on a tiny one, and run it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import clouds
from bench.meter import Meter
from bench.peers import answers, cases
from bench.peers.rivals import BY_NAME, Data

WARM_POINTS = 12


def data_of(name: str) -> Data:
    cloud, threshold = cases.split(name)
    made = clouds.make(cloud)
    if hasattr(made, "tocoo"):
        return Data("graph", [made], threshold)
    if made.ndim == 3:
        return Data("points", list(made), threshold)
    matrix = cloud.startswith(clouds.MATRICES)
    return Data("matrix" if matrix else "points", [made], threshold)


def tiny(data: Data) -> Data:
    """The same kind of input, of a dozen points: first calls import modules and start threads."""
    first = data.clouds[0]
    if data.kind == "graph":
        from scipy.sparse import coo_matrix

        i, j = np.triu_indices(WARM_POINTS, 1)
        first = coo_matrix((np.sqrt(1.0 + i + j), (i, j)), shape=(WARM_POINTS, WARM_POINTS))
    else:
        sides = slice(0, WARM_POINTS)
        first = np.ascontiguousarray(first[(sides, sides) if data.kind == "matrix" else sides])
    return replace(data, clouds=[first], notes={})


def peer(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Time a peer on its own distances, or with ``matrix`` give it ours; lengths of a graph are then float32."""
    import adabet_fast

    data = data_of(arguments["case"])
    if arguments.get("matrix") and data.kind == "points":
        data = replace(data, kind="matrix", clouds=[adabet_fast.pairwise_distances(x) for x in data.clouds])
    if arguments.get("matrix") and data.kind == "graph":
        lengths = data.clouds[0]
        lengths.data = lengths.data.astype(np.float32).astype(np.float64)
    prepare = BY_NAME[arguments["peer"]].prepare
    data = replace(data, folder=str(Path(arguments["answer"]).parent))
    prepare(tiny(data))()
    found = meter.measure(prepare(data), rounds=1 if arguments.get("matrix") else arguments["rounds"])
    answers.save(arguments["answer"], found)
    return {"bars": sum(len(answers.canonical(bars, np.float32)) for bars in found), **data.notes}


def ours(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Time adabet_fast: `h1` of a cloud, `betti1_batch` of a stack. The answer is then checked on our own matrix."""
    import adabet_fast

    data = data_of(arguments["case"])
    options: dict[str, Any] = {key: arguments[key] for key in ("max_memory", "n_threads") if key in arguments}
    given: dict[str, Any] = {"threshold": data.threshold, "distance_matrix": data.kind != "points"}
    small = tiny(data)
    adabet_fast.h1(small.clouds[0], **given, **options)
    if len(data.clouds) > 1:
        stack = np.stack(data.clouds)
        adabet_fast.betti1_batch(np.stack(small.clouds), **given, **options)  # what is timed, as for the peers
        counts = meter.measure(lambda: adabet_fast.betti1_batch(stack, **given, **options), rounds=arguments["rounds"])
        bars = [adabet_fast.h1(x, **given).intervals for x in data.clouds]
        assert counts.tolist() == [len(b) for b in bars], "betti1_batch and h1 disagree"
        _keep(arguments, bars)
        return {"bars": int(counts.sum())}
    barcode = meter.measure(lambda: adabet_fast.h1(data.clouds[0], **given, **options), rounds=arguments["rounds"])
    _keep(arguments, [barcode.intervals])
    result = {
        "bars": len(barcode),
        "plan": barcode.plan,
        "engine_bytes": int(barcode.stats.get("peak_bytes", 0)),
        "n": barcode.n,
    }
    if arguments.get("matrix") and data.kind == "points":
        matrix = adabet_fast.pairwise_distances(data.clouds[0])
        again = adabet_fast.h1(matrix, distance_matrix=True, threshold=data.threshold)
        assert np.array_equal(barcode.intervals, again.intervals), "points and their matrix give other bars"
        result["same_from_matrix"] = True
    return result


def _keep(arguments: dict[str, Any], bars: list[Any]) -> None:
    if "answer" in arguments:
        answers.save(arguments["answer"], bars)
