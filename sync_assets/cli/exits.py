"""Exit codes: what a script that calls us does next. The one place where they are decided."""

from __future__ import annotations

from collections.abc import Iterable

from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.engine.model import Report

OK, UNEXPECTED, STOP, RETRY, REJECTS = 0, 1, 2, 3, 4
INTERRUPTED = 130  # as shells say for Ctrl-C

_KINDS = {"stop": STOP, "retry": RETRY, "reject": REJECTS}
_GRAVEST_FIRST = (UNEXPECTED, STOP, RETRY, REJECTS, OK)


def of_error(error: SyncError) -> int:
    """2 for what a person must settle, 3 for what passes."""
    if isinstance(error, Retry):
        return RETRY
    return STOP if isinstance(error, Stop) else REJECTS


def of_report(report: Report) -> int:
    """The gravest of what the report says."""
    codes = [_KINDS.get(info.kind, UNEXPECTED) for info in report.failed.values()]
    if report.counts.rejected:
        codes.append(REJECTS)
    if report.equal is False:  # somebody else wrote meanwhile, as a rule; the next run settles it
        codes.append(RETRY)
    return gravest(codes)


def gravest(codes: Iterable[int]) -> int:
    return min(codes, key=_GRAVEST_FIRST.index, default=OK)
