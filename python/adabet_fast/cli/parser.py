"""What the command line understands, and the help that teaches it."""

from __future__ import annotations

import argparse

from adabet_fast import _core
from adabet_fast._backends import NAMES
from adabet_fast.cli import commands, demo, select

DESCRIPTION = """\
Exact degree-1 persistent homology (H1) of point clouds, and the choice of a network's layers by it.

Each command has help of its own: adabet-fast h1 --help
"""

EXAMPLES = """\
examples:
  adabet-fast demo                              what it does, in ten seconds
  adabet-fast info                              what can run here, and if not, why not
  adabet-fast betti1 activations.npy            how many loops, over all scales
  adabet-fast h1 cloud.csv --plot bars.png      the loops: births, deaths, a picture
  adabet-fast plan 20000 64                     will it fit into memory?
  adabet-fast select net.py:model net.py:loader --rho 0.1 --output selection.json

exit status: 0 done; 1 an error (or, for plan: it does not fit); 2 wrong usage; 130 Ctrl-C;
141 the reader of the output has gone.
"""

FILES = """\
files:
  .npy         one array, mapped rather than read
  .npz         --key NAME, if it holds several arrays; also scipy's sparse matrices
  .csv .tsv .txt
               numbers in rows, separated by commas, semicolons, tabs or blanks; one line of names may come first
  .pt .pth     a tensor, or a dictionary of tensors with --key NAME (PyTorch; loaded with weights_only=True)
  .safetensors --key NAME, if it holds several tensors
  -            standard input: a .npy or .npz file, or text
An array (n, ...) is n points, all other axes flattened; with --distance-matrix it is (n, n), or condensed.
"""

BETTI1 = """\
Count the H1 bars of a point cloud over its whole Vietoris-Rips filtration: AdaBet's b1. Bars of length zero do not
count. For the loops at one scale: adabet-fast h1 FILE --at SCALE
"""

BETTI1_EXAMPLES = """\
examples:
  adabet-fast betti1 activations.npy
  adabet-fast betti1 layer1.npy layer2.npy layer3.npy      one line each: file, count
  adabet-fast betti1 --batch stack.npy                     (b, n, d): one count for each cloud
  adabet-fast betti1 model.safetensors --key encoder.weight
  adabet-fast betti1 distances.csv --distance-matrix --min-persistence 0.1 --json
"""

H1 = """\
Compute the H1 barcode of a point cloud: for each loop the scale at which it appears (birth) and the one at which it is
filled (death). The longest bars come first.
"""

H1_EXAMPLES = """\
examples:
  adabet-fast h1 cloud.npy                         the 20 longest bars
  adabet-fast h1 cloud.npy --top 0                 all bars
  adabet-fast h1 cloud.npy --at 0.5                and how many loops there are at scale 0.5
  adabet-fast h1 cloud.npy --output bars.csv       all bars into a file (.csv, .npy or .json)
  adabet-fast h1 cloud.npy --plot bars.png         diagram and barcode as a picture (needs matplotlib)
  adabet-fast h1 cloud.npy --check                 and compare with ripser.py, bit by bit
  adabet-fast h1 cloud.npy --json | jq '.intervals[0]'

In JSON, null stands for infinity: the death of a bar that no edge up to the threshold fills.
"""

PLAN = """\
Tell how much memory a barcode will take, before it is begun: N points of D coordinates, or N points by a distance
matrix where D is left out. The exit status is 1 if that does not fit.
"""

PLAN_EXAMPLES = """\
examples:
  adabet-fast plan 1000 512
  adabet-fast plan 40000 3 --max-memory 8GiB
  adabet-fast plan 50000 --dtype float64 --json
"""

SELECT = """\
Score the layers of a PyTorch network by the loops in their activations (AdaBet, arXiv 2510.03101) and choose which to
train. MODEL and BATCHES are module:attribute or file.py:attribute. The file is run as Python. An attribute that is a
function or a class is called without arguments. Batches are a DataLoader or a list: tensors, (inputs, labels), or
dictionaries; labels are not looked at.
"""

SELECT_EXAMPLES = """\
examples:
  adabet-fast select net.py:model net.py:loader
  adabet-fast select package.models:make_model data.py:batches --rho 0.2 --output selection.json
  adabet-fast select net.py:Net net.py:loader --score size --json

then, in your trainer, before the optimizer is built:
  adabet_fast.Selection.from_json("selection.json").apply(model)
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each leaves the function that runs it in `run`."""
    parser = argparse.ArgumentParser(
        prog="adabet-fast", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=_Formatter
    )
    parser.add_argument("--version", action="version", version=f"adabet_fast {_core.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    info = _add(subparsers, "info", "what is installed, what can run here, how much memory there is")
    info.set_defaults(run=commands.info)

    betti1 = _add(subparsers, "betti1", "count the loops of point clouds", BETTI1, f"{FILES}\n{BETTI1_EXAMPLES}")
    betti1.add_argument("files", metavar="FILE", nargs="+", help="a point cloud; see below")
    betti1.add_argument("--batch", action="store_true", help="each file is a stack of clouds (b, n, d)")
    _add_engine(betti1)
    betti1.set_defaults(run=commands.betti1)

    h1 = _add(subparsers, "h1", "the barcode of a point cloud", H1, f"{FILES}\n{H1_EXAMPLES}")
    h1.add_argument("file", metavar="FILE", help="a point cloud; see below")
    h1.add_argument("--top", type=_count, default=20, metavar="N", help="how many bars to print; 0: all (default: 20)")
    h1.add_argument(
        "--at", type=float, metavar="T", help="also the Betti number at this scale: the loops there are then"
    )
    h1.add_argument("--output", metavar="FILE", help="write the bars to a .csv, .npy or .json file")
    h1.add_argument("--plot", metavar="FILE", help="draw diagram and barcode into a .png, .pdf or .svg file")
    h1.add_argument("--progress", action="store_true", help="show a bar on standard error (needs tqdm)")
    h1.add_argument("--check", action="store_true", help="compare with ripser.py; any difference is an error")
    _add_engine(h1)
    h1.set_defaults(run=commands.h1)

    plan = _add(subparsers, "plan", "how much memory a barcode will take", PLAN, PLAN_EXAMPLES)
    plan.add_argument("n", metavar="N", type=_count, help="number of points")
    plan.add_argument("d", metavar="D", type=_count, nargs="?", help="coordinates of each; none: a distance matrix")
    plan.add_argument("--edges", type=_count, metavar="M", help="edges of a sparse graph")
    _add_precision(plan)
    plan.set_defaults(run=commands.plan)

    choose = _add(subparsers, "select", "choose the layers of a network to train", SELECT, SELECT_EXAMPLES)
    select.add_arguments(choose)
    choose.set_defaults(run=select.run)

    show = _add(subparsers, "demo", "a circle, a torus, a network: what it does, in ten seconds")
    show.set_defaults(run=demo.run)
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Texts as they are written above, on lines of one width."""

    def __init__(self, prog: str, indent_increment: int = 2, max_help_position: int = 28, width: int = 118) -> None:
        super().__init__(prog, indent_increment, max_help_position, width)


def _add(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    description: str = "",
    epilog: str = "",
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        name, help=summary, description=description or f"Show {summary}.", epilog=epilog, formatter_class=_Formatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", metavar="NAME", help="which array of a file that holds several")
    parser.add_argument("--distance-matrix", action="store_true", help="the file holds distances, not points")
    parser.add_argument(
        "--metric", choices=_core.metric_names(), default="euclidean", help="of points (default: euclidean)"
    )
    parser.add_argument(
        "--threshold", type=float, default=float("inf"), metavar="T", help="longest edge to look at (default: inf)"
    )
    parser.add_argument(
        "--min-persistence",
        type=float,
        default=0.0,
        metavar="P",
        help="leave out bars that are not longer than this (default: 0)",
    )
    parser.add_argument("--backend", choices=NAMES, default="auto", help="which engine (default: auto)")
    _add_precision(parser)


def _add_precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="precision of the lengths (default: float32)"
    )
    parser.add_argument("--n-threads", type=_count, metavar="N", help="threads (default: one for each core)")
    parser.add_argument("--max-memory", metavar="SIZE", help="such as 2GiB (default: 80 %% of what is available)")


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError(text)
    return count


_count.__name__ = "count"  # what argparse calls it in "invalid count value"
