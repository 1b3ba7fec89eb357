"""Who may call: tokens, scopes, membership of a base. Knows nothing of records."""

from __future__ import annotations

import secrets

from sync_assets.testing.bitable.answers import Refusal, dumps
from sync_assets.testing.bitable.call import Call, Endpoint
from sync_assets.testing.bitable.world import App, World


def issue_token(call: Call) -> bytes:
    """The flat answer of the token endpoint. With enough time left the same token comes back."""
    world = call.world
    app = world.apps.get(str(call.body.get("app_id")))
    if app is None:
        raise Refusal(10003)
    if not app.enabled:
        raise Refusal(10014)
    if not secrets.compare_digest(app.secret.encode(), str(call.body.get("app_secret")).encode()):
        raise Refusal(10015)
    token, left = _current(world, app)
    return dumps({"code": 0, "msg": "ok", "tenant_access_token": token, "expire": int(left)}).encode()


def _current(world: World, app: App) -> tuple[str, float]:
    token = world.current.get(app.id, "")
    left = world.tokens[token][1] - world.clock() if token in world.tokens else 0.0
    if left < world.config.token_overlap_seconds:
        token, left = f"t-{secrets.token_hex(16)}", world.config.token_seconds
        world.current[app.id] = token
        world.tokens[token] = (app.id, world.clock() + left)
    return token, left


def caller(call: Call) -> App:
    """The app whose token came with the call."""
    kind, _, token = call.headers.get("authorization", "").partition(" ")
    if kind != "Bearer" or not token:
        raise Refusal(99991661)
    if not token.startswith(("t-", "u-")):
        raise Refusal(99991671)
    app_id, until = call.world.tokens.get(token, ("", 0.0))
    if not app_id or until <= call.world.clock():
        raise Refusal(99991663)
    return call.world.apps[app_id]


def may_use(app: App, endpoint: Endpoint) -> None:
    if endpoint.scopes and not set(endpoint.scopes) & set(app.scopes):
        wanted = ", ".join(endpoint.scopes)
        raise Refusal(99991672, f"One of the following scopes is required: [{wanted}]")


def enter(call: Call, app: App, endpoint: Endpoint) -> None:
    """Fill in the base and the table that the path names. Raises Refusal as the service would."""
    call.app = app
    token = call.path.get("app")
    if token is None:
        return
    base = call.world.bases.get(token)
    if base is None:  # a wiki token among them: it is not the token of the base behind it
        raise Refusal(91402)
    right = base.members.get(app.id, base.everyone)
    if not right:
        raise Refusal(91403)
    if endpoint.writes and right != "edit":
        raise Refusal(1254302)
    call.base = base
    if "table" in call.path:
        call.table = base.tables.get(call.path["table"])
        if call.table is None:
            raise Refusal(1254041)
