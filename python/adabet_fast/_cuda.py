"""GPUs: which call computes on one, and how results come back. Data on a GPU stays there; torch is not imported."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from adabet_fast import _core
from adabet_fast._memory import resolve_budget
from adabet_fast.errors import BackendUnavailableError, InvalidInputError

DEVICE_TYPES = (2, 13)  # DLPack: CUDA, and CUDA's managed memory
_UNLIMITED = 2**63 - 1


class Status(NamedTuple):
    """The GPUs whose kernels this build has, and what to say of them."""

    usable: tuple[int, ...]
    detail: str


def status() -> Status:
    """What GPUs there are, asked anew: a device may come or go."""
    why_not, devices = _core.cuda_devices()
    usable = tuple(index for index, device in enumerate(devices) if not device[4])
    if not devices:
        return Status((), why_not)
    told = [
        f"{name} (compute capability {major}.{minor}, {total / 2**30:.0f} GiB)" + (f": {reason}" if reason else "")
        for name, major, minor, total, reason in devices
    ]
    return Status(usable, "; ".join(told))


def first_usable() -> int:
    """The first GPU that can run this build; raises where there is none."""
    if not _core.cuda_problem(0):
        return 0
    usable, detail = status()
    if not usable:
        raise BackendUnavailableError(detail)
    return usable[0]


def first_memory() -> int:
    """Bytes of the first GPU that can run this build; where there is none, as good as any number."""
    return next((int(total) for _, _, _, total, why_not in _core.cuda_devices()[1] if not why_not), _UNLIMITED)


def device_of(x: Any) -> int | None:
    """The index of the GPU that holds an array; None where it is in the host's memory."""
    if isinstance(x, np.ndarray) or not hasattr(x, "__dlpack_device__"):
        return None
    kind, index = x.__dlpack_device__()
    return int(index) if int(kind) in DEVICE_TYPES else None


def choose(backend: str, *arrays: Any) -> int | None:
    """The GPU that a call computes on, None for the host: where the data is, unless a backend is named."""
    found = {device_of(x) for x in arrays}
    devices = {device for device in found if device is not None}
    if len(devices) > 1:
        raise BackendUnavailableError(
            f"the clouds are on several GPUs ({sorted(devices)}); pass those of one at a time"
        )
    if devices:
        if backend not in ("auto", "cuda"):
            raise BackendUnavailableError(f"x is on a GPU, but backend={backend!r} computes on the CPU; pass x.cpu()")
        if None in found:
            raise BackendUnavailableError(
                "some clouds are on a GPU and some are not; pass those of one place at a time"
            )
        return devices.pop()
    return first_usable() if backend == "cuda" else None


class Options(Protocol):
    """What the calls below read of a call's options."""

    @property
    def distance_matrix(self) -> bool: ...
    @property
    def metric(self) -> str: ...
    @property
    def threshold(self) -> float: ...
    @property
    def dtype(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def max_memory(self) -> int: ...
    @property
    def n_threads(self) -> int: ...
    @property
    def device_memory(self) -> int: ...


def chosen(options: Options, *clouds: Any) -> int | None:
    """The GPU that these clouds are worked on by; None: the CPU."""
    device = choose(options.backend, *(cloud for cloud in clouds if not isinstance(cloud, tuple)))
    if device is not None and options.distance_matrix:
        way_out = "leave backend='cuda' out" if options.backend == "cuda" else "pass x.cpu()"
        raise BackendUnavailableError(f"distance matrices are read by the CPU alone; {way_out}")
    return device


def count(clouds: Any, device: int, options: Options, min_persistence: float) -> NDArray[np.int64]:
    """Bars of each cloud of a list, or of a stack."""
    clouds = [contiguous(x) for x in clouds] if isinstance(clouds, list) else contiguous(clouds)
    with _current(device, clouds[0] if isinstance(clouds, list) and clouds else clouds):
        return _core.device_betti1_batch(
            clouds,
            device=device,
            metric=options.metric,
            threshold=options.threshold,
            min_persistence=min_persistence,
            dtype=options.dtype,
            n_threads=options.n_threads,
            max_memory=options.max_memory,
            device_memory=options.device_memory,
        )


def count_one(x: Any, device: int, options: Options, min_persistence: float) -> int:
    """Bars of one cloud, which has no number in what is said of it."""
    try:
        return int(count([x], device, options, min_persistence)[0])
    except InvalidInputError as error:
        raise InvalidInputError(str(error).removeprefix("cloud 0: ")) from None


def barcode(x: Any, device: int, options: Options) -> Any:
    """The barcode of a cloud, as the core gives it."""
    with _current(device, x):
        return _core.device_h1(
            contiguous(x),
            device=device,
            metric=options.metric,
            threshold=options.threshold,
            dtype=options.dtype,
            n_threads=options.n_threads,
            max_memory=options.max_memory,
            device_memory=options.device_memory,
        )


def device_memory(max_memory: object) -> int:
    """Bytes of the GPU that a call may take: `max_memory`, else what there is."""
    return _UNLIMITED if max_memory is None else resolve_budget(max_memory)


def contiguous(x: Any) -> Any:
    """An array on the host that can be copied to a GPU in one piece."""
    if device_of(x) is not None:
        return x
    if isinstance(x, np.ndarray):
        return np.ascontiguousarray(x)
    return x.contiguous() if hasattr(x, "contiguous") else np.ascontiguousarray(np.from_dlpack(x))


def distances(x: Any, original: Any, device: int, metric: str, dtype: str) -> Any:
    """Distances on the GPU: in the library of data that is there, as a NumPy array for data from the host."""
    on_device = device_of(x) is not None
    with _current(device, x):
        out = _core.device_distances(
            contiguous(x), device=device, metric=metric, dtype=dtype, to_host=not on_device, device_memory=_UNLIMITED
        )
        return _in_library_of(original, out) if on_device else out


def square(x: Any, device: int, metric: str, dtype: str, max_memory: object) -> NDArray[np.floating[Any]]:
    """Distances that a GPU computed, as a NumPy array."""
    with _current(device, x):
        out: NDArray[np.floating[Any]] = _core.device_distances(
            contiguous(x),
            device=device,
            metric=metric,
            dtype=dtype,
            to_host=True,
            device_memory=device_memory(max_memory),
        )
    return out


def _current(device: int, x: Any) -> AbstractContextManager[object]:
    """Of several GPUs, torch hands out tensors of its own current one alone; the core's choice it need not see."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor) and x.is_cuda:
        current: AbstractContextManager[object] = torch.cuda.device(device)
        return current
    return nullcontext()


def _in_library_of(x: Any, out: Any) -> Any:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        return torch.from_dlpack(out)
    if hasattr(x, "__array_namespace__"):
        return x.__array_namespace__().from_dlpack(out)
    module = sys.modules.get(type(x).__module__.split(".")[0])
    if module is not None and hasattr(module, "from_dlpack"):  # CuPy, JAX
        return module.from_dlpack(out)
    return out
