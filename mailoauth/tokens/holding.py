"""Records that could not be written: their owners are kept alive, and asked to try again.

Every few seconds, and once more when the program ends; a refresh token that exists only
in memory must neither be collected with its cache nor keep others waiting for ever.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mailoauth.tokens.keeper import RecordKeeper

#: Seconds between two tries.
_INTERVAL: Final = 5.0

_held: dict[RecordKeeper, object] = {}
_end = threading.Event()


def hold(owner: object, keeper: RecordKeeper) -> None:
    """Keep the owner of an unwritten record alive until its keeper has written it."""
    if keeper not in _held:
        _held[keeper] = owner
        threading.Thread(target=_retry, args=(keeper,), name="mailoauth-save", daemon=True).start()


def _retry(keeper: RecordKeeper) -> None:
    while keeper.unsaved is not None and not _end.wait(_INTERVAL):
        keeper.retry_unsaved()
    if keeper.unsaved is None:
        _held.pop(keeper, None)


@atexit.register
def _at_exit() -> None:
    _end.set()
    for keeper in list(_held):
        keeper.retry_unsaved()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)  # the records are the parent's
