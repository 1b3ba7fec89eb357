"""One round over instances, whatever is collected: dials, reads, keeps, records. What accounts and capacity share.

A collector is opened anew for each attempt, with what is left of the instance's time; an instance that cannot even be
addressed (a variable that is not set) fails by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar

from sync_assets.databases.base import ConnectionArgs, open_collector
from sync_assets.engine.errors import SyncError
from sync_assets.fleet.collecting import Collector
from sync_assets.fleet.model import AccountReading, CapacityReading, Sections, Status
from sync_assets.project.deployment import PlacedFleet
from sync_assets.project.fleet.asking import Answer, Pace, Question, Round
from sync_assets.project.fleet.items import Item, ItemState
from sync_assets.project.fleet.members import Member
from sync_assets.project.fleet.reasons import reason_of
from sync_assets.project.fleet.record import Record, Work, recorded
from sync_assets.store.control import PostgresStore

Reading = TypeVar("Reading", AccountReading, CapacityReading)


@dataclass(frozen=True, slots=True)
class Hands:
    """What a run is done with: clocks are passed in, never called hard."""

    store: PostgresStore
    run_id: str
    asked_by: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def collected(
    fleet: PlacedFleet,
    work: Work,
    chosen: Mapping[str, Member],
    lines: Mapping[str, str],
    read: Callable[[Collector], Reading],
    keep: Callable[[Answer[Reading]], Item],
    hands: Hands,
) -> Iterator[Item]:
    """Read each member and keep what came; yield each item when its line of the history is closed.

    `lines` are the partitions of the history. `keep` gets every final answer, failures included.
    """
    if not chosen:
        return
    questions = [_question(fleet, one, read) for one in chosen.values()]
    pace = Pace(fleet.spec.parallel, fleet.spec.per_host, float(fleet.spec.deadline))
    with recorded(hands.store, fleet, work, hands.run_id, hands.asked_by, lines) as record:
        round_ = Round(questions, keep, not_kept, pace, hands.clock, hands.sleep, halfway=_came_halfway)
        with closing(round_.run(record.alive)) as items:
            yield from _ended(items, record)


def _came_halfway(reading: AccountReading | CapacityReading) -> bool:
    """Whether a section failed, for no lack of a right: as good as a failed attempt, unless it fails again."""
    return any(state.status is Status.ERROR for state in reading.sections.values())


def _ended(items: Iterator[Item], record: Record) -> Iterator[Item]:
    for item in items:
        record.ended(item.instance, item)
        yield item


def _question(fleet: PlacedFleet, one: Member, read: Callable[[Collector], Reading]) -> Question[Reading]:
    def ask(left: float) -> Reading:
        args = limited(fleet, one.args, left)
        with closing(open_collector(one.engine, args)) as collector:
            return read(collector)

    return Question(one.name, host_of(one), ask)


def host_of(one: Member) -> str:
    """The machine, as far as it is known: how many logins it sees at once is bounded."""
    try:
        args = one.args
    except SyncError:  # told when it is asked
        return one.name
    return (args.socket or args.host).lower()


def limited(fleet: PlacedFleet, args: ConnectionArgs, left: float) -> ConnectionArgs:
    """The same with the fleet's patience: no statement and no silence may outlast what is left."""
    spec = fleet.spec
    connect = max(1, min(spec.connect_seconds, int(left)))
    statement = max(1, min(spec.statement_seconds, int(left)))
    return replace(args, connect_seconds=connect, query_seconds=statement, silent_seconds=connect)


def failed(answer: Answer[Reading]) -> Item:
    """A server that gave no reading."""
    return Item(
        answer.name,
        ItemState.FAILED,
        answer.error,
        answer.reason or "other",
        seconds=answer.seconds,
        attempts=answer.attempts,
    )


def not_kept(answer: Answer[Reading], error: SyncError) -> Item:
    """A reading that could not be kept."""
    item = failed(answer)
    return replace(item, error=error, reason=reason_of(error))


def state_of(sections: Sections, empty: bool) -> ItemState:
    """`FAILED` when no section at all could be read; an unsupported one is nobody's fault."""
    bad = [state for state in sections.values() if state.status in (Status.DENIED, Status.ERROR)]
    if bad and not any(state.ok for state in sections.values()):
        return ItemState.FAILED
    return ItemState.DEGRADED if bad else ItemState.EMPTY if empty else ItemState.OK
