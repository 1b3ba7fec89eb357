"""What must look suspicious before a look at accounts is published: that many are gone, or all of something.

A login that lost a right, or a replica that is being rebuilt, shows few accounts and no error. Must not know who
decides that it is right all the same: that is the `accept` of a publication.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sync_assets.fleet.identity import match
from sync_assets.fleet.model import AccountReading, AccountState, Principal, SectionKey, SectionName


@dataclass(frozen=True, slots=True)
class ShrinkLimit:
    """`count` accounts may always vanish at once; above that, at most `share` of those known."""

    share: float = 0.3
    count: int = 3


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a look is not published. One that is `final` is not published whoever accepts it."""

    message: str
    final: bool = False


def suspicion(
    before: AccountState, after: AccountState, reading: AccountReading, limit: ShrinkLimit, accept: bool = False
) -> Suspicion | None:
    """The first reason not to publish `after`, None where there is none. Renamed and recreated accounts are there.

    `accept` lets all pass but an empty list of accounts: no server has none, not even the one that we log in with.
    """
    found = _suspicions(before, after, reading, limit)
    return next((one for one in found if one.final or not accept), None)


def _suspicions(
    before: AccountState, after: AccountState, reading: AccountReading, limit: ShrinkLimit
) -> Iterator[Suspicion]:
    known = len(before.principals)
    read = any(key.name is SectionName.PRINCIPALS and state.ok for key, state in reading.sections.items())
    if known and read and not reading.principals:
        yield Suspicion(f"the list of accounts came back empty; {known} are known", final=True)
    dropped = match(before.principals, after.principals).dropped
    gone = sorted(name for name in dropped if _still_read(before.principals[name], reading))
    if len(gone) > limit.count and len(gone) > limit.share * known:
        allowed = max(limit.count, int(limit.share * known))
        yield Suspicion(f"{len(gone)} of {known} accounts would vanish; the guard allows {allowed}: {_some(gone)}")
    if len(before.grants) > limit.count and not after.grants and after.principals:
        yield Suspicion(f"all {len(before.grants)} rights would vanish, while their accounts are still there")


def _still_read(one: Principal, reading: AccountReading) -> bool:
    """The users of a database that was dropped went with it, however many they were."""
    return SectionKey(SectionName.PRINCIPALS, one.part) in reading.sections


def _some(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
