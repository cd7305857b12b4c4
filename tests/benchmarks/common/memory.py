"""The memory of this process, in KiB; None where the system does not tell."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak() -> int | None:
    """Return the most it had since its program was started.

    What wait4 tells the parent is no use on Linux: a child begins with its parent's peak.
    """
    return _read("VmHWM")


def resident() -> int | None:
    """Return what it has now."""
    return _read("VmRSS")


def since(before: int | None) -> int | None:
    """Return how far the peak lies above what was resident before."""
    now = peak()
    return None if now is None or before is None else max(0, now - before)


def _read(name: str) -> int | None:
    if not _STATUS.exists():
        return None
    for line in _STATUS.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    return None
