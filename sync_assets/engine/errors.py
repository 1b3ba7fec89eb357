"""Errors, sorted by what the caller does next: stop, retry, reject this row.

Every message names the sync or connection, the place and the next action. No message holds a secret or a value
from a row: drivers' own texts often do, so they are classified and re-worded, never passed on whole.

    SyncError
     +- Stop            a person must act: configuration, permission, schema, guard, fence. Never retried.
     |   +- Fenced      another worker holds the lease now; this one must not write any more
     +- Retry           passing: try the same thing again, not before `after` seconds
     |   +- Unclear     the request may have been carried out; look before repeating it
     +- BadBatch        the target refused the whole batch for one row in it; halve it to find the row
     |   +- TooLarge    ... because it is too big; halve it, and remember the smaller size
     |   |   +- AnswerTooLarge  ... or its answer is: it may have been applied all the same
     |   +- Gone        ... because records in it no longer exist; drop those and send the rest
     +- RejectRow       this one row cannot be written; set it aside with its reason and go on
"""

from __future__ import annotations

from collections.abc import Sequence


class SyncError(Exception):
    """Root of all errors that this package raises on purpose.

    `code` is a short stable word or the remote's own number (for example ``91403``); `hint` is the next action, in
    the imperative, and is printed after the message.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        tail = f" [{self.code}]" if self.code else ""
        return f"{self.message}{tail}" + (f" -> {self.hint}" if self.hint else "")


class Stop(SyncError):
    """A person must act before this can work: configuration, permission, schema, guard."""


class Fenced(Stop):
    """Another worker took the lease over; nothing may be written under the old token."""


class Retry(SyncError):
    """Passing trouble. The same call may succeed after `after` seconds."""

    def __init__(self, message: str, *, after: float = 0.0, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.after = after


class Unclear(Retry):
    """No answer came, or one that does not tell: the write may have been applied."""


class BadBatch(SyncError):
    """An atomic batch was refused because of a row in it. `field` is the field named by the remote, if any."""

    def __init__(self, message: str, *, field: str = "", hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.field = field


class TooLarge(BadBatch):
    """A batch or page was too big in rows or bytes: ask for less."""


class AnswerTooLarge(TooLarge):
    """The answer, not the request, was too big: the write may have been applied. Look before sending halves."""


class Gone(BadBatch):
    """Records of the batch no longer exist (somebody deleted them). `ids` names them where the remote does."""

    def __init__(self, message: str, *, ids: Sequence[str] = (), hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.ids = tuple(ids)


class RejectRow(SyncError):
    """One value of one row does not fit its field. The reason never quotes the value."""

    def __init__(self, message: str, *, field: str = "", hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.field = field
