"""What a test or a demo may do behind the service's back. Each verb takes a JSON object and gives one back.

No access rule, limit or fault applies here; values are checked all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sync_assets.testing.bitable.answers import Refusal
from sync_assets.testing.bitable.pipeline import Stage
from sync_assets.testing.bitable.records import create_all, delete_all, update_all
from sync_assets.testing.bitable.schema import shown_field
from sync_assets.testing.bitable.tables import make_table
from sync_assets.testing.bitable.world import App, Base, Bot, Node, Table, World, add_base, new_id

Args = Mapping[str, Any]


def _base(stage: Stage, args: Args) -> Base:
    base = stage.world.bases.get(args["app_token"])
    if base is None:
        raise Refusal(91402)
    return base


def _table(stage: Stage, args: Args) -> tuple[Base, Table]:
    base = _base(stage, args)
    if args["table_id"] not in base.tables:
        raise Refusal(1254041)
    return base, base.tables[args["table_id"]]


# -- the world --------------------------------------------------------------------------------------------------


def about(stage: Stage, args: Args) -> Any:
    world = stage.world
    return {"app_id": world.app_id, "app_secret": world.apps[world.app_id].secret}


def reset(stage: Stage, args: Args) -> Any:
    """Begin again with nothing, under the configuration of the start and the changes given."""
    config = stage.initial.changed(args.get("config") or {})
    stage.reset(World(config))
    return about(stage, args)


def configure(stage: Stage, args: Args) -> Any:
    stage.world.config = stage.world.config.changed(args["config"])
    stage.world.apps[stage.world.app_id].scopes = stage.world.config.scopes
    return {}


def make_app(stage: Stage, args: Args) -> Any:
    app = App(
        new_id("cli_"), args.get("secret") or new_id("secret"), tuple(args.get("scopes") or stage.world.config.scopes)
    )
    stage.world.apps[app.id] = app
    return {"app_id": app.id, "app_secret": app.secret}


def expire_tokens(stage: Stage, args: Args) -> Any:
    stage.world.tokens.clear()
    return {}


def forget_client_tokens(stage: Stage, args: Args) -> Any:
    stage.world.client_tokens.clear()
    return {}


# -- boards -----------------------------------------------------------------------------------------------------


def make_base(stage: Stage, args: Args) -> Any:
    base = add_base(stage.world, args["name"], args.get("time_zone") or "", args.get("app_token") or "")
    tables = {t["name"]: make_table(stage.world, base, t["name"], t.get("fields")).id for t in args.get("tables") or ()}
    return {"app_token": base.token, "tables": tables}


def make_table_(stage: Stage, args: Args) -> Any:
    return {"table_id": make_table(stage.world, _base(stage, args), args["name"], args.get("fields")).id}


def make_node(stage: Stage, args: Args) -> Any:
    node = Node(new_id("wikcn"), args["obj_token"], args.get("obj_type", "bitable"), args.get("title", ""))
    node.members = bool(args.get("members", True))
    stage.world.nodes[node.token] = node
    return {"node_token": node.token}


def set_permission(stage: Stage, args: Args) -> Any:
    """`right` (edit, read or empty) for the app, or for all apps; advanced permissions and what they hide."""
    base = _base(stage, args)
    if "right" in args:
        if args.get("app_id"):
            base.members[args["app_id"]] = args["right"]
        else:
            base.everyone = args["right"]
            base.members.clear()
    base.advanced = bool(args.get("advanced", base.advanced))
    base.sees_rows = bool(args.get("sees_rows", base.sees_rows))
    return {}


def describe(stage: Stage, args: Args) -> Any:
    base = _base(stage, args)
    tables = [
        {"table_id": t.id, "name": t.name, "revision": t.revision, "rows": len(t.records)} for t in base.tables.values()
    ]
    return {"name": base.name, "time_zone": base.time_zone, "revision": base.revision, "tables": tables}


def fields(stage: Stage, args: Args) -> Any:
    return {"fields": [shown_field(f) for f in _table(stage, args)[1].fields.values()]}


def rows(stage: Stage, args: Args) -> Any:
    table = _table(stage, args)[1]
    names = {f.id: f.name for f in table.fields.values()}
    return {"rows": {r.id: {names[i]: v for i, v in r.cells.items()} for r in table.records.values()}}


def put_rows(stage: Stage, args: Args) -> Any:
    """A list makes records; an object of record ids changes them."""
    base, table = _table(stage, args)
    given, kind = args["rows"], args.get("user_id_type", "open_id")
    if isinstance(given, list):
        return {"ids": [r.id for r in create_all(stage.world, base, table, given, kind)] if given else []}
    return {"ids": [r.id for r, _ in update_all(stage.world, base, table, list(given.items()), kind)]}


def delete_rows(stage: Stage, args: Args) -> Any:
    base, table = _table(stage, args)
    ids = list(table.records) if args.get("ids") is None else args["ids"]
    return {"ids": delete_all(base, table, ids)}


# -- bots -------------------------------------------------------------------------------------------------------


def make_bot(stage: Stage, args: Args) -> Any:
    bot = Bot(new_id("hook"), args.get("secret") or "", tuple(args.get("keywords") or ()))
    stage.world.bots[bot.id] = bot
    return {"path": f"/open-apis/bot/v2/hook/{bot.id}"}


def messages(stage: Stage, args: Args) -> Any:
    return {"messages": [{"bot": m.bot, "at": m.at, "body": m.body} for m in stage.world.messages]}


# -- calls and faults -------------------------------------------------------------------------------------------


def calls(stage: Stage, args: Args) -> Any:
    return {"counts": stage.meter.counts, "log": list(stage.meter.log) if args.get("log") else []}


def reset_calls(stage: Stage, args: Args) -> Any:
    stage.meter.counts.clear()
    stage.meter.log.clear()
    return {}


def fault(stage: Stage, args: Args) -> Any:
    stage.faults.arm(args)
    return {}


def faults(stage: Stage, args: Args) -> Any:
    return {"struck": [f.struck for f in stage.faults.armed]}


def clear_faults(stage: Stage, args: Args) -> Any:
    stage.faults.armed.clear()
    return {}


Verb = Callable[[Stage, Args], Any]
VERBS: Mapping[str, Verb] = {
    "make_table": make_table_,
    **{
        verb.__name__: verb
        for verb in (
            about, reset, configure, make_app, expire_tokens, forget_client_tokens, make_base, make_node,
            set_permission, describe, fields, rows, put_rows, delete_rows, make_bot, messages, calls, reset_calls,
            fault, faults, clear_faults,
        )
    },
}  # fmt: skip
