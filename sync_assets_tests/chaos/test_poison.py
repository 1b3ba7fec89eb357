"""k bad rows in a batch of 500: the good ones are written once, the bad ones set aside, and paid for once."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.testing.rig import Hands
from sync_assets_tests.chaos.test_lost_answers import FAST
from sync_assets_tests.fix_boards import Rig

MakeRig = Callable[..., Rig]
ROWS = 500
# A rating takes whole numbers from 1 to 5: what else a decimal column holds, only the board can refuse.
FIELDS = [
    {"field_name": "amount", "type": 2, "ui_type": "Rating", "property": {"min": 1, "max": 5}},
    {"field_name": "phone", "type": 1},
]


def poisoned(make_rig: MakeRig, bad: int) -> tuple[Rig, set[int]]:
    rig = make_rig(FIELDS)
    rig.insert(1, ROWS, amount="3")
    ids = set(random.Random(bad).sample(range(1, ROWS + 1), bad))
    if ids:
        rig.sql(f"update {{orders}} set amount = 9 where id in ({', '.join(map(str, ids))})")
    return rig, ids


def creates(rig: Rig) -> int:
    return rig.emulator.count("batch_create")


def good(rig: Rig, ids: set[int]) -> list[dict[str, Any]]:
    return [r for r in rig.rows() if r["id"] not in ids]


@pytest.mark.parametrize("bad", [0, 1, 7, 500])
def test_bad_rows_are_found_and_set_aside(make_rig: MakeRig, bad: int) -> None:
    rig, ids = poisoned(make_rig, bad)
    rig.emulator.reset_calls()
    report = rig.run(reject_limit=500, hands=Hands(client=FAST))
    assert creates(rig) <= 1 + 2 * bad * math.log2(ROWS)
    assert (report.counts.created, report.counts.rejected) == (ROWS - bad, bad)
    assert report.counts.balanced
    assert {r.key for r in report.rejected} == {str(i) for i in ids}
    assert rig.verdict(good(rig, ids)).equal, str(rig.verdict(good(rig, ids)))
    kept = rig.store.rejects(rig.sync)
    assert {r.key for r in kept} == {str(i) for i in ids}
    assert all(r.field == "amount" and r.code == "1254061" and r.reason for r in kept)
    assert rig.store.journal_open(f"bitable:{rig.place.feishu}/{rig.place.table_id}") == []

    rig.emulator.reset_calls()
    second = rig.run(reject_limit=500)
    assert creates(rig) == 0, "what was refused and has not changed is not sent again"
    assert (second.counts.unchanged, second.counts.rejected) == (ROWS - bad, bad)
    assert len(second.rejected) == bad, "but it is reported again"


def test_a_row_that_changed_is_tried_again_and_one_that_is_well_is_forgotten(make_rig: MakeRig) -> None:
    rig, ids = poisoned(make_rig, 7)
    rig.run()
    healed, worse, *_ = sorted(ids)
    rig.sql(f"update {{orders}} set amount = 4 where id = {healed}")
    rig.sql(f"update {{orders}} set amount = 8 where id = {worse}")
    rig.emulator.reset_calls()
    report = rig.run()
    assert 0 < creates(rig) <= 3
    assert (report.counts.created, report.counts.rejected) == (1, 6)
    assert {r.key for r in rig.store.rejects(rig.sync)} == {str(i) for i in ids - {healed}}
    assert rig.verdict(good(rig, ids - {healed})).equal


def test_rejects_can_be_sent_again(make_rig: MakeRig) -> None:
    """The board was corrected, the rows were not: only asking for it makes a run try them again."""
    rig, ids = poisoned(make_rig, 7)
    rig.run()
    rig.sql("update {orders} set amount = 3")
    well = rig.store.rejects(rig.sync)
    rig.sql(f"update {{orders}} set amount = 9 where id in ({', '.join(map(str, ids))})")
    assert rig.store.forget_rejects(rig.sync) == len(well) == 7
    rig.emulator.reset_calls()
    report = rig.run()
    assert creates(rig) > 0
    assert report.counts.rejected == 7


def test_an_update_that_is_refused_leaves_the_record_and_holds_it(make_rig: MakeRig) -> None:
    rig, _ = poisoned(make_rig, 0)
    rig.run()
    before = rig.records()
    rig.sql("update {orders} set amount = 9, note = 'x' where id <= 3", "update {orders} set note = 'y' where id = 4")
    report = rig.run("clone")
    assert (report.counts.updated, report.counts.rejected, report.counts.deleted) == (1, 3, 0)
    now = rig.records()
    assert now.keys() == before.keys()
    assert all(now[i] == before[i] for i in now if before[i]["id"] <= 3)
    again = rig.run("clone")
    assert (again.counts.updated, again.counts.rejected, again.counts.deleted) == (0, 3, 0)


def test_above_the_limit_it_stops_and_remembers_what_it_found(make_rig: MakeRig) -> None:
    rig, ids = poisoned(make_rig, 7)
    with pytest.raises(Stop) as stopped:
        rig.run(reject_limit=3)
    assert stopped.value.code == "reject_limit"
    kept = {r.key for r in rig.store.rejects(rig.sync)}
    assert len(kept) == 4
    assert kept <= {str(i) for i in ids}, "the reasons can be looked at"
    rig.emulator.reset_calls()
    with pytest.raises(Stop):
        rig.run(reject_limit=3)
    assert creates(rig) == 0, "more known rejects than the limit stop a run before it writes"
    report = rig.run(reject_limit=7)
    assert report.counts.rejected == 7
    assert rig.verdict(good(rig, ids)).equal


def test_an_incremental_run_keeps_rejects_that_it_does_not_read(make_rig: MakeRig) -> None:
    rig, ids = poisoned(make_rig, 3)
    settings: dict[str, Any] = {"mode": "incremental", "watermark": "at", "lookback": 1.0, "spec_digest": "s"}
    rig.run(**settings)
    rig.insert(501, 510, amount="3", at="'2026-10-02 08:00:00'")
    report = rig.run(**settings)
    assert report.counts.read < 50, "it read on from its position"
    assert {r.key for r in rig.store.rejects(rig.sync)} == {str(i) for i in ids}
    rig.sql("update {orders} set amount = 3")  # without a new watermark: nobody would read them
    assert rig.run(**settings).counts.created == 0
    assert rig.store.forget_rejects(rig.sync) == 3
    assert rig.run(**settings).counts.created == 3, "sent again means read again"
    assert rig.verdict().equal
    assert rig.store.rejects(rig.sync) == []
