"""What was measured, for the last line of a benchmark."""

from __future__ import annotations

import os
import platform
import ssl
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import mailoauth

if TYPE_CHECKING:
    from collections.abc import Iterable


def versions(*programs: str, packages: Iterable[str]) -> str:
    """Name the versions of everything that took part, and the machine."""
    found = [f"Python {platform.python_version()}", ssl.OPENSSL_VERSION, *programs]
    found.append(f"mailoauth {mailoauth.__version__}")
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return f"{', '.join(found)}; {platform.system()} on {os.cpu_count()} cores"
