"""From a named connection to a Feishu board that can be talked to. Loaded only where one is: it brings httpx."""

from __future__ import annotations

from dataclasses import replace

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Delivery
from sync_assets.feishu.client import FeishuClient
from sync_assets.feishu.shared import shared_client
from sync_assets.project.connect import checked
from sync_assets.project.load import PlacedSync, Project
from sync_assets.project.spec import ColumnSpec, Feishu, is_app_id
from sync_assets.store.secrets import expand, opener
from sync_assets.targets.bitable.strategy import FieldWords
from sync_assets.targets.bitable.target import BitableTarget, BoardSpec


def open_feishu(project: Project, name: str) -> FeishuClient:
    """A client of a Feishu app; no token is fetched yet."""
    spec = project.connection(name)
    if not isinstance(spec, Feishu):
        raise Stop(f"connection {name} is no Feishu app", hint="choose one of type feishu")
    app_id = checked(expand(spec.app_id), is_app_id, f"the app_id of connection {name}", "cli_...; is it the secret?")
    return shared_client(app_id, opener(spec.app_secret), expand(spec.host))


def open_board(project: Project, placed: PlacedSync, delivery: Delivery) -> BitableTarget:
    """The target of a sync."""
    spec = placed.spec
    board = BoardSpec(
        sync=spec.name,
        link=expand(spec.link),
        table_name=spec.table_name,
        key=tuple(spec.key),
        strategy=spec.field_types,
        words={name: _words(said) for name, said in spec.columns.items()},
        zone=placed.time_zone,
        create_fields=spec.create_fields,
    )
    target = BitableTarget(board, open_feishu(project, placed.target), delivery)
    target.limits = replace(target.limits, create_rows=spec.batch_rows, update_rows=spec.batch_rows)
    return target


def _words(said: ColumnSpec) -> FieldWords:
    return FieldWords(
        field=said.field,
        type=said.type,
        format=said.format,
        currency=said.currency,
        options=tuple(said.options or ()),
        skip=said.skip,
        person_id=said.person_id,
    )
