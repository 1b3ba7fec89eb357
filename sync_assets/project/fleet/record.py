"""The history of work on a fleet: a line for each instance or period, with how it came out, whatever happens.

A line is ``running`` from before the first server is dialled, and is closed as each one is done. A process that was
killed cannot close them: the next start, of anything, calls them lost, and notes a gap for what was being collected.
A lease held meanwhile tells other machines that the process lives. Knows no database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Literal

from sync_assets.engine.control import LeaseHeld
from sync_assets.engine.errors import SyncError
from sync_assets.engine.holder import holder_name
from sync_assets.engine.lease import HeldLease, holding
from sync_assets.fleet.model import Sections
from sync_assets.project.deployment import PlacedFleet
from sync_assets.project.fleet.items import Item, ItemState, PeriodItem
from sync_assets.project.history import reconcile
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.instances import InstanceStore
from sync_assets.store.redaction import redact

Work = Literal["accounts", "capacity", "classification", "aggregation"]
_SLOTS = 64  # runs over one fleet at once; their leases keep a row each


class Record:
    """The open lines of one run. `lines` are their partitions, by the name of what is worked on."""

    def __init__(
        self, store: PostgresStore, run_id: str, sync: str, lines: Mapping[str, str], lease: HeldLease
    ) -> None:
        self._store, self._run_id, self._sync, self._open = store, run_id, sync, dict(lines)
        self._lease = lease

    def alive(self) -> None:
        """Say that we are still here; costs nothing while that is fresh. Raises `Fenced`, `Retry`."""
        self._lease.ensure()

    def ended(self, name: str, item: Item | PeriodItem) -> None:
        partition = self._open.pop(name)
        outcome = "finished" if item.state.good else "failed"
        self._store.record_run(self._run_id, self._sync, partition, outcome, summary(item))

    def fail_rest(self, error: BaseException) -> None:
        said = str(error) if isinstance(error, SyncError) else f"the run ended before it ({type(error).__name__})"
        report: dict[str, object] = {"state": str(ItemState.FAILED), "error": redact(said)}
        self._store.record_runs(self._run_id, [(self._sync, p, "failed", report) for p in self._open.values()])
        self._open.clear()


@contextmanager
def recorded(
    store: PostgresStore, fleet: PlacedFleet, work: Work, run_id: str, asked_by: str, lines: Mapping[str, str]
) -> Iterator[Record]:
    """Write down that the work on `lines` begins, and close each line, whatever happens."""
    reconcile(store)
    InstanceStore(store.sessions).note_lost(fleet.name, fleet.time_zone)
    sync, holder = f"{fleet.name}/{work}", holder_name(run_id)
    with ExitStack() as stack:
        lease = _leased(stack, store, sync, holder)
        store.start_runs(run_id, [(sync, partition) for partition in lines.values()], holder, asked_by)
        record = Record(store, run_id, sync, lines, lease)
        try:
            yield record
        except BaseException as error:  # also when who asked stops listening
            with suppress(SyncError):  # what brought us here must not be hidden
                record.fail_rest(error)
            raise


def _leased(stack: ExitStack, store: PostgresStore, sync: str, holder: str) -> HeldLease:
    """A lease of our own: several runs over one fleet may go on at once."""
    for slot in range(1, _SLOTS):
        with suppress(LeaseHeld):
            return stack.enter_context(holding(store, f"{sync} #{slot}", holder))
    return stack.enter_context(holding(store, f"{sync} #{_SLOTS}", holder))


def summary(item: Item | PeriodItem) -> dict[str, object]:
    """What is kept of an item: state, counts and reasons, no row."""
    found: dict[str, object] = {"state": str(item.state), "seconds": round(item.seconds, 3)}
    if item.error is not None:
        found["error"] = redact(str(item.error))
    if isinstance(item, Item):
        found |= {"counts": dict(item.counts), "reason": item.reason, "attempts": item.attempts, "server": item.server}
        found["sections"] = not_ok(item.sections)
    elif item.summary is not None:
        found |= {"status": item.summary.status, "counts": {"rows": item.summary.rows, "written": item.summary.written}}
    return {name: value for name, value in found.items() if value not in ("", {}, 0)}


def not_ok(sections: Sections) -> dict[str, str]:
    """The sections that are not ok, with why."""
    return {str(key): f"{state.status}: {state.reason}" for key, state in sections.items() if not state.ok}
