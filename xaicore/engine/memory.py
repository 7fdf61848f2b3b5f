"""Memory: how much is free, how much was used, and what running out of it looks like."""

from __future__ import annotations

import gc
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from xaicore.errors import ParameterError

_UNITS = {"": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}
_CGROUP = Path("/sys/fs/cgroup")
_WORDS = (
    "can't allocate memory", "not enough memory", "DefaultCPUAllocator", "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
)  # fmt: skip


@dataclass(frozen=True)
class Footprint:
    """The memory that a row takes while it is run, in bytes.

    Attributes
    ----------
    total : int
        Of all that is computed for it.
    largest : int
        Of the largest tensor among that.
    """

    total: int
    largest: int

    def __rmul__(self, rows: int) -> Footprint:
        return Footprint(rows * self.total, rows * self.largest)


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be allocated on the device; None where nobody says."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What the allocator holds and nobody uses is free as well.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "cpu":
        return min(int(psutil.virtual_memory().available), _free_in_container())
    return None


def _free_in_container() -> int:
    """What the limit of the container leaves, which the machine's own figures do not tell (Linux, cgroup 2)."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return sys.maxsize
    return sys.maxsize if limit == "max" else max(0, int(limit) - used)


def peak_memory(device: torch.device) -> int | None:
    """The most bytes in use at once: on CUDA by tensors since `forget_peak`, elsewhere by the process in its life."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().peak_wset)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak(device: torch.device) -> None:
    """Measure the peak from now on, where the device can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def release(device: torch.device) -> None:
    """Give back what failed work has left behind."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was too little memory, on the CPU or on a device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def parse_bytes(size: int | str | None) -> int | None:
    """Bytes as a person writes them: a number, ``"500 MB"``, ``"2GiB"``; None stays None."""
    if size is None:
        return None
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]i?B)?\s*", size, re.IGNORECASE) if isinstance(size, str) else None
    if found is None or not float(found[1]):
        raise ParameterError(f"memory_limit={size!r} is no amount of memory: give bytes, or text such as '500 MB'.")
    return int(float(found[1]) * _UNITS[(found[2] or "").upper()])


def in_words(size: float | None) -> str:
    """Bytes for people: ``"1.5 GiB"``."""
    if size is None:
        return "unknown"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.3g} {unit}"
        size /= 1024
    raise AssertionError
