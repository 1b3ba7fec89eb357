"""What the control database keeps of runs: that one began and in which process, how it ended, or that it was lost.

A run whose process was killed cannot say so. The next start on the same machine finds that it is gone; one of another
machine counts as lost when it has held no lease for a while. Knows neither boards nor tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from sync_assets.engine.control import ControlStore, RunEntry
from sync_assets.engine.errors import SyncError
from sync_assets.engine.holder import is_gone, is_here
from sync_assets.engine.model import Report
from sync_assets.store.redaction import redact

_EVERY = 100_000  # runs in flight; one over a fleet has a line for each instance
SILENT = 900.0  # seconds; a run takes its lease within the first, and renews it every 40


def reconcile(
    store: ControlStore, *, gone: Callable[[str], bool] = is_gone, here: Callable[[str], bool] = is_here
) -> int:
    """Call lost what says that it runs although its process has ended. Returns how many."""
    lost = [run for run in store.runs(running=True, limit=_EVERY) if _is_lost(run, gone, here)]
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
        self._open: dict[str, None] = {}

    def begin(self, syncs: Sequence[str], holder: str) -> None:
        self._store.start_runs(self._run_id, [(sync, self._partitions(sync)) for sync in syncs], holder)
        self._open = dict.fromkeys(syncs)

    def finished(self, sync: str, report: Report) -> None:
        self.ended({sync: report})

    def failed(self, sync: str, error: BaseException) -> None:
        self.ended({sync: error})

    def ended(self, ends: Mapping[str, Report | BaseException]) -> None:
        """How these syncs ended: each with its report, or with the error that stopped it."""
        told = [(sync, end) for sync, end in ends.items() if sync in self._open]
        self._store.record_runs(self._run_id, [(s, self._partitions(s), *_outcome(end)) for s, end in told])
        for sync, _ in told:
            del self._open[sync]

    def fail_rest(self, error: BaseException) -> None:
        self.ended(dict.fromkeys(self._open, error))


def _outcome(end: Report | BaseException) -> tuple[str, dict[str, object]]:
    if isinstance(end, Report):
        return "finished", summary(end)
    said = str(end) if isinstance(end, SyncError) else f"unexpected: {type(end).__name__}"
    return "failed", {"error": redact(said)}


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
