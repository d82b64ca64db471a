"""Which clouds are compared, in groups after what is to be shown."""

from __future__ import annotations

import math
import re

from bench import clouds

KINDS = ["gauss_d512", "cube3", "circle256", "torus", "o3", "relu2048", "grid", "blobs10", "swiss16"]


def of(kind: str, n: int) -> str:
    """The name of a kind's cloud of about n points; a grid is square."""
    if kind == "grid":
        side = math.isqrt(n) if n < 1000 else math.ceil(math.sqrt(n))  # within 100 to 500, or at least 1,000
        return f"grid_{side}x{side}"
    return f"{kind}_n{n}"


GROUPS: dict[str, list[str]] = {
    "small": [of(kind, n) for n in (100, 200, 500) for kind in KINDS],
    "large": [*(of(kind, n) for n in (1000, 2000) for kind in KINDS), "o3_n4000_t1.8"],
    "memory": [of(kind, 4000) for kind in KINDS],
    "batch": ["batch64_n40_d4096", "batch10000_n40_d49"],
    "wide": ["gauss_d100000_n40"],
    "graph": ["knn30_n20000"],
}
"""`memory`: clouds of 4,000 points, of which the bytes count and not the times: one run tells."""


def split(name: str) -> tuple[str, float]:
    """`o3_n4000_t1.8` is the cloud o3_n4000 under the threshold 1.8."""
    found = re.fullmatch(r"(.+)_t(\d+(?:\.\d+)?)", name)
    return (found[1], float(found[2])) if found else (name, math.inf)


def points(name: str) -> int:
    """The number of points of (each) cloud."""
    cloud, _ = split(name)
    if found := re.fullmatch(r"grid_(\d+)x\1", cloud):
        return int(found[1]) ** 2
    found = re.search(r"_n(\d+)", cloud)
    if found is None:
        raise ValueError(f"{name!r} does not tell its number of points")
    return int(found[1])


def group_of(name: str) -> str:
    """By which claim a cloud is judged: large, small, batch, wide, graph or memory."""
    if name.startswith("batch"):
        return "batch"
    if name.startswith(("knn", "geometric", "neighbours")):
        return "graph"
    if name.startswith(clouds.MATRICES):
        return "random"
    n = points(name)
    if name in GROUPS["memory"]:
        return "memory"
    return "large" if n >= 1000 else "small" if n >= 100 else "wide"


def chosen(words: list[str]) -> list[str]:
    """Groups and clouds by name, in the order given, each once."""
    names: dict[str, None] = {}
    for word in words:
        if word in GROUPS:
            names.update(dict.fromkeys(GROUPS[word]))
        elif _is_cloud(split(word)[0], clouds.KINDS):
            names[word] = None
        else:
            raise ValueError(f"{word!r} is neither a group ({', '.join(GROUPS)}) nor a cloud of bench/clouds.py")
    return list(names)


def _is_cloud(name: str, kinds: set[str]) -> bool:
    found = re.fullmatch(r"([a-z0-9]+?)(?:_d\d+)?(?:_n\d+|_(\d+)x\2)(?:_[de]\d+)?", name)
    return found is not None and re.sub(r"^(batch|knn)\d+$", r"\1", found[1]) in kinds
