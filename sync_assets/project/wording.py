"""Turns pydantic's findings into troubles that a person can act on: where, what is wrong, what would be right.

Never shows an input, besides a short word that stands where one of a few known words belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sync_assets.project import spec
from sync_assets.project.faults import Loc, RuleFaults, Trouble, listed, nearest

_SECRET_HINT = "put it in an environment variable or a file and write env:NAME or file:PATH"  # noqa: S105
_PATTERNS = {
    "currency": ("is not a currency code", "three capital letters, such as CNY"),
    "fresh_within": ("is not a duration", "a number and m, h or d: 90m, 26h, 2d"),
    "port": ("must be a port", "a number from 1 to 65535, or env:NAME"),
}
_SLUG = ("is not a name", "letters a-z, digits and _, not beginning with a digit; a title may hold anything")
_SHAPES = {
    "list_type": ("must be a list", "write [one, two], or a line for each that begins with -"),
    "dict_type": ("must hold fields", "write name: value, indented below"),
    "model_type": ("must hold fields", "write name: value, indented below"),
    "model_attributes_type": ("must hold fields", "write name: value, indented below"),
    "too_short": ("is empty", "give at least one"),
    "string_too_short": ("is empty", "fill it in, or leave it out"),
}
_NUMBERS = {
    "greater_than_equal": ("is too small", "at least {ge}"),
    "less_than_equal": ("is too large", "at most {le}"),
    "string_too_long": ("is too long", "at most {max_length} characters"),
}


def troubles(error: ValidationError, model: type[BaseModel], attributes: Any) -> list[Trouble]:
    """Every finding of `error`, one a place: the branches of a union that all failed become one."""
    found: dict[Loc, list[Trouble]] = {}
    for detail in error.errors(include_url=False):
        for trouble in _worded(detail, model, attributes):
            found.setdefault(trouble.loc, []).append(trouble)
    return [t for same in found.values() for t in _merged(same)]


def _merged(same: list[Trouble]) -> Iterable[Trouble]:
    unions = any(t.hint.startswith("a number from 1 to 65535") for t in same)
    return same[:1] if unions else dict.fromkeys(same)


def _worded(detail: ErrorDetails, model: type[BaseModel], attributes: Any) -> Iterator[Trouble]:
    loc = _way(detail, attributes)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, RuleFaults):
        yield from (Trouble(loc + t.loc, t.message, t.hint) for t in cause.troubles)
        return
    if detail["type"].startswith("union_tag"):
        loc = (*loc, "type")
    field = next((step for step in reversed(loc) if isinstance(step, str)), "")
    if detail["type"] == "extra_forbidden":
        known = known_fields(model, detail["loc"][:-1])
        near = nearest(field, known).strip(" ()")
        yield Trouble(loc, "is no field here", near or f"known are {', '.join(known)}")
    elif detail["type"] == "missing":
        yield Trouble(loc, "is missing", _described(model, detail["loc"]))
    elif field in secret_fields():
        yield Trouble(loc, "must be a reference, not the secret itself", _SECRET_HINT)
    else:
        yield Trouble(loc, *_value(detail, field))


def _value(detail: ErrorDetails, field: str) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if field in _PATTERNS:
        return _PATTERNS[field]
    if kind in ("enum", "literal_error"):
        return _unknown(detail.get("input"), field, _words(str(context["expected"])))
    if kind == "union_tag_invalid":
        return _unknown(context["tag"], "type", _words(str(context["expected_tags"])))
    if kind == "union_tag_not_found":
        return "is missing", _connection_types()
    if kind == "string_pattern_mismatch":
        return _SLUG
    if kind in _NUMBERS:
        message, hint = _NUMBERS[kind]
        return message, hint.format(**context)
    return _SHAPES.get(kind) or _typed(kind, detail)


def _typed(kind: str, detail: ErrorDetails) -> tuple[str, str]:
    value = detail.get("input")
    if value is None:
        return "is empty", "fill it in, or leave it out"
    if kind == "string_type":
        return "must be text", _as_text(value)
    if kind.startswith(("date", "timezone")):
        return "is not a date", "for example 2026-10-01 or 2026-10-01 08:00:00"
    if kind.startswith("int"):
        return "must be a whole number", "write digits, without quotes or units"
    if kind.startswith("float"):
        return "must be a number", "write digits, without quotes or units"
    if kind.startswith("bool"):
        return "must be true or false", ""
    message, arrow, hint = detail["msg"].removeprefix("Value error, ").partition(" -> ")
    return message, hint if arrow else ""


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "put it in quotes: YAML reads yes, no, on and off as true and false"
    if isinstance(value, list | dict):
        return "write one text, not a list or fields; text with braces or brackets goes in quotes"
    return "put it in quotes: YAML reads it as a number or a date"


def _unknown(value: object, field: str, known: list[str]) -> tuple[str, str]:
    shown = isinstance(value, str) and len(value) <= 30 and value.isprintable()
    if not shown:
        return "is not one of the known words", listed(known)
    word = str(value)
    near = nearest(word, known) or _MEANT.get(word.lower(), "")
    kind = f"not a {field}" if field in ("mode", "type") else f"no value of {field}"
    return f"{word!r} is {kind}", ", ".join(known) + near


# Words that people bring along from elsewhere.
_MEANT = {
    "upsert": " (did you mean full?)",
    "replace": " (did you mean overwrite?)",
    "mirror": " (did you mean clone?)",
    "insert": " (did you mean incremental?)",
    "daily": " (did you mean day?)",
    "mariadb": " (did you mean mysql?)",
    "postgresql": " (did you mean postgres?)",
    "lark": " (did you mean feishu?)",
    "bitable": " (did you mean feishu?)",
}


def _words(expected: str) -> list[str]:
    return [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]


def _connection_types() -> str:
    return ", ".join(str(get_args(m.model_fields["type"].annotation)[0]) for m in _models(spec.Connection))


def _way(detail: ErrorDetails, attributes: Any) -> Loc:
    """pydantic's `loc` without the names of union branches, which are not in the file."""
    way: list[str | int] = []
    value = attributes
    for at, step in enumerate(detail["loc"]):
        inside = _step(value, step)
        if inside is _NOTHING and (at + 1 < len(detail["loc"]) or detail["type"] != "missing"):
            continue
        value = inside
        way.append(step)
    return tuple(way)


_NOTHING = object()


def _step(value: Any, step: str | int) -> Any:
    """What is at `step` of a mapping or list, or `_NOTHING`."""
    if isinstance(value, Mapping):
        return value.get(step, _NOTHING)
    inside = isinstance(value, list) and isinstance(step, int) and step < len(value)
    return value[step] if inside else _NOTHING


# -- what the models say ----------------------------------------------------------------------------------------


def known_fields(model: type[BaseModel], loc: Loc) -> list[str]:
    """The fields that may stand at `loc`, which is pydantic's: with the tags of union branches."""
    names: dict[str, None] = {}
    for found in _at(model, loc):
        names |= dict.fromkeys(found.model_fields)
    return list(names)


def _described(model: type[BaseModel], loc: Loc) -> str:
    name = str(loc[-1])
    for found in _at(model, loc[:-1]):
        field = found.model_fields.get(name)
        if field is not None:
            return field.description or _SAID.get(name, "")
    return _SAID.get(name, "")


_SAID = {
    "name": "a short name of letters, digits and _",
    "type": "one of the known types",
    "syncs": "the list of syncs",
    "connections": "the list of connections",
    "app_secret": _SECRET_HINT,
    "webhook": _SECRET_HINT,
    "every": "hour, day, week or month",
    "start": "a date such as 2026-10-01",
    "column": "the column whose values are meant",
    "values": "the list of values",
    "tables": "patterns such as public.*, or names of tables",
}


def _at(model: type[BaseModel], loc: Loc) -> list[type[BaseModel]]:
    current = [model]
    for step in loc:
        holders = [m for m in current if step in m.model_fields]
        tagged = [m for m in current if step in _tags(m)]
        if holders:
            current = [f for m in holders for f in _models(m.model_fields[str(step)].annotation)]
        elif tagged:
            current = tagged
    return current


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    kind = model.model_fields.get("type")
    tags = {"TimeWindows": spec.WINDOWS, "FixedValues": spec.VALUES, "KeyRanges": spec.RANGES}
    return get_args(kind.annotation) if kind else (tags.get(model.__name__),)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models inside an annotation, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated, list, dict):
        return [m for part in get_args(annotation) for m in _models(part)]
    return []


@lru_cache(maxsize=1)
def secret_fields() -> frozenset[str]:
    """The names of fields that hold references to secrets, from the vocabulary itself."""
    found = [n for model in _models(spec.Connection) for n, field in model.model_fields.items() if _is_secret(field)]
    return frozenset([*found, "api_key"])  # of the peers of an exchange, whose vocabulary is loaded only with one


def _is_secret(field: Any) -> bool:
    pattern = "store:"
    inner = [field, *(a for part in get_args(field.annotation) for a in getattr(part, "__metadata__", ()))]
    return any(pattern in repr(getattr(x, "metadata", x)) for x in inner)
