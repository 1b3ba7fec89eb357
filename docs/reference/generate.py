"""Writes yaml.md, cli.md, errors.md, type-map.md and fleet-rules.md beside this file from the code that they describe.

    python docs/reference/generate.py --write     write them
    python docs/reference/generate.py             say which are out of date; exit code 1 if any is

Types, defaults and limits come from the models, commands from click, codes from the catalogue. What a model does not
say about a field is in `MEANINGS`; a field without a meaning is refused here, so none goes undocumented.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sync_assets.cli import root as command
from sync_assets.databases.typemap_pages import type_map
from sync_assets.feishu.codes import CATALOGUE, Action
from sync_assets.fleet.rules.pages import rules_page
from sync_assets.project import exchange_spec, fleet_spec, replica_spec, spec

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/reference/generate.py from the code; do not edit by hand. -->\n"

# -- yaml.md --------------------------------------------------------------------------------------------------------

_HOST = "address of the server"
_LOGIN = {
    "dsn": "where a whole address is, `mysql://user:password@host:port/database` or `postgres://...`, in place of "
    "host, port, database, user and password",
    "host": _HOST,
    "port": "a number, or `env:NAME`",
    "database": "name of the database; required without `dsn`",
    "user": "for a source a role that can only read is enough, and is what `sync-assets check` asks for; a target "
    "needs one that may create and write tables; required without `dsn`",
    "password": "where the password is; leave it out where the server needs none",
    "tls": "`off`: never; `prefer`: where the server offers it; `require`: refuse without; `verify`: require, and "
    "check the certificate and the name in it",
    "ca": "file with the certificate authority, for `tls: verify`",
}
_CRON = "cron, in the fleet's time zone; null: by hand"
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "MySQL": _LOGIN | {"socket": "path of the server's Unix socket, in place of host and port"},
    "Postgres": _LOGIN,
    "SQLite": {"path": "the database file"},
    "Feishu": {
        "app_id": "App ID of the app, `cli_...`",
        "app_secret": "where the App Secret is",
        "host": "`https://open.feishu.cn`, or `https://open.larksuite.com` for Lark",
    },
    "FeishuBot": {
        "webhook": "where the webhook address is; whoever has it can post to the group, so it counts as a secret",
        "secret": "where the signing secret is, when the bot's signature check is on",
        "style": "a coloured card, or plain text",
    },
    "ConnectionsSpec": {"connections": "the list of connections"},
    "TableSyncSpec": {"syncs": "the list of syncs"},
    "SyncSpec": {
        "name": "unique in the deployment; names the asset and is what commands take",
        "title": "shown in the UI and in alerts; may be Chinese",
        "description": "shown in the UI",
        "table": "the table to read: `table` or `schema.table`",
        "query": "a SELECT to read instead of a table; one statement that only reads",
        "bitable": "for a target board, required: the link, `https://.../base/...?table=tbl...` or `/wiki/...`; or "
        "`env:NAME`",
        "into": "for a target database: `schema.table`, or `table` in the connection's own schema; required with "
        "`query`, else the name of the source's table",
        "where": "for a target database: copy only rows for which this is true. One boolean expression over columns; "
        "no subquery, and of functions only abs, cast, ceil, coalesce, floor, left, length, lower, nullif, right, "
        "round, substring, trim, upper",
        "unmapped": "cells of matched records in fields without a column; without a word: `clear` in overwrite and "
        "clone, `keep` otherwise",
        "lookback": "for `mode: incremental`, and for tables with a watermark: seconds before the last watermark that "
        "are read again; units, if the watermark is a number",
        "mode": "what the board or table looks like after a run",
        "key": "columns that together identify a row; without it a table's primary key",
        "reject_limit": "more rejected rows than this stop the run; for a table the default is 0",
        "field_types": "how new fields get their type",
        "columns": "what to do with single columns; by column name",
        "create_fields": "create fields that the board lacks; `false`: stop instead",
        "partitions": "cut the sync into windows of time, or by the values of a column",
        "backfill": "several partitions asked for at once: one run for all, or a run for each",
        "sensor": "look at the source often and run only what changed",
        "schedule": "cron, in the deployment's time zone; in place of the file's",
        "duplicates": "what to do with keys that occur twice",
        "delete_guard": "how much may be deleted at once",
        "allow_empty_source": "an empty result of the source is right: `clone` may delete everything",
        "verify": "`acknowledged`: compare with what Feishu answers to each write; `rescan`: read the board again "
        "after writing",
        "batch_rows": "records in one create or update call; Feishu documents 1000, some tenants allow 500",
    },
    "ColumnSpec": {
        "type": "type of the field",
        "currency": "three letters, for `type: currency`",
        "options": "options of a new single or multi select, in this order",
        "field": "name of the field on the board; without it the column's name",
        "person_id": "which ids of persons the column holds; one kind for all person columns of a sync",
        "skip": "do not send this column",
    },
    "TimeWindows": {
        "every": "length of a window; weeks begin on Monday",
        "start": "the first window is the first whole one from here",
        "end": "no window reaches past it",
    },
    "FixedValues": {"column": "the column that tells the partitions apart", "values": "one partition each"},
    "SensorSpec": {
        "by": "`watermark`: newest value of the watermark column, and the count; `count`: number of rows; `query`: "
        "your own query",
        "windows": "for time windows: how many of the newest partitions are looked at, for late rows",
    },
    "Duplicates": {
        "source": "rows of the source that share a key: stop, or take the first or the last and report the rest as "
        "rejected",
        "target": "records of the board that share a key: stop, keep the first or the last in step, or delete all but "
        "the first (under the delete guard)",
    },
    "DatabaseFleetSpec": {
        "description": "shown in the UI",
        "instances": "the servers",
        "accounts": "when accounts are collected, and what is not believed",
        "capacity": "when sizes are collected, and how they are shown as partitions",
        "aggregation": "which periods are added up, and when",
        "classification": "the rules that put accounts into classes",
        "capacity_alerts": "growth and full disks that are told",
        "connect_seconds": "seconds until a server that does not answer is given up",
        "statement_seconds": "seconds for one statement",
    },
    "FleetInstance": {
        "title": "shown in the UI, in alerts and reports; may be Chinese",
        "type": "the kind of server; required without `connection`",
        "host": "address of the server, or `env:NAME`; required without `connection`",
        "port": "a number, or `env:NAME`; default the usual one",
        "volume": "size of its disk in bytes, or with a unit: `500GB`, `1.5TiB`; without it days to full are unknown",
    },
    "InstanceTable": {
        "connection": "the database that has the list",
        "table": "`schema.table`; or write `query`",
        "query": "one SELECT that only reads; or write `table`",
    },
    "Login": {
        "user": "its name; one that can only read catalogs ([exact rights](../how-to/watch-a-fleet.md))",
        "password": _LOGIN["password"],
        "tls": _LOGIN["tls"],
        "ca": _LOGIN["ca"],
    },
    "Accounts": {"schedule": _CRON, "shrink_guard": "how many accounts may be gone at once"},
    "ShrinkGuard": {
        "share": "of the accounts that are known; more than this and more than `count`",
        "count": "accounts; more than this and more than `share`",
    },
    "Capacity": {"schedule": _CRON, "groups": "groups of servers, where partitions are by group"},
    "Aggregation": {"periods": "what is added up besides days"},
    "CapacityAlerts": {"days": "over which growth is looked at"},
    "RepositoryExchangeSpec": {
        "description": "shown in the UI",
        "peers": "the only installations that are ever dialled",
        "push": "what goes to the peers",
        "pull": "what comes from the peers",
    },
    "Peer": {
        "title": "shown in the UI, on the page and in alerts; may be Chinese",
        "url": "where its gateway is; ends in `/api/sync`; or `env:NAME`",
    },
}  # fmt: skip

_NAMES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "date": "date",
          "datetime": "date and time"}  # fmt: skip
_SECTIONS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("A document of connections", "`type: sync_assets.components.Connections`, below `attributes:`",
     spec.ConnectionsSpec),
    ("Connection: mysql", "MySQL or MariaDB.", spec.MySQL),
    ("Connection: postgres", "PostgreSQL 12 or newer.", spec.Postgres),
    ("Connection: sqlite", "A SQLite file.", spec.SQLite),
    ("Connection: feishu", "An app of the Feishu or Lark open platform.", spec.Feishu),
    ("Connection: feishu_bot", "A custom bot of a group, for alerts.", spec.FeishuBot),
    ("A document of syncs", "`type: sync_assets.components.TableSync`, below `attributes:`", spec.TableSyncSpec),
    ("Sync", "One entry of `syncs`: one source, one board or table. `bitable`, `table_name`, `field_types`, "
     "`unmapped`, `create_fields`, `duplicates`, `verify` and `batch_rows` are for boards; `into`, `where`, `changes`, "
     "`proof`, `schema_changes`, `create` and `allow_writing_role` for tables.", spec.SyncSpec),
    ("columns", "Below the name of a column. What is left out is decided by `field_types`. For tables only `field` and "
     "`skip`.", spec.ColumnSpec),
    ("partitions: windows of time", "A query into a board binds `:start` and `:end` (exclusive); a table, and a query "
     "into a table, needs `column`.", spec.TimeWindows),
    ("partitions: fixed values", "A query into a board binds `:value`.", spec.FixedValues),
    ("partitions: ranges of a key", "For tables. Partitions are named by their first number, of one width: "
     "`0000000000`, `0001000000`, ...", spec.KeyRanges),
    ("sensor", "", spec.SensorSpec),
    ("delete_guard", "A run that would delete more stops before it deletes anything.", spec.DeleteGuard),
    ("duplicates", "", spec.Duplicates),
    ("A replica", "`type: sync_assets.components.DatabaseReplica`, below `attributes:`: many tables of one database, "
     "each kept in step with its copy in another. One document is one replica.", replica_spec.DatabaseReplicaSpec),
    ("overrides", "Below `schema.table`, or `table` in the source's own schema.", replica_spec.TableOverride),
    ("A fleet", "`type: sync_assets.components.DatabaseFleet`, below `attributes:`: many database servers, whose "
     "accounts and sizes are collected ([how](../how-to/watch-a-fleet.md)). `instances` or `instances_from` is needed; "
     "both together are one list.", fleet_spec.DatabaseFleetSpec),
    ("instances of a fleet", "One entry of `instances`: one server, by `connection`, or by `type` and `host`.",
     fleet_spec.FleetInstance),
    ("instances_from", "Columns of the table or query: `name`, `type`, `host`; `port`, `database`, `login`, `title`, "
     "`volume` where it has them. A row that is gone retires its instance.", fleet_spec.InstanceTable),
    ("logins", "Below the name of a login.", fleet_spec.Login),
    ("accounts", "", fleet_spec.Accounts),
    ("shrink_guard", "A look in which more accounts are gone, by both limits, is not published.",
     fleet_spec.ShrinkGuard),
    ("capacity", "", fleet_spec.Capacity),
    ("aggregation", "", fleet_spec.Aggregation),
    ("classification", "", fleet_spec.Classification),
    ("capacity_alerts", "With `alerts`.", fleet_spec.CapacityAlerts),
    ("An exchange", "`type: sync_assets.components.RepositoryExchange`, below `attributes:`: repositories with their "
     "tasks and documents, pushed to and pulled from other installations ([how](../how-to/exchange.md)).",
     exchange_spec.RepositoryExchangeSpec),
    ("peers", "One entry of `peers`: one other installation. Plain `http` only with `network: {internal: [...]}`.",
     exchange_spec.Peer),
    ("network", "Of a peer. Addresses of metadata services and link-local ones are refused always.",
     exchange_spec.Network),
    ("push and pull", "Each of the two.", exchange_spec.Travel),
)  # fmt: skip
_YAML_HEAD = """\
# YAML reference

A deployment is a folder of `defs.yaml` files, one in each sub-folder of `sync_assets/defs`; Dagster reads one a folder
and nothing below it. A file holds one or more documents, separated by `---`, each with a `type:` and `attributes:`. All
files are checked as a whole before anything runs: every fault is told at once, with file, line and what would be right.

References: a field of kind *secret* holds `env:NAME` (an environment variable), `file:PATH` (a file, relative to the
project's root) or `store:NAME` ([stored encrypted](../how-to/store-a-connection.md) in the control database), never the
secret. A field of kind *text or env:NAME* takes `env:NAME` besides plain text.
"""


def yaml_reference() -> str:
    """The whole vocabulary, a table for each model."""
    parts = [NOTE, _YAML_HEAD]
    for title, about, model in _SECTIONS:
        parts.append(f"## {title}\n" + (f"\n{about}\n" if about else ""))
        parts.append("| field | kind | default | meaning |\n|---|---|---|---|")
        rows = [_field_row(model, name, field) for name, field in model.model_fields.items()]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _field_row(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    cells = (f"`{name}`", _kind(field), _default(field), _meaning(model, name, field) + _limits(field))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _meaning(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
        return "the kind of connection"
    own = field.description if field.annotation not in (spec.Text, str) or field.description != _TEXT else ""
    said = MEANINGS.get(model.__name__, {}).get(name) or own
    if not said and name == "name":
        return "what syncs call it; letters, digits and `_`"
    if not said:
        raise SystemExit(f"{model.__name__}.{name} has no meaning: describe it in the model or in MEANINGS")
    return said


_TEXT = "plain text, or env:NAME"


def _kind(field: FieldInfo) -> str:
    if any(getattr(m, "pattern", "") == r"^\d+[mhd]$" for m in field.metadata):
        return "duration"
    given = next((m for m in field.metadata if _takes(m) is not PydanticUndefined), None)
    if given is not None:
        return _kinds(_takes(given))
    return _kinds(Annotated[field.annotation, field] if field.metadata else field.annotation)


def _takes(metadata: Any) -> Any:
    """What a validator says that may be written, where that is more than the field's own type."""
    return getattr(metadata, "json_schema_input_type", PydanticUndefined)


def _kinds(annotation: Any) -> str:
    if annotation is spec.SecretRef or "store:" in repr(annotation):
        return "secret"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        named = get_origin(arguments[0]) is None and (_TEXT in repr(annotation) or "^env:" in repr(annotation))
        return "text or env:NAME" if named else _kinds(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_kinds(a) for a in arguments if a is not type(None)))
    if origin in (list, dict):
        return f"{'list' if origin is list else 'fields'} of {_kinds(arguments[-1])}"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{word}`" for word in annotation)
    return _NAMES.get(annotation.__name__) or _link(annotation)


_ANCHORS = {model: title for title, _, model in _SECTIONS}


def _link(model: type[BaseModel]) -> str:
    title = _ANCHORS[model]
    return f"[{title}](#{title.lower().replace(':', '').replace(' ', '-')})"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "none"
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value == exchange_spec.Network():
        return "`public`"
    if isinstance(value, BaseModel):
        shown = ", ".join(f"{name}: {_word(item)}" for name, item in value.model_dump().items())
        return f"`{{{shown}}}`"
    return "none" if value is None else f"`{_word(value)}`"


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_word(item)}' for name, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_word, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _limits(field: FieldInfo) -> str:
    low = next((m.ge for m in field.metadata if getattr(m, "ge", None) is not None), None)
    high = next((m.le for m in field.metadata if getattr(m, "le", None) is not None), None)
    if low is None or high is None:
        return f" (at least {low})" if low else ""
    return f" ({low} to {high})"


# -- cli.md ---------------------------------------------------------------------------------------------------------

_CLI_HEAD = """\
# Command line

`sync-assets` is installed by `make setup` as `.venv/bin/sync-assets`. Tables go to standard output, progress and errors
to standard error. Each command ends with one of these exit codes, so that a script knows what to do next:

| code | means | what to do |
|---|---|---|
| 0 | done | nothing |
| 1 | an unexpected error: a bug | report it; `SYNC_ASSETS_DEBUG=1` shows where it comes from |
| 2 | stop | a person must act; the message says what |
| 3 | passing trouble | run it again later |
| 4 | done, but rows were rejected | see `sync-assets rejects SYNC` |
| 130 | interrupted | run it again; what was written stays right |
"""


def cli_reference() -> str:
    """Every command with its arguments and options."""
    parts = [NOTE, _CLI_HEAD]
    for name, one in _commands(command):
        usage = " ".join(_usage(one))
        parts.append(f"## sync-assets {name}\n\n    sync-assets {name}{' ' + usage if usage else ''}\n")
        parts.append(f"{(one.help or '').strip()}\n")
        options = [o for o in one.params if isinstance(o, click.Option)]
        if options:
            rows = [f"| {_option(o)} | {o.help or ''} |" for o in options]
            parts.append("| option | meaning |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Those of a group in place of the group."""
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from _commands(one, f"{before}{name} ")
        else:
            yield before + name, one


def _usage(one: click.Command) -> Iterator[str]:
    if any(isinstance(p, click.Option) for p in one.params):
        yield "[OPTIONS]"
    for parameter in one.params:
        if isinstance(parameter, click.Argument):
            name = parameter.make_metavar(click.Context(one))
            yield name


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    words = option.type.choices if isinstance(option.type, click.Choice) else ()
    return names + (f" {', '.join(str(w) for w in words)}" if words else "" if option.is_flag else " TEXT")


# -- errors.md ------------------------------------------------------------------------------------------------------

_ACTIONS: Mapping[Action, str] = {
    Action.STOP: "Stop: a person must act",
    Action.REFRESH: "Refresh: the access token is renewed once; if it is refused again, stop",
    Action.SETTLE: "Settle: stop, unless the table or field was created seconds ago; then wait a little",
    Action.RETRY: "Retry: try again, with growing waits",
    Action.THROTTLE: "Throttle: retry, and go slower from now on",
    Action.UNCLEAR: "Unclear: the write may have been applied; repeat it under the same token, or look first",
    Action.BAD_BATCH: "Bad batch: halve the batch until the row is found, set that row aside, write the rest",
    Action.TOO_LARGE: "Too large: halve the batch, or ask for smaller pages",
    Action.GONE: "Gone: a record was deleted on the board meanwhile; create it again, or count it as deleted",
}
_ERRORS_HEAD = """\
# Feishu error codes

What each `code` of Feishu means here and what happens next. Decisions are made by the code, never by the HTTP status:
the same code comes with different statuses. A code that is not listed stops the run, unless it comes with HTTP 429 or
5xx, which are tried again. The number stands in square brackets at the end of a message: `... [91403] -> what to do`.
"""


def errors_reference() -> str:
    """The catalogue, by what happens next."""
    parts = [NOTE, _ERRORS_HEAD]
    for action, title in _ACTIONS.items():
        codes = sorted(code for code, rule in CATALOGUE.items() if rule.action is action)
        rows = [f"| {code} | {CATALOGUE[code].meaning} | {CATALOGUE[code].hint} |" for code in codes]
        parts.append(f"## {title}\n\n| code | meaning | what to do |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


# -- all ------------------------------------------------------------------------------------------------------------

WRITERS: Mapping[str, Callable[[], str]] = {
    "yaml.md": yaml_reference,
    "cli.md": cli_reference,
    "errors.md": errors_reference,
    "type-map.md": lambda: f"{NOTE}\n{type_map()}",
    "fleet-rules.md": lambda: f"{NOTE}\n{rules_page()}",
}


def stale() -> list[str]:
    """Names of the files that do not say what the code says."""
    return [n for n, text in WRITERS.items() if not (HERE / n).is_file() or (HERE / n).read_text("utf-8") != text()]


def main(arguments: list[str]) -> int:
    """The script."""
    names = stale()
    if "--write" in arguments:
        for name in names:
            (HERE / name).write_text(WRITERS[name](), encoding="utf-8")
    for name in names:
        print(f"{'written' if '--write' in arguments else 'out of date'}: {name}")
    return 1 if names and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
