"""The scene that every run is broken in: a board with a past, a source that has moved on, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sync_assets.testing import oracle
from sync_assets_tests.fix_boards import Rig

WIDE = (1.0, 1000)  # the guard has tests of its own
MODES: dict[str, dict[str, Any]] = {
    "full": {"mode": "full"},
    "incremental": {"mode": "incremental", "watermark": "at", "lookback": 60.0, "spec_digest": "s"},
    "overwrite": {"mode": "overwrite", "clear_unmapped": True},
    "clone": {"mode": "clone", "clear_unmapped": True, "delete_limit": WIDE},
    "clone without key": {"mode": "clone", "key": (), "clear_unmapped": True, "delete_limit": WIDE},
    "append": {"mode": "append", "key": (), "seed": "5eed01"},
}
MOVED_ON = (
    "update {orders} set amount = amount + 1000, at = '2026-10-02 09:00:00', note = null where id <= 20",
    "delete from {orders} where id between 51 and 60",
)


@dataclass
class Scene:
    """60 rows came over before; since then a person worked on the board, and 20 rows changed, 10 went, 60 came."""

    rig: Rig
    mode: str
    before: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        return MODES[self.mode]

    def prepare(self) -> None:
        rig = self.rig
        rig.insert(1, 60)
        rig.run(**self.settings | ({"seed": "5eed00"} if self.mode == "append" else {}))
        ids = {int(r["id"]): record for record, r in rig.records().items()}
        rig.put({ids[i]: {"remark": f"mine {i}"} for i in (1, 2, 3, 4, 5, 40)})
        rig.put({ids[30]: {"note": "mine"}})
        rig.put([{"id": i, "remark": "foreign"} for i in range(1001, 1006)])
        self.before = rig.records()
        rig.sql(*MOVED_ON)
        rig.insert(61, 120, at="'2026-10-02 10:{minute:02}:00'")

    def wanted(self) -> list[dict[str, Any]]:
        """What the board must hold in the end, by the words of DESIGN 2."""
        source = {int(r["id"]): r for r in self.rig.rows()}
        before = [oracle.kept(r) for r in self.before.values()]
        if self.mode in ("clone", "clone without key"):
            return list(source.values())
        if self.mode == "append":
            return [*before, *source.values()]
        held = {int(r["id"]): r for r in before}
        cleared = {"remark"} if self.mode == "overwrite" else set()
        merged = {i: {k: v for k, v in r.items() if i not in source or k not in cleared} for i, r in held.items()}
        for i, row in source.items():
            others = {k: v for k, v in merged.get(i, {}).items() if k not in _COLUMNS}
            merged[i] = others | row
        if self.mode == "incremental":  # nothing newer came for it, so a person's word stands
            merged[30] = held[30]
        return list(merged.values())

    def judge(self) -> None:
        """Nothing lost, nothing doubled, nobody's record harmed, and ids kept wherever a record survived."""
        keyed = self.mode not in ("clone without key", "append")
        found = [{k: v for k, v in r.items() if k != "sync_batch"} for r in self.rig.board()]
        wanted = [{k: v for k, v in r.items() if k != "sync_batch"} for r in self.wanted()]
        verdict = oracle.compare(wanted, found, ("id",) if keyed else ())
        assert verdict.equal, str(verdict)
        now = {record: int(r["id"]) for record, r in self.rig.records().items()}
        there = {int(r["id"]) for r in wanted}
        if self.mode != "clone without key":
            kept = {record: int(r["id"]) for record, r in self.before.items() if int(r["id"]) in there}
            assert kept.items() <= now.items(), "record ids are kept"

    def settle(self) -> None:
        """One more run finds nothing to do."""
        again = self.rig.run(**self.settings)
        assert (again.counts.created, again.counts.updated, again.counts.deleted) == (0, 0, 0)
        assert again.counts.balanced


_COLUMNS = {"id", "name", "amount", "paid", "at", "note", "phone"}
