"""``python -m bench.peers``: everyone on every cloud, one fresh process a run; the table and the plot go to docs/."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.fresh import ROOT
from bench.peers import cases, report
from bench.peers.rivals import BY_NAME
from bench.peers.runner import Options, run_all, wrongs
from bench.peers.store import OURS, OURS_ONE, OURS_QUARTER, OtherMachineError, Store

DEFAULT = ["small", "large", "wide", "batch", "graph", "memory"]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=__doc__,
        epilog=f"groups: {', '.join(cases.GROUPS)}. Stopped at any time, the same command goes on where it was.",
    )
    parser.add_argument("clouds", nargs="*", default=DEFAULT, help="groups or names of clouds (default: all groups)")
    parser.add_argument("--seconds", type=float, default=300.0, help="limit of one call (default: 300)")
    parser.add_argument("--memory", type=float, default=16.0, help="limit of a process in GiB (default: 16)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, one if it takes above 10 s (default: 3)")
    parser.add_argument(
        "--patience",
        type=float,
        help="stop a peer but ripser.py when so many times slower than the best so far",
    )
    parser.add_argument(
        "--exact-below",
        type=float,
        default=30.0,
        help="also compare on our matrix below this time (default: 30 s)",
    )
    parser.add_argument("--peers", nargs="*", metavar="WHO", help="only these peers, by the names in the table")
    parser.add_argument("--fresh", action="store_true", help="forget all results first")
    parser.add_argument("--again", nargs="*", default=[], metavar="WHO", help="forget the results of these first")
    parser.add_argument("--ours-again", action="store_true", help="measure adabet_fast anew, keep the peers")
    parser.add_argument("--report", action="store_true", help="run nothing, write the page from the results so far")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where peers.json, .md and .svg go")
    options = parser.parse_args(arguments)
    try:
        options.names = cases.chosen(options.clouds)
    except ValueError as error:
        parser.error(str(error))
    for who in options.peers or []:
        if who not in BY_NAME:
            parser.error(f"no peer is called {who!r}: {', '.join(BY_NAME)}")
    for name in ("seconds", "memory", "rounds"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name} is {getattr(options, name)}, expected a positive number")
    return options


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    try:
        store = Store(given.docs / "peers.json", fresh=given.fresh)
    except OtherMachineError as error:
        print(f"{error}; --fresh forgets that, --docs FOLDER keeps it", file=sys.stderr)
        return 2
    if given.again:
        store.forget(given.again, given.names)
    if given.ours_again:
        store.forget([OURS, OURS_ONE, OURS_QUARTER], given.names)
    options = Options(given.seconds, int(given.memory * 2**30), given.rounds, given.patience, given.exact_below)
    start = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - start:7.0f} s] {line}", flush=True)

    if not given.report:
        store.data["limits"] = {
            "seconds": options.seconds,
            "memory": options.memory,
            "rounds": options.rounds,
            "patience": options.patience,
            "exact_below": options.exact_below,
        }
        try:
            run_all(given.names, store, options, say, given.peers)
        finally:
            store.save()
            report.write(store, given.docs)
    else:
        report.write(store, given.docs)
    found = wrongs(store)
    for line in found:
        say(f"WRONG {line}")
    say(f"written: {given.docs.name}/peers.md, peers.svg, peers.json")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
