"""The command line, ``adabet-fast``: what it returns to the shell, and what it says where something goes wrong."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from adabet_fast.cli.parser import make_parser
from adabet_fast.errors import BackendUnavailableError, CrossCheckError, InvalidInputError

OK, ERROR, USAGE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141

_OURS = (InvalidInputError, MemoryError, BackendUnavailableError, CrossCheckError, OSError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        The words after the program's name; None: those of the process.

    Returns
    -------
    int
        0: done; 1: an error, said on standard error; 130: Ctrl-C; 141: the reader of the output has gone.

    Raises
    ------
    SystemExit
        With status 2 where the words are no command, and 0 after ``--help``.

    Examples
    --------
    >>> from adabet_fast.cli import main
    >>> main(["plan", "1000", "512", "--max-memory", "1GiB", "--n-threads", "1"])
    plan dense for n=1000, d=512, float32: ... fixed, up to ... for births, budget 1.0 GiB: fits
    0
    """
    parser = make_parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help(sys.stderr)
        return USAGE
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status = int(options.run(options))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("adabet-fast: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more at its end: into nothing, rather than with a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except _OURS as error:
        print(f"adabet-fast: error: {error}", file=sys.stderr)
        return ERROR
    return status


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """In one line, without the place in the code."""
    print(f"adabet-fast: warning: {message}", file=sys.stderr)
