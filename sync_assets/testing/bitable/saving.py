"""Boards in a file, so that those of a demo survive a restart. Tokens, counts and faults are not kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sync_assets.testing.bitable.config import Config
from sync_assets.testing.bitable.world import App, Base, Bot, Field, Node, Record, Table, World


def save(path: Path, world: World) -> None:
    """Write the file whole or not at all; only its owner may read it (it holds the app's secret)."""
    held = {
        "app_id": world.app_id,
        "apps": [asdict(a) for a in world.apps.values()],
        "bases": [_plain_base(b) for b in world.bases.values()],
        "nodes": [asdict(n) for n in world.nodes.values()],
        "bots": [{"id": b.id, "secret": b.secret, "keywords": b.keywords} for b in world.bots.values()],
    }
    fresh = path.with_name(path.name + ".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(held, ensure_ascii=False), encoding="utf-8")
    fresh.replace(path)


def _plain_base(base: Base) -> dict[str, Any]:
    names = ("token", "name", "time_zone", "revision", "advanced", "sees_rows", "members", "everyone")
    return {n: getattr(base, n) for n in names} | {"tables": [_plain_table(t) for t in base.tables.values()]}


def _plain_table(table: Table) -> dict[str, Any]:
    return {
        **{n: getattr(table, n) for n in ("id", "name", "view_id", "revision", "numbered")},
        "fields": [asdict(f) for f in table.fields.values()],
        "records": [[r.id, r.cells, r.number, r.created, r.modified] for r in table.records.values()],
    }


def load(path: Path, config: Config) -> World:
    """The world of the file. An app id or secret that `config` sets wins over the saved one."""
    held = json.loads(path.read_text(encoding="utf-8"))
    world = World(config.changed({"app_id": config.app_id or held["app_id"]}))
    for plain in held["apps"]:
        app = App(**{**plain, "scopes": tuple(plain["scopes"])})
        if app.id != world.app_id:
            world.apps[app.id] = app
    world.bases = {b["token"]: _base(b) for b in held["bases"]}
    world.nodes = {n["token"]: Node(**n) for n in held["nodes"]}
    world.bots = {b["id"]: Bot(b["id"], b["secret"], tuple(b["keywords"])) for b in held["bots"]}
    return world


def _base(plain: Mapping[str, Any]) -> Base:
    tables = {t["id"]: _table(t) for t in plain["tables"]}
    return Base(**{**plain, "tables": tables})


def _table(plain: Mapping[str, Any]) -> Table:
    fields = {f["id"]: Field(**f) for f in plain["fields"]}
    records = {r[0]: Record(*r) for r in plain["records"]}
    return Table(**{**plain, "fields": fields, "records": records})
