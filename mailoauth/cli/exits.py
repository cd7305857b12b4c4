"""Exit codes: one table from what went wrong to what a script may do about it."""

from __future__ import annotations

from typing import Final

from mailoauth.errors import (
    AuthError,
    ConcurrentUse,
    ConfigError,
    ConnectionFailed,
    MailOAuthError,
    OutcomeUnknown,
    ServerError,
    SignInFailed,
    SignInRequired,
    StoreError,
    Throttled,
)

DONE: Final = 0
BUG: Final = 1
WRONG_USE: Final = 2
SIGN_IN: Final = 3
CONNECTION: Final = 4
REFUSED: Final = 5
PARTLY: Final = 6
TRY_LATER: Final = 7
UNKNOWN_OUTCOME: Final = 8
INTERRUPTED: Final = 130
READER_GONE: Final = 141  # as of any program that SIGPIPE ends
SIGNALLED: Final = 128  # and the signal's number: 143 for SIGTERM, 129 for SIGHUP

#: The first row that fits counts, so the most particular class comes first.
_CODES: Final = (
    (ConfigError, WRONG_USE),
    (StoreError, WRONG_USE),
    (ConcurrentUse, WRONG_USE),
    (SignInRequired, SIGN_IN),
    (SignInFailed, SIGN_IN),
    (AuthError, REFUSED),
    (ConnectionFailed, CONNECTION),
    (Throttled, TRY_LATER),
    (ServerError, REFUSED),
    (OutcomeUnknown, UNKNOWN_OUTCOME),
)
#: What `--retry-for` waits out.
PASSING: Final = frozenset({CONNECTION, TRY_LATER})

MEANINGS: Final = """\
exit codes:
  0 done                              5 refused for good
  1 a bug of mailoauth                6 partly done
  2 wrong use or configuration        7 try later
  3 a person must sign in             8 outcome unknown: do not repeat
  4 no connection                     129, 130, 143 interrupted
"""


def code_of(error: MailOAuthError) -> int:
    """Return the exit code for an error."""
    diagnosis = getattr(error, "diagnosis", None)
    if diagnosis is not None and diagnosis.category in {"passing", "throttled"}:
        return TRY_LATER
    return next((code for kind, code in _CODES if isinstance(error, kind)), BUG)
