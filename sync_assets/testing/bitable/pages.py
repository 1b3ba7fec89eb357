"""The boards as plain web pages that refresh themselves: what a new user watches rows arrive on.

Everything that came from outside is escaped. Reads the world, changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from sync_assets.testing.bitable.search import COMPUTED
from sync_assets.testing.bitable.world import Base, Field, Record, Table, World

SHOWN = 200
FRESH_SECONDS = 6.0
STYLE = """
:root{--line:#e3e6eb;--ink:#1f2329;--soft:#646a73;--blue:#3370ff;--new:#fff4d6}
*{box-sizing:border-box}body{margin:0;color:var(--ink);background:#f5f6f7;
font:14px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
header{background:#fff;border-bottom:1px solid var(--line);padding:14px 24px}
h1{margin:0;font-size:18px}h1 a{color:inherit;text-decoration:none}h2{font-size:15px;margin:24px 0 8px}
main{padding:16px 24px}nav{margin:10px 0 0;display:flex;gap:6px;flex-wrap:wrap}a{color:var(--blue)}
nav a{padding:4px 12px;border-radius:6px;text-decoration:none;color:var(--soft)}
nav a.here{background:#e8effe;color:var(--blue);font-weight:600}.soft{color:var(--soft)}
.sheet{overflow-x:auto;background:#fff;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%}th,td{padding:6px 12px;border-bottom:1px solid var(--line);
border-right:1px solid #f0f1f3;text-align:left;white-space:nowrap;
max-width:360px;overflow:hidden;text-overflow:ellipsis}
th{background:#fafbfc;color:var(--soft);font-weight:500;position:sticky;top:0}
td.n{text-align:right;font-variant-numeric:tabular-nums}
tr:last-child td{border-bottom:0}tr.new td{background:var(--new)}td.i{color:#a0a5ad;text-align:right;width:1%}
.pill{display:inline-block;padding:0 8px;border-radius:10px;background:#e8effe;margin-right:4px}
.message{background:#fff;border:1px solid var(--line);border-radius:8px;padding:8px 12px;
margin:0 0 8px;white-space:pre-wrap}
"""
REFRESH = """
setInterval(async()=>{try{const r=await fetch(location.href);if(!r.ok)return;
const d=new DOMParser().parseFromString(await r.text(),'text/html');
document.querySelector('main').innerHTML=d.querySelector('main').innerHTML}catch(e){}},2000)
"""


def _page(title: str, header: str, main: str) -> str:
    return (
        f'<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        '<noscript><meta http-equiv="refresh" content="2"></noscript>'
        f"<style>{STYLE}</style></head><body><header>{header}</header><main>{main}</main>"
        f"<script>{REFRESH}</script></body></html>"
    )


def index(world: World) -> str:
    bases = "".join(_base_rows(b) for b in world.bases.values())
    if not bases:
        bases = '<tr><td colspan="4" class="soft">No base yet.</td></tr>'
    head = "<tr><th>Base</th><th>Table</th><th>Rows</th><th>Revision</th></tr>"
    main = f'<div class="sheet"><table>{head}{bases}</table></div>{_messages(world)}'
    return _page("Bitable emulator", "<h1>Bitable emulator</h1>", main)


def _base_rows(base: Base) -> str:
    rows = [
        f"<tr><td>{escape(base.name)}</td>"
        f'<td><a href="/base/{escape(base.token)}?table={escape(t.id)}">{escape(t.name)}</a></td>'
        f'<td class="n">{len(t.records):,}</td><td class="n">{t.revision:,}</td></tr>'
        for t in base.tables.values()
    ]
    return "".join(rows) or f'<tr><td>{escape(base.name)}</td><td class="soft" colspan="3">no table</td></tr>'


def _messages(world: World) -> str:
    last = list(world.messages)[-10:][::-1]
    if not last:
        return ""
    shown = "".join(
        f'<div class="message"><span class="soft">{_moment(m.at * 1000, world.config.time_zone)}</span> '
        f"{escape(' '.join(_words(m.body.get('card') or m.body.get('content'))))}</div>"
        for m in last
    )
    return f"<h2>Bot messages</h2>{shown}"


def _words(part: Any) -> list[str]:
    """The texts of a message, whatever its kind."""
    if isinstance(part, dict):
        own = [v for k, v in part.items() if k in ("content", "text") and isinstance(v, str)]
        return own + [w for v in part.values() for w in _words(v) if isinstance(v, dict | list)]
    if isinstance(part, list):
        return [w for v in part for w in _words(v)]
    return []


def missing() -> str:
    return _page("Not found", "<h1>Not found</h1>", '<p>No such base. <a href="/">All bases</a></p>')


def board(world: World, base: Base, table_id: str | None) -> str:
    """One table of a base; the first one without a table in the link."""
    table = base.tables.get(table_id or next(iter(base.tables), ""))
    tabs = "".join(
        f'<a class="{"here" if t is table else ""}" href="?table={escape(t.id)}">{escape(t.name)}</a>'
        for t in base.tables.values()
    )
    header = f'<h1><a href="/">{escape(base.name)}</a></h1><nav>{tabs}</nav>'
    main = _sheet(world, base, table) if table else '<p class="soft">No such table.</p>'
    return _page(f"{table.name if table else ''} - {base.name}", header, main)


def _sheet(world: World, base: Base, table: Table) -> str:
    fields = list(table.fields.values())
    records = list(table.records.values())
    shown = records[:SHOWN]
    head = "".join(f"<th>{escape(f.name)}</th>" for f in fields)
    now = world.clock()
    rows = "".join(_row(place, r, fields, base.time_zone, now) for place, r in enumerate(shown, 1))
    more = f", the first {SHOWN} shown" if len(records) > SHOWN else ""
    return (
        f'<p class="soft">{len(records):,} rows{more} &middot; revision {table.revision}</p>'
        f'<div class="sheet"><table><tr><th></th>{head}</tr>{rows}</table></div>'
    )


def _row(place: int, record: Record, fields: list[Field], zone: str, now: float) -> str:
    fresh = ' class="new"' if record.touched and now - record.touched < FRESH_SECONDS else ""
    cells = "".join(_cell(f, record, zone) for f in fields)
    return f'<tr{fresh}><td class="i">{place}</td>{cells}</tr>'


def _cell(field: Field, record: Record, zone: str) -> str:
    made = COMPUTED.get(field.type)
    value = made(record) if made else record.cells.get(field.id)
    if value is None:
        return "<td></td>"
    if field.type == 2:
        return f'<td class="n">{escape(_number(value, field))}</td>'
    if field.type in (5, 1001, 1002):
        return f"<td>{_moment(value, zone, str((field.property or {}).get('date_formatter', '')))}</td>"
    if field.type in (3, 4):
        names = [value] if isinstance(value, str) else value
        return "<td>" + "".join(f'<span class="pill">{escape(n)}</span>' for n in names) + "</td>"
    if field.type == 7:
        return f"<td>{'&#9745;' if value else '&#9744;'}</td>"
    return f"<td>{escape(_plain(value))}</td>"


def _number(value: float, field: Field) -> str:
    pattern = str((field.property or {}).get("formatter", ""))
    digits = len(pattern.rstrip("%").partition(".")[2])
    if pattern.endswith("%"):
        return f"{value * 100:.{digits}f}%"
    return f"{value:{',' if pattern.startswith('1,') else ''}.{digits}f}" if pattern else str(value)


def _moment(milliseconds: float, zone: str, pattern: str = "yyyy-MM-dd HH:mm") -> str:
    """Milliseconds since the epoch in the zone and the format of the field."""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(ZoneInfo(zone))
    except (OverflowError, ValueError):  # a year that a calendar here cannot show
        return str(milliseconds)
    shown = pattern.replace("yyyy", f"{moment.year:04}").replace("MM", f"{moment.month:02}")
    shown = shown.replace("dd", f"{moment.day:02}").replace("HH", f"{moment.hour:02}")
    return escape(shown.replace("mm", f"{moment.minute:02}"))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("text", ""))
    if isinstance(value, list):
        return ", ".join(str(v.get("id", "")) if isinstance(v, dict) else str(v) for v in value)
    return str(value)
