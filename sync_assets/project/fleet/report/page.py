"""One HTML file that needs nothing else: no script, no font, no address. Whatever is put in is escaped.

`Html` is markup that is safe as it is; every other value becomes text. Must not know what is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from sync_assets.project.fleet.report.text import visible

# Besides the escaping: a browser would not run or load anything even if a name got through.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #5c6577; --line: #d9dee8; --back: #fff; --card: #f6f8fb;
  --mark: #2f62c8; --fill: #2f62c81f; --bad: #b3261e; --warn: #8a5a00; --good: #1d6b3a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf1; --soft: #9aa4b8; --line: #333b4b; --back: #14181f;
  --card: #1c222c; --mark: #7ea6f8; --fill: #7ea6f826; --bad: #ff8a80; --warn: #f2c14e; --good: #7fd6a0; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1280px; padding: 28px 24px 64px; background: var(--back); color: var(--ink);
  font: 14px/1.5 system-ui, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Micro Hei",
  sans-serif }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px } h2 { font-size: 19px; margin: 40px 0 10px }
h3 { font-size: 15px; margin: 22px 0 6px } p { margin: 6px 0; max-width: 84ch } .soft, .note { color: var(--soft) }
.bad { color: var(--bad) } .warn { color: var(--warn) } .good { color: var(--good) } .strong { font-weight: 600 }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 20px 0 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px }
.card b { display: block; font-size: 22px; line-height: 1.3; font-weight: 600 } .card > span { color: var(--soft) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; margin: 6px 0 4px }
th { text-align: left; overflow-wrap: normal; font-weight: 600;
  color: var(--soft); border-bottom: 1px solid var(--line); font-size: 12.5px;
  padding: 6px 14px 6px 0; vertical-align: bottom }
td { border-bottom: 1px solid var(--line); padding: 6px 14px 6px 0; vertical-align: top; overflow-wrap: anywhere }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; overflow-wrap: normal }
th.n, .n div.warn { white-space: normal } .day { white-space: nowrap; overflow-wrap: normal } .name { min-width: 10em }
bdi { unicode-bidi: isolate }
svg { display: block; max-width: 100%; height: auto } svg text { fill: var(--soft); font-size: 11px }
.plots { margin-top: 18px; display: grid; grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)); gap: 14px }
.plots figure, .plot { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 12px } figcaption { font-weight: 600; overflow-wrap: anywhere }
section.one { border-top: 2px solid var(--line); margin-top: 36px; padding-top: 2px }
section.one h2 { margin-top: 16px }
a { color: var(--mark) } details summary { cursor: pointer; color: var(--soft) }
@media print { body { max-width: none } section.one, figure, tr { break-inside: avoid } }
"""


class Html(str):
    """Markup that is safe as it is."""

    __slots__ = ()


def markup(value: object) -> Html:
    """A value as markup; what is no markup yet becomes text in which nothing is hidden. None is nothing."""
    if isinstance(value, Html):
        return value
    return Html("" if value is None else escape(visible(value), quote=True))


def joined(*parts: object) -> Html:
    return Html("".join(markup(part) for part in parts))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element. `name` and the names of attributes are ours; `class_` is written without its line."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{markup(v)}"' for key, v in attributes.items() if v != "")
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def named(name: str) -> Html:
    """A name of somebody else's making: it cannot turn the direction of what stands beside it."""
    return tag("bdi", name)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: str = "") -> Html:
    """A table. `numbers` has a letter for each column: n for numbers, d for days, k for names that need room."""
    kinds = {"n": "n", "d": "day", "k": "name"}
    classes = [kinds.get(numbers[at : at + 1], "") for at in range(len(head))]
    top = joined(*(tag("th", cell, class_=c) for cell, c in zip(head, classes, strict=True)))
    body = joined(
        *(tag("tr", *(tag("td", cell, class_=c) for cell, c in zip(row, classes, strict=True))) for row in rows)
    )
    return tag("div", tag("table", tag("thead", tag("tr", top)), tag("tbody", body)), class_="wide")


def card(value: object, label: str, note: object = "") -> Html:
    small = tag("div", tag("small", note, class_="soft")) if note else ""
    return tag("div", tag("b", value), tag("span", label), small, class_="card")


def document(title: str, *body: object) -> str:
    """The whole file."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{markup(title)}</title><style>{_STYLE}</style></head><body>\n{joined(*body)}\n</body></html>\n"
    )
