"""Makes the OpenAPI document say all that the gateway answers: refusals, credentials. What it says is tested."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sync_assets.gateway.access import OPEN
from sync_assets.gateway.refusal import Refusal

_REFUSAL = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
_ALWAYS = {400: "wrong request", 408: "too slow", 413: "too large", 415: "unknown encoding",
           429: "too many calls", 500: "unexpected", 503: "not now"}  # fmt: skip
_GUARDED = {
    401: "no or wrong credentials",
    403: "not allowed",
    404: "unknown, or not yours",
    409: "does not go together with what is here",
}
_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "an API key, or an access token of a login"},
    "signed": {
        "type": "http",
        "scheme": "sync",
        "description": "A call signed with the private half of an API key, which is not sent: docs/how-to/gateway.md.",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def describe(app: FastAPI) -> None:
    """Replaces the app's own description by the completed one."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(get_openapi(title=app.title, version=app.version, routes=app.routes))
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Refusal"] = Refusal.model_json_schema()
    components["securitySchemes"] = _SCHEMES
    for path, item in schema["paths"].items():
        for method in _METHODS:
            if method in item:
                _complete(item[method], is_open=path in OPEN)
    for operation in schema["paths"]["/metrics"].values():
        operation["security"].append({})  # this machine needs none
    _mend_bounds(schema)
    return schema


def _mend_bounds(part: Any) -> None:
    """FastAPI tells bounds as floats: that of a 64-bit id would be one too high."""
    if isinstance(part, dict):
        for name in ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"):
            if isinstance(part.get(name), float) and part[name].is_integer():
                part[name] = min(int(part[name]), 2**63 - 1)
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _mend_bounds(inner)


def _complete(operation: dict[str, Any], *, is_open: bool) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    login = {401: _GUARDED[401]} if "requestBody" in operation else {}
    for status, text in {**_ALWAYS, **(login if is_open else _GUARDED)}.items():
        answers.setdefault(str(status), {"description": text, "content": _REFUSAL})
    if not is_open:
        operation["security"] = [{name: []} for name in _SCHEMES]
