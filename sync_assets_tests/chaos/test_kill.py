"""kill -9 at every step of every mode; then a run without faults, and the board is what the mode says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.engine.faults import POINTS
from sync_assets.engine.run import Run
from sync_assets_tests.chaos.scenes import MODES, Scene
from sync_assets_tests.fix_boards import Rig

MakeRig = Callable[..., Rig]
KILLED = -9
_ALWAYS = {
    "after_lease": 1, "after_shape": 1, "after_read": 1, "after_scan": 1, "after_plan": 1, "before_state": 1,
    "after_state": 1,
}  # fmt: skip
_UPDATES = {"before_update": 3, "after_update": 3}
_CREATES = {"after_journal": 8, "after_create": 8}
# How often a run of the scene passes each point with 8 rows a batch; a trace holds the table to the truth.
PASSED = {
    "full": _ALWAYS | _UPDATES | _CREATES,
    "incremental": _ALWAYS | _UPDATES | _CREATES,
    "overwrite": _ALWAYS | _UPDATES | _CREATES,
    "clone": _ALWAYS | _UPDATES | _CREATES | {"before_delete": 2, "after_delete": 2},
    "clone without key": _ALWAYS
    | {"before_update": 1, "after_update": 1}
    | {"after_journal": 11, "after_create": 11, "before_delete": 5, "after_delete": 5},
    "append": _ALWAYS | {"after_journal": 14, "after_create": 14},
}
CASES = [
    pytest.param(mode, point, nth, id=f"{mode}-{point}-{nth}".replace(" ", "-"))
    for mode, points in PASSED.items()
    for point, times in points.items()
    for nth in sorted({1, times})
]


def scene(make_rig: MakeRig, mode: str) -> Scene:
    made = Scene(make_rig(batch_rows=8), mode)
    made.prepare()
    return made


@pytest.mark.parametrize("mode", MODES)
def test_the_table_of_points_is_true(make_rig: MakeRig, mode: str) -> None:
    here = scene(make_rig, mode)
    code, said = here.rig.child("nowhere=kill", **here.settings)
    assert code == 0, said
    assert said["passed"] == PASSED[mode]
    here.judge()
    here.settle()


def test_every_point_is_reached_by_some_mode() -> None:
    assert set().union(*PASSED.values()) | {"after_replay"} == set(POINTS)  # after_replay: see below


@pytest.mark.parametrize(("mode", "point", "nth"), CASES)
def test_a_killed_run_is_made_good_by_the_next(make_rig: MakeRig, mode: str, point: str, nth: int) -> None:
    here = scene(make_rig, mode)
    code, _ = here.rig.child(f"{point}:{nth}=kill", **here.settings)
    assert code == KILLED
    assert here.rig.lease()[0] is not None, "the dead one never gave its lease back"
    report = here.rig.run(**here.settings)  # at once: nobody waits 120 s for the dead
    assert report.counts.balanced
    here.judge()
    here.settle()
    assert here.rig.store.journal_open(f"bitable:{here.rig.place.feishu}/{here.rig.place.table_id}") == []


@pytest.mark.parametrize("mode", MODES)
def test_a_repeated_create_may_be_killed_as_well(make_rig: MakeRig, mode: str) -> None:
    """Killed when a create was noted but not sent, killed again after it was sent under its old token."""
    here = scene(make_rig, mode)
    assert here.rig.child("after_journal:3=kill", **here.settings)[0] == KILLED
    assert here.rig.child("after_replay=kill", **here.settings)[0] == KILLED
    here.rig.run(**here.settings)
    here.judge()
    here.settle()


@pytest.mark.parametrize("mode", MODES)
def test_creates_are_not_doubled_when_the_server_forgot_their_tokens(make_rig: MakeRig, mode: str) -> None:
    here = scene(make_rig, mode)
    assert here.rig.child("after_create:2=kill", **here.settings)[0] == KILLED
    here.rig.emulator.forget_client_tokens()
    here.rig.run(**here.settings)
    here.judge()
    here.settle()


def test_without_the_look_up_they_are_doubled(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    here = scene(make_rig, "full")
    assert here.rig.child("after_create:2=kill", **here.settings)[0] == KILLED
    here.rig.emulator.forget_client_tokens()
    monkeypatch.setattr(Run, "_is_present", lambda *_: False)
    with pytest.raises(Stop, match="repeat the key"):
        here.rig.run(**here.settings)
    assert len(here.rig.verdict().doubled) == 8


def test_an_append_of_another_run_is_looked_for_before_it_is_sent_again(make_rig: MakeRig) -> None:
    """The dead run's marks are not this run's: only its unclear batch is settled, and that once."""
    here = scene(make_rig, "append")
    assert here.rig.child("after_create:14=kill", **here.settings)[0] == KILLED
    here.rig.emulator.forget_client_tokens()
    here.rig.run(**here.settings | {"seed": "07her0"})
    marks = [r["sync_batch"] for r in here.rig.board() if "sync_batch" in r]
    assert len(marks) == len(set(marks)) == 60 + 110 + 110
