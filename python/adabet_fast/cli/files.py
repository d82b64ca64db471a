"""Arrays from the files that users have: .npy, .npz, .csv, .pt, .safetensors, or standard input."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from adabet_fast.errors import BackendUnavailableError, InvalidInputError

_TEXT = (".csv", ".tsv", ".txt")


def read_array(name: str, key: str | None = None) -> Any:
    """The array of a file: NumPy's, a scipy sparse matrix, a tensor, or a list of tensors.

    Parameters
    ----------
    name
        Path of the file; ``-`` for standard input.
    key
        Which array of a file that holds several.

    Raises
    ------
    InvalidInputError
        Where the file is of no known kind, is damaged, or holds no such array.
    BackendUnavailableError
        Where the library that reads it is not installed.
    """
    path = Path(name)
    if name != "-" and not path.exists():
        raise InvalidInputError(f"{name}: no such file")
    try:
        found = _read_stream(sys.stdin.buffer.read()) if name == "-" else _reader(path)(path)
        return _pick(found, key)
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInputError(f"{name}: cannot be read: {error}") from error


def _reader(path: Path) -> Callable[[Path], Any]:
    readers: dict[str, Callable[[Path], Any]] = {
        ".npy": lambda path: np.lib.format.open_memmap(path, mode="r"),
        ".npz": _read_npz,
        **dict.fromkeys(_TEXT, lambda path: _read_text(path.read_text(encoding="utf-8-sig"))),
        ".pt": _read_torch,
        ".pth": _read_torch,
        ".safetensors": _read_safetensors,
    }
    kind = path.suffix.lower()
    if kind not in readers:
        raise InvalidInputError(f"files of kind {kind or 'without a suffix'!r} are not known; {', '.join(readers)} are")
    return readers[kind]


def _read_stream(content: bytes) -> Any:
    if content.startswith(b"\x93NUMPY"):
        return np.load(io.BytesIO(content), allow_pickle=False)
    if content.startswith(b"PK"):
        return _read_npz(io.BytesIO(content))
    return _read_text(content.decode("utf-8-sig"))


def _read_npz(source: Path | IO[bytes]) -> Any:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _read_npz(file)
    archive = np.load(source, allow_pickle=False)
    if isinstance(archive, np.ndarray):  # an .npy file by another name
        return archive
    with archive:
        if not {"format", "shape", "data"} <= set(archive.files):
            return {name: archive[name] for name in archive.files}
    source.seek(0)
    try:
        from scipy.sparse import load_npz
    except ImportError as error:
        raise BackendUnavailableError(
            "sparse matrices are read by SciPy, which is not installed: pip install scipy"
        ) from error
    return load_npz(source)


def _read_text(text: str) -> Any:
    """Numbers in rows. The first line may hold names instead."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise InvalidInputError("holds no numbers")
    delimiter = next((mark for mark in ",;\t" if mark in lines[0]), None)
    if not _is_numbers(lines[0].split(delimiter)):
        del lines[0]
        if not lines:
            raise InvalidInputError("holds no numbers below the line of names")
    return np.loadtxt(lines, delimiter=delimiter, ndmin=2, dtype=np.float64)


def _is_numbers(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return True


def _read_torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise BackendUnavailableError(
            f"{path}: is read by PyTorch, which is not installed: pip install torch"
        ) from error
    import pickle

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidInputError(
            "holds more than tensors, lists and dictionaries, and is not run as code (weights_only=True); "
            f"load it in Python and save the tensor alone: {str(error).splitlines()[0]}"
        ) from error
    except RuntimeError as error:  # a damaged archive
        raise InvalidInputError(f"cannot be read: {error}") from error


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise BackendUnavailableError(
            f"{path}: is read by safetensors, which is not installed: pip install safetensors"
        ) from error
    from importlib.util import find_spec

    framework = "numpy" if find_spec("torch") is None else "pt"  # NumPy has no bfloat16
    try:
        with safe_open(path, framework=framework) as file:
            return _Lazy(list(file.keys()), lambda name: _tensor(path, name, framework))
    except SafetensorError as error:
        raise InvalidInputError(f"cannot be read: {error}") from error


def _tensor(path: Path, name: str, framework: str) -> Any:
    from safetensors import safe_open

    with safe_open(path, framework=framework) as file:
        try:
            return file.get_tensor(name)
        except TypeError as error:
            raise InvalidInputError(f"{name!r} is of a type that NumPy does not have: pip install torch") from error


class _Lazy(Mapping[str, Any]):
    """Arrays by their names, read when asked for: a checkpoint holds more than the one."""

    def __init__(self, names: list[str], get: Callable[[str], Any]) -> None:
        self._names, self._get = names, get

    def __getitem__(self, name: str) -> Any:
        return self._get(name)

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _pick(found: Any, key: str | None) -> Any:
    if isinstance(found, Mapping):
        names = list(found)
        if key is None and len(names) == 1:
            return found[names[0]]
        listed = ", ".join(map(repr, names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        if key is None:
            raise InvalidInputError(f"holds {len(names)} arrays, choose one by --key: {listed or 'none'}")
        if key not in found:
            raise InvalidInputError(f"holds no {key!r}, but {listed or 'nothing'}")
        return found[key]
    if key is not None:
        raise InvalidInputError(f"holds one array without a name, so --key {key!r} finds nothing")
    return found
