"""Looking before anything is written: is each connection as the syncs need it, and what to do where it is not.

Reads only. A wrong password or secret is tried once. Knows no terminal: findings are values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.model import Finding, Mode, Schema
from sync_assets.project.deployment import PlacedReplica, PlacedSync, Project
from sync_assets.project.spec import Feishu, FeishuBot


def check_connection(project: Project, name: str) -> list[Finding]:
    """Try a connection: address, TLS, login and rights; then what each sync wants of it, which is the table or query
    of a source, or the board of a target. Raises `Stop` only when there is no such connection."""
    spec = project.connection(name)
    look = _feishu if isinstance(spec, Feishu) else _bot if isinstance(spec, FeishuBot) else _database
    try:
        return list(look(project, name))
    except SyncError as error:  # a variable that is not set, a file that is missing
        return [_fault(error)]


def _database(project: Project, name: str) -> Iterator[Finding]:
    from sync_assets.project.connect import open_database

    database = open_database(project, name)
    try:
        found = _for_targets(project, name, database.check())
        yield from found
    finally:
        database.close()
    if not all(finding.ok for finding in found):
        return
    for sync in project.syncs.values():
        if sync.source == name:
            yield _source(project, sync)
    for replica in project.replicas.values():
        if replica.spec.source == name:
            yield _replica(project, replica)


def _for_targets(project: Project, name: str, found: Sequence[Finding]) -> list[Finding]:
    """What a check for reading found, in the eyes of those who write there: they need another kind of user."""
    ends = [(s.name, s.source, s.target) for s in project.syncs.values() if s.into_table]
    ends += [(r.name, r.spec.source, r.spec.target) for r in project.replicas.values()]
    writers = [sync for sync, _, target in ends if target == name]
    if not writers:
        return list(found)
    boards = [s.name for s in project.syncs.values() if s.source == name and not s.into_table]
    readers = [*boards, *(sync for sync, source, _ in ends if source == name)]
    told = [replace(f, hint="") if f.about == "writing" else f for f in found]
    if not readers:
        told = [replace(f, ok=True, hint="") if f.about == "reading" else f for f in told]
    told = [replace(f, hint=f"{f.hint}; touch FILE makes a new one") if f.about == "file" else f for f in told]
    able = project.connection(name).type == "sqlite" or any(f.about == "writing" for f in found)
    if not able and all(f.ok for f in told):
        hint = "give a user with the right to create and write tables there"
        told.append(Finding(False, f"{', '.join(writers[:5])}: this user can only read, and is to write", hint))
    return told


def _replica(project: Project, replica: PlacedReplica) -> Finding:
    """Whether the patterns of a replica mean any table, here and now."""
    from sync_assets.project.tables import tables_of

    try:
        count = len(tables_of(project, replica.name))
    except SyncError as error:
        return _fault(error, replica.name)
    return Finding(True, f"{replica.name}: {count} tables are meant by its patterns")


def _source(project: Project, sync: PlacedSync) -> Finding:
    """Whether the table or query of a sync can be read and has the columns that the sync names."""
    from sync_assets.project.connect import open_source

    what = f"{sync.name}: {'the query' if sync.spec.query else sync.spec.table}"
    try:
        source = open_source(project, sync)
        try:
            schema = source.describe()
        finally:
            source.close()
    except SyncError as error:
        return _fault(error, sync.name)
    missing = _missing(sync, schema)
    if missing:
        known = ", ".join(column.name for column in schema)
        return Finding(False, f"{what} has no column {missing[0]}", f"its columns are {known}")
    return Finding(True, f"{what} can be read ({len(schema)} columns)")


def _missing(sync: PlacedSync, schema: Schema) -> list[str]:
    """Columns that the sync names and the source does not have."""
    spec, names = sync.spec, {column.name for column in schema}
    wanted = [c.strip() for c in spec.key] + [c.strip() for c in spec.columns]
    wanted += [spec.watermark] if spec.watermark else []
    cut = spec.table or spec.mode is Mode.CLONE or sync.into_table
    if spec.partitions is not None and spec.partitions.column and cut:
        wanted.append(spec.partitions.column)
    return [name for name in dict.fromkeys(wanted) if name not in names]


def _feishu(project: Project, name: str) -> Iterator[Finding]:
    from sync_assets.feishu.check import check_app, check_board
    from sync_assets.feishu.link import parse_link
    from sync_assets.project.boards import open_feishu
    from sync_assets.store.secrets import expand

    client = open_feishu(project, name)
    app = check_app(client)
    yield from app
    boards: dict[str, list[PlacedSync]] = {}
    for sync in project.syncs.values():
        if sync.target == name and not sync.into_table:
            boards.setdefault(expand(sync.spec.link), []).append(sync)
    for text, syncs in boards.items() if app[-1].ok else ():
        names = ", ".join(sync.name for sync in syncs)
        found = check_board(client, parse_link(text))
        for finding in found[len(app) :]:
            yield replace(finding, what=f"{names}: {finding.what}", hint=_named(finding.hint, syncs))


def _named(hint: str, syncs: list[PlacedSync]) -> str:
    """A link without a table is right where the sync names its table."""
    names_table = all(sync.spec.table_name for sync in syncs)
    return "" if names_table and "table_name" in hint else hint


def _bot(project: Project, name: str) -> Iterator[Finding]:
    from sync_assets.store.secrets import resolve

    spec = project.connection(name)
    assert isinstance(spec, FeishuBot)  # noqa: S101 (chosen by its type above)
    webhook = resolve(spec.webhook).reveal()
    if spec.secret:
        resolve(spec.secret)
    if not webhook.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise Stop("the webhook is not an https address", hint="copy it from the settings of the bot in the group")
    signed = "signed" if spec.secret else "not signed"
    hint = "" if spec.secret else "switch the signature check of the bot on and give secret"
    yield Finding(True, f"the webhook is there, {signed}; no message was sent", hint)


def _fault(error: SyncError, where: str = "") -> Finding:
    prefix = f"{where}: " if where and where not in error.message else ""
    return Finding(False, prefix + error.message + (f" [{error.code}]" if error.code else ""), error.hint)
