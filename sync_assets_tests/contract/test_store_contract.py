"""What every control store promises, on PostgreSQL and on its twin in memory."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sync_assets.engine.control import ControlStore, JournalEntry, Lease, LeaseHeld, SyncState
from sync_assets.engine.errors import Fenced, Retry
from sync_assets.engine.model import Rejected
from sync_assets_tests.fix_store import TwinClock

Twin = tuple[ControlStore, TwinClock]
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def entry(token: str, target: str = "board", keys: tuple[str, ...] = ("1", "2")) -> JournalEntry:
    return JournalEntry(token, target, "orders", keys, b'{"records": []}\x00\xff', LONG_AGO)


def rejected(key: str, **changes: str) -> Rejected:
    one = Rejected(key, "d1", "amount", "too_long", "longer than 100 characters", "2026-10-01")
    return replace(one, **changes)


def taken_over(store: ControlStore, clock: TwinClock) -> tuple[Lease, Lease]:
    old = store.acquire_lease("board", "first", 30)
    clock.advance(31)
    return old, store.acquire_lease("board", "second", 30)


# -- leases


def test_a_held_lease_is_refused_with_the_time_that_is_left(twin: Twin) -> None:
    store, clock = twin
    store.acquire_lease("board", "first", 30)
    clock.advance(10)
    with pytest.raises(LeaseHeld) as refusal:
        store.acquire_lease("board", "second", 30)
    assert isinstance(refusal.value, Retry)
    assert 15 < refusal.value.after <= 20
    assert "first" in str(refusal.value)


def test_the_same_owner_does_not_get_it_twice(twin: Twin) -> None:
    store, _ = twin
    store.acquire_lease("board", "me", 30)
    with pytest.raises(LeaseHeld):
        store.acquire_lease("board", "me", 30)


def test_other_targets_are_free(twin: Twin) -> None:
    store, _ = twin
    store.acquire_lease("board", "first", 30)
    assert store.acquire_lease("other", "second", 30).owner == "second"


def test_the_token_grows_with_every_holder(twin: Twin) -> None:
    store, clock = twin
    old, new = taken_over(store, clock)
    store.release_lease(new)
    third = store.acquire_lease("board", "third", 30)
    assert old.token < new.token < third.token


def test_a_token_is_larger_than_those_that_other_leases_have_had(twin: Twin) -> None:
    store, clock = twin
    first = store.acquire_lease("board", "first", 30).token
    clock.advance(1)
    assert store.acquire_lease("renamed", "first", 30).token > first


def test_a_released_lease_is_free_at_once(twin: Twin) -> None:
    store, _ = twin
    store.release_lease(store.acquire_lease("board", "first", 3600))
    assert store.acquire_lease("board", "second", 30).owner == "second"


def test_renewing_prolongs(twin: Twin) -> None:
    store, clock = twin
    lease = store.acquire_lease("board", "first", 30)
    clock.advance(25)
    store.renew_lease(lease)
    clock.advance(25)
    with pytest.raises(LeaseHeld):
        store.acquire_lease("board", "second", 30)


def test_a_late_holder_may_go_on_while_nobody_took_over(twin: Twin) -> None:
    store, clock = twin
    lease = store.acquire_lease("board", "first", 30)
    clock.advance(60)
    store.journal(lease, entry("a"))
    store.renew_lease(lease)
    with pytest.raises(LeaseHeld):
        store.acquire_lease("board", "second", 30)


def test_a_zombie_can_do_nothing(twin: Twin) -> None:
    store, clock = twin
    old, new = taken_over(store, clock)
    store.save_state(new, "orders", "", SyncState("20", 20))
    with pytest.raises(Fenced):
        store.renew_lease(old)
    with pytest.raises(Fenced):
        store.journal(old, entry("a"))
    with pytest.raises(Fenced):
        store.save_state(old, "orders", "", SyncState("10", 10))
    assert store.state("orders").position == "20"
    assert store.journal_open("board") == []


def test_releasing_a_lost_lease_takes_it_from_nobody(twin: Twin) -> None:
    store, clock = twin
    old, new = taken_over(store, clock)
    store.release_lease(old)
    store.renew_lease(new)


def test_a_released_lease_is_no_right_to_write(twin: Twin) -> None:
    store, _ = twin
    lease = store.acquire_lease("board", "first", 30)
    store.release_lease(lease)
    with pytest.raises(Fenced):
        store.renew_lease(lease)
    with pytest.raises(Fenced):
        store.save_state(lease, "orders", "", SyncState("1"))


def test_a_lease_that_never_was_is_fenced(twin: Twin) -> None:
    with pytest.raises(Fenced):
        twin[0].renew_lease(Lease("board", "nobody", 7, 30))


def test_a_holder_known_to_be_gone_is_replaced_once(twin: Twin) -> None:
    store, _ = twin
    store.acquire_lease("board", "dead", 3600)
    with pytest.raises(LeaseHeld) as refusal:
        store.acquire_lease("board", "second", 30)
    assert refusal.value.holder == "dead"
    assert store.acquire_lease("board", "second", 30, over=refusal.value.token).token > refusal.value.token
    with pytest.raises(LeaseHeld):
        store.acquire_lease("board", "third", 30, over=refusal.value.token)


def test_of_many_that_ask_at_once_one_gets_it(twin: Twin) -> None:
    store, _ = twin
    results: list[object] = []
    start = threading.Barrier(8)

    def ask(number: int) -> None:
        start.wait()
        try:
            results.append(store.acquire_lease("board", f"worker {number}", 30))
        except LeaseHeld as held:
            results.append(held)

    threads = [threading.Thread(target=ask, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert sum(isinstance(result, Lease) for result in results) == 1


# -- journal


def test_a_journalled_create_is_open_until_its_answer_was_seen(twin: Twin) -> None:
    store, _ = twin
    lease = store.acquire_lease("board", "me", 30)
    for token in ("b", "a", "c"):
        store.journal(lease, entry(token))
    store.journal_done(["a", "unknown"])
    assert [one.client_token for one in store.journal_open("board")] == ["b", "c"]
    assert store.journal_open("other") == []


def test_the_journal_gives_back_the_exact_request(twin: Twin) -> None:
    store, _ = twin
    hard = ("", "a\0b", "\ud800", '"\\', "订单🧾", "' or 1=1")
    store.journal(store.acquire_lease("board", "me", 30), entry("a", keys=hard))
    (found,) = store.journal_open("board")
    assert (found.keys, found.payload) == (hard, b'{"records": []}\x00\xff')


def test_the_stores_own_clock_says_when(twin: Twin) -> None:
    store, _ = twin
    store.journal(store.acquire_lease("board", "me", 30), entry("a"))
    written = store.journal_open("board")[0].written_at
    assert written.tzinfo is not None
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)


def test_the_same_token_again_is_the_same_request(twin: Twin) -> None:
    store, _ = twin
    lease = store.acquire_lease("board", "me", 30)
    store.journal(lease, entry("a"))
    store.journal(lease, entry("a"))
    assert len(store.journal_open("board")) == 1


# -- states


def test_a_state_is_kept_per_sync_and_partition(twin: Twin) -> None:
    store, _ = twin
    lease = store.acquire_lease("board", "me", 30)
    when = datetime(2026, 10, 1, 8, tzinfo=UTC)
    store.save_state(lease, "orders", "2026-10-01", SyncState("17", 3, "abc", when))
    assert store.state("orders", "2026-10-01") == SyncState("17", 3, "abc", when)
    assert store.state("orders") == SyncState()
    assert store.state("other", "2026-10-01") == SyncState()


def test_a_state_is_replaced_whole_and_dated(twin: Twin) -> None:
    store, _ = twin
    lease = store.acquire_lease("board", "me", 30)
    store.save_state(lease, "orders", "", SyncState("17", 3, "abc"))
    store.save_state(lease, "orders", "", SyncState())
    found = store.state("orders")
    assert (found.position, found.rows, found.digest) == (None, None, "")
    assert found.finished_at is not None and found.finished_at.tzinfo is not None


# -- rejects


def test_rejects_are_kept_by_key_in_order_of_code_points(twin: Twin) -> None:
    store, _ = twin
    keys = ["b", "B", "ä", "10", "9", "订", "", "🧾", "a b", "\uffff"]
    store.save_rejects("orders", [rejected(key) for key in keys], [])
    store.save_rejects("other", [rejected("x")], [])
    assert [one.key for one in store.rejects("orders")] == sorted(keys)
    assert store.rejects("orders")[0] == rejected("")


def test_a_newer_reason_replaces_the_older(twin: Twin) -> None:
    store, _ = twin
    store.save_rejects("orders", [rejected("1"), rejected("2")], [])
    store.save_rejects("orders", [rejected("1", digest="d2", reason="not a number")], ["2", "unknown"])
    assert store.rejects("orders") == [rejected("1", digest="d2", reason="not a number")]


def test_a_key_both_resolved_and_rejected_is_rejected(twin: Twin) -> None:
    store, _ = twin
    store.save_rejects("orders", [rejected("1")], ["1"])
    assert store.rejects("orders") == [rejected("1")]


def test_forgetting_counts(twin: Twin) -> None:
    store, _ = twin
    store.save_rejects("orders", [rejected(str(n)) for n in range(5)], [])
    assert store.forget_rejects("orders", ["1", "3", "unknown"]) == 2
    assert store.forget_rejects("orders", []) == 0
    assert store.forget_rejects("orders") == 3
    assert store.rejects("orders") == []


def test_forgetting_drops_the_position_that_would_hide_the_rows(twin: Twin) -> None:
    store, _ = twin
    lease = store.acquire_lease("board", "me", 30)
    for partition in ("", "2026-10-01"):
        store.save_state(lease, "orders", partition, SyncState("17", 3, "abc"))
    store.save_state(lease, "other", "", SyncState("17"))
    store.save_rejects("orders", [rejected("1")], [])
    store.forget_rejects("orders", ["unknown"])
    assert store.state("orders").position == "17"
    store.forget_rejects("orders", ["1"])
    assert [store.state("orders", p).position for p in ("", "2026-10-01")] == [None, None]
    assert (store.state("orders").rows, store.state("other").position) == (3, "17")


def test_texts_that_postgres_cannot_hold_are_made_holdable(twin: Twin) -> None:
    store, _ = twin
    store.save_rejects("orders", [rejected("a\0b", reason="half \ud800")], [])
    assert [(one.key, one.reason) for one in store.rejects("orders")] == [("a␀b", "half ?")]
    store.save_rejects("orders", [], ["a\0b"])
    assert store.rejects("orders") == []
    incident, _ = store.open_incident("orders", "with \0")
    assert incident.message == "with ␀"


# -- incidents


def test_an_incident_opens_once_and_closes_once(twin: Twin) -> None:
    store, _ = twin
    first, opened = store.open_incident("orders", "board gone")
    again, opened_again = store.open_incident("orders", "still gone")
    assert (opened, opened_again) == (True, False)
    assert (again.occurrences, again.message, again.opened_at) == (2, "still gone", first.opened_at)
    closed = store.close_incident("orders")
    assert closed is not None and closed.closed_at is not None
    assert closed.closed_at >= closed.opened_at
    assert closed.occurrences == 2
    assert store.close_incident("orders") is None


def test_a_new_trouble_of_the_same_name_is_a_new_incident(twin: Twin) -> None:
    store, _ = twin
    store.open_incident("orders", "board gone")
    store.close_incident("orders")
    incident, opened = store.open_incident("orders", "again")
    assert opened and incident.occurrences == 1 and incident.closed_at is None


def test_incidents_of_different_names_are_apart(twin: Twin) -> None:
    store, _ = twin
    store.open_incident("orders", "x")
    assert store.open_incident("customers", "y")[1]
    store.close_incident("customers")
    assert store.open_incident("orders", "x")[1] is False


def test_many_reports_at_once_open_one_incident(twin: Twin) -> None:
    store, _ = twin
    flags: list[bool] = []
    threads = [threading.Thread(target=lambda: flags.append(store.open_incident("orders", "x")[1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(flags) == [False] * 7 + [True]


def test_a_run_may_be_recorded_again(twin: Twin) -> None:
    store, _ = twin
    store.record_run("r1", "orders", "2026-10-01", "failed", {"read": 1, "note": "a\0b"})
    store.record_run("r1", "orders", "2026-10-01", "ok", {"read": 2, "at": datetime.now(UTC)})


def test_a_run_is_written_down_when_it_begins_and_ends_once(twin: Twin) -> None:
    store, _ = twin
    store.start_run("r1", "orders", "", "host:1 #mark")
    store.start_run("r1", "copy:public.a", "2026-10-01", "host:1 #mark")
    store.start_run("r1", "copy:public.b", "", "host:2")
    (open_run,) = store.runs("orders")
    assert (open_run.outcome, open_run.finished_at, open_run.holder, open_run.leased) == (
        "running", None, "host:1 #mark", False)  # fmt: skip
    assert open_run.started_at is not None
    assert {run.sync for run in store.runs("copy", running=True)} == {"copy:public.a", "copy:public.b"}
    store.record_run("r1", "orders", "", "finished", {"read": 3})
    store.lose_run("r1", "orders", "")
    store.lose_run("r1", "copy:public.b", "")
    assert {run.sync for run in store.runs(running=True)} == {"copy:public.a"}
    ended = {run.sync: (run.outcome, run.finished_at is not None) for run in store.runs()}
    assert ended == {"orders": ("finished", True), "copy:public.a": ("running", False), "copy:public.b": ("lost", True)}
    assert store.runs("orders")[0].report == {"read": 3}
    assert len(store.runs(limit=2)) == 2


def test_the_runs_of_a_name_are_those_of_its_tables_and_those_that_copied_back(twin: Twin) -> None:
    store, _ = twin
    names = [
        "copy:public.a",
        "copy:crm.a",
        "copy:public.b",
        "restore copy:public.a",
        "copying",
        "restore",
        'copy:x."a.b"',
    ]
    for name in names:
        store.start_run("r1", name, "", "host:1")

    def found(name: str) -> set[str]:
        return {run.sync for run in store.runs(name)}

    assert found("copy") == {n for n in names if "copy:" in n}
    assert found("copy:public.a") == {"copy:public.a", "restore copy:public.a"}
    assert found("copy:a") == {"copy:public.a", "copy:crm.a", "restore copy:public.a"}
    assert found("copy:b") == {"copy:public.b"}
    assert found("copying") == {"copying"}
    assert found("copy:public") == set()


def test_a_run_says_whether_its_process_holds_a_lease(twin: Twin) -> None:
    store, _ = twin
    store.start_run("r1", "orders", "", "host:1")
    lease = store.acquire_lease("board", "host:1", 30)
    assert [run.leased for run in store.runs()] == [True]
    store.release_lease(lease)
    assert [run.leased for run in store.runs()] == [False]
    assert store.runs()[0].seconds < 60


def test_a_retry_of_a_run_begins_anew(twin: Twin) -> None:
    store, _ = twin
    store.start_run("r1", "orders", "", "host:1")
    store.record_run("r1", "orders", "", "failed", {"error": "x"})
    store.start_run("r1", "orders", "", "host:2")
    (run,) = store.runs()
    assert (run.outcome, run.holder, run.report, run.finished_at) == ("running", "host:2", {}, None)
