"""What the control database keeps of runs: that one began and in which process, how it ended, or that it was lost.

A run whose process was killed cannot say so. The next start on the same machine finds that it is gone; one of another
machine counts as lost when it has held no lease for a while. Knows neither boards nor tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from sync_assets.engine.control import ControlStore, RunEntry
from sync_assets.engine.errors import SyncError
from sync_assets.engine.holder import is_gone, is_here
from sync_assets.engine.model import Report
from sync_assets.store.redaction import redact

SILENT = 900.0  # seconds; a run takes its lease within the first, and renews it every 40


def reconcile(
    store: ControlStore, *, gone: Callable[[str], bool] = is_gone, here: Callable[[str], bool] = is_here
) -> int:
    """Call lost what says that it runs although its process has ended. Returns how many."""
    lost = [run for run in store.runs(running=True, limit=1000) if _is_lost(run, gone, here)]
    for run in lost:
        store.lose_run(run.run_id, run.sync, run.partition)
    return len(lost)


def _is_lost(run: RunEntry, gone: Callable[[str], bool], here: Callable[[str], bool]) -> bool:
    if here(run.holder):
        return gone(run.holder)
    return not run.leased and run.seconds > SILENT


class Record:
    """The history of one run over some syncs. Each is told once; what was not told when the run ends has failed."""

    def __init__(self, store: ControlStore, run_id: str, partitions: Callable[[str], str]) -> None:
        self._store, self._run_id, self._partitions = store, run_id, partitions
        self._open: list[str] = []

    def begin(self, syncs: Sequence[str], holder: str) -> None:
        for sync in syncs:
            self._store.start_run(self._run_id, sync, self._partitions(sync), holder)
            self._open.append(sync)

    def finished(self, sync: str, report: Report) -> None:
        self._end(sync, "finished", summary(report))

    def failed(self, sync: str, error: BaseException) -> None:
        said = str(error) if isinstance(error, SyncError) else f"unexpected: {type(error).__name__}"
        self._end(sync, "failed", {"error": redact(said)})

    def fail_rest(self, error: BaseException) -> None:
        for sync in tuple(self._open):
            self.failed(sync, error)

    def _end(self, sync: str, outcome: str, report: dict[str, object]) -> None:
        if sync in self._open:
            self._store.record_run(self._run_id, sync, self._partitions(sync), outcome, report)
            self._open.remove(sync)


@contextmanager
def recorded(
    store: ControlStore, run_id: str, syncs: Sequence[str], holder: str, partitions: Callable[[str], str]
) -> Iterator[Record]:
    """Write down that `syncs` begin, and how each ended, whatever happens."""
    reconcile(store)
    record = Record(store, run_id, partitions)
    record.begin(syncs, holder)
    try:
        yield record
    except BaseException as error:
        with suppress(SyncError):  # the error that brought us here must not be hidden
            record.fail_rest(error)
        raise


def summary(report: Report) -> dict[str, object]:
    """What is kept of a report: counts and reasons, no row."""
    counts = report.counts
    return {
        "mode": str(report.mode),
        "read": counts.read,
        "created": counts.created,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "rejected": counts.rejected,
        "deleted": counts.deleted,
        "equal": report.equal,
        "requests": report.requests,
        "bytes_sent": report.bytes_sent,
        "bytes_received": report.bytes_received,
        "seconds": round(report.seconds, 3),
        "failed_partitions": {key: info.message for key, info in report.failed.items()},
    }
