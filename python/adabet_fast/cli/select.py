"""``adabet-fast select``: a network and batches from the user's own files."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from adabet_fast.cli.output import print_json
from adabet_fast.errors import BackendUnavailableError, InvalidInputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", metavar="MODEL", help="module:attribute or file.py:attribute of the network")
    parser.add_argument("batches", metavar="BATCHES", help="likewise, of the batches")
    parser.add_argument(
        "--rho", type=float, metavar="R", help="share of layers to train (default: 0.1, if no K or budget is given)"
    )
    parser.add_argument("--k", type=int, metavar="K", help="how many layers to train")
    parser.add_argument(
        "--budget-bytes", type=float, metavar="B", help="bytes that training may take; best layers first"
    )
    parser.add_argument("--budget-flops", type=float, metavar="F", help="operations that a training step may take")
    parser.add_argument("--n-batches", type=int, default=5, metavar="N", help="batches to draw; 0: all (default: 5)")
    parser.add_argument(
        "--score",
        choices=("adabet", "b1", "size", "total_persistence"),
        default="adabet",
        help="what ranks the layers (default: adabet)",
    )
    parser.add_argument(
        "--normalize",
        choices=("activation", "none", "parameters", "flops", "saved_bytes", "latency"),
        default="activation",
        help="what the score is divided by (default: activation)",
    )
    parser.add_argument(
        "--unit", choices=("module", "block"), default="module", help="what a layer is (default: module)"
    )
    parser.add_argument(
        "--pooling", choices=("pool", "sum"), default="pool", help="batches: one cloud, or each its own (default: pool)"
    )
    parser.add_argument(
        "--always-train",
        action="append",
        metavar="NAME",
        help="a layer to train besides; may be repeated; 'none': not even the head (default: the head, if found)",
    )
    parser.add_argument("--progress", action="store_true", help="show a bar on standard error (needs tqdm)")
    parser.add_argument("--n-threads", type=int, metavar="N", help="threads of the engine")
    parser.add_argument("--output", metavar="FILE", help="save the selection as JSON, for Selection.from_json")


def run(options: argparse.Namespace) -> int:
    """Score, choose, print and save."""
    try:
        import torch
    except ImportError as error:
        raise BackendUnavailableError("select needs PyTorch, which is not installed: pip install torch") from error
    from adabet_fast.nn import select_layers

    always: Any = options.always_train or "auto"
    with contextlib.redirect_stdout(sys.stderr):  # what their code prints is no part of our output
        loaded: dict[str, ModuleType] = {}
        model = load(options.model, loaded)
        if not isinstance(model, torch.nn.Module):
            model = _call(model, options.model)
        if not isinstance(model, torch.nn.Module):
            raise InvalidInputError(f"{options.model}: is a {type(model).__name__}, expected a torch.nn.Module")
        batches = load(options.batches, loaded)
        if callable(batches):
            batches = _call(batches, options.batches)
        selection = select_layers(
            model,
            batches,
            options.rho,
            k=options.k,
            budget_bytes=options.budget_bytes,
            budget_flops=options.budget_flops,
            always_train=None if always == ["none"] else always,
            n_batches=options.n_batches or None,
            score=options.score,
            normalize=options.normalize,
            pooling=options.pooling,
            unit=options.unit,
            progress=options.progress,
            n_threads=options.n_threads,
        )
    if options.output is not None:
        selection.to_json(options.output)
    if options.json:
        import json

        print_json(json.loads(selection.to_json()))
    else:
        print(selection)
    return 0


def load(name: str, loaded: dict[str, ModuleType]) -> Any:
    """The object that module:attribute or file.py:attribute names; a file is run once."""
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        raise InvalidInputError(f"{name}: expected module:attribute or file.py:attribute, such as net.py:model")
    if where not in loaded:
        loaded[where] = _import_file(Path(where)) if where.endswith(".py") else _import_module(where)
    found: Any = loaded[where]
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [each for each in vars(found) if not each.startswith("_")] if hasattr(found, "__dict__") else []
            raise InvalidInputError(f"{name}: there is no {part!r}; there are {', '.join(public[:30]) or 'no names'}")
        found = getattr(found, part)
    return found


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickle look there
    sys.path.insert(0, str(path.resolve().parent))  # as `python file.py` has it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _theirs(str(path), error) from error
    return module


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, "")  # modules of the working folder, as `python -m` has them
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise InvalidInputError(f"{name}: no such module; a file is named with its suffix, {name}.py") from error
        raise _theirs(name, error) from error
    except Exception as error:
        raise _theirs(name, error) from error


def _call(make: Any, name: str) -> Any:
    if not callable(make):
        return make
    try:
        return make()
    except Exception as error:
        raise _theirs(f"{name}()", error) from error


def _theirs(name: str, error: Exception) -> InvalidInputError:
    """An error of the user's own code, with its own lines but not ours."""
    frames = traceback.TracebackException.from_exception(error)
    frames.stack = traceback.StackSummary.from_list(
        [frame for frame in frames.stack if "importlib" not in frame.filename and frame.filename != __file__]
    )
    return InvalidInputError(f"{name} failed:\n{''.join(frames.format()).rstrip()}")
