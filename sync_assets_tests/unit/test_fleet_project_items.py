"""States of what came out of a fleet's runs: nothing there, something denied, nothing readable, and their sum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.errors import Stop
from sync_assets.fleet.model import SectionKey, SectionName, SectionState, Status
from sync_assets.project.fleet import Item, ItemState, counted
from sync_assets.project.fleet.collecting import state_of
from sync_assets.project.fleet.record import summary


def sections(*states: Status) -> dict[SectionKey, SectionState]:
    names = list(SectionName)
    return {SectionKey(names[n]): SectionState(s, "" if s is Status.OK else "grant it") for n, s in enumerate(states)}


OK, DENIED, ERROR, UNSUPPORTED = Status.OK, Status.DENIED, Status.ERROR, Status.UNSUPPORTED


@pytest.mark.parametrize(
    ("states", "empty", "expected"),
    [
        ((OK, OK), False, ItemState.OK),
        ((OK, OK), True, ItemState.EMPTY),  # D5: an instance without a database is none that went well like others
        ((OK, UNSUPPORTED), False, ItemState.OK),
        ((OK, DENIED), False, ItemState.DEGRADED),
        ((OK, ERROR), True, ItemState.DEGRADED),
        ((DENIED, DENIED), True, ItemState.FAILED),
        ((ERROR, UNSUPPORTED), True, ItemState.FAILED),
    ],
)
def test_a_look_has_the_state_that_its_sections_give(
    states: tuple[Status, ...], empty: bool, expected: ItemState
) -> None:
    assert state_of(sections(*states), empty) is expected


@given(st.lists(st.sampled_from(list(ItemState))))
def test_every_item_is_counted_in_exactly_one_state(states: list[ItemState]) -> None:
    """D5: processed = ok + empty + degraded + failed + skipped + blocked."""
    found = counted(Item(str(n), state) for n, state in enumerate(states))
    assert set(found) == set(ItemState)
    assert sum(found.values()) == len(states)


def test_a_summary_holds_counts_and_reasons_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    from sync_assets.store.redaction import remember

    remember("hunter2-the-second")
    error = Stop("no login with hunter2-the-second", hint="mend it", code="auth")
    item = Item("a", ItemState.FAILED, error, "auth", sections(OK, DENIED), {"grants": 3}, 1.23456, attempts=1)
    assert summary(item) == {
        "state": "failed",
        "seconds": 1.235,
        "error": "no login with *** [auth] -> mend it",
        "counts": {"grants": 3},
        "reason": "auth",
        "attempts": 1,
        "sections": {"memberships": "denied: grant it"},
    }
