"""The way of a call: counted, perhaps struck by a fault, let in, paced, carried out, answered.

Knows endpoints only as values; the web framework is not known here.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sync_assets.testing.bitable.access import caller, enter, may_use
from sync_assets.testing.bitable.answers import Refusal, success
from sync_assets.testing.bitable.call import Call, Endpoint, parsed
from sync_assets.testing.bitable.config import Config
from sync_assets.testing.bitable.faults import Armory, Bare, Cut, Fault, carry_out
from sync_assets.testing.bitable.limits import Buckets
from sync_assets.testing.bitable.world import Remembered, World


@dataclass(slots=True)
class Meter:
    """Calls and bytes per endpoint, and the last calls one by one."""

    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=5000))

    def note(self, endpoint: Endpoint, call: Call, code: int | str, answered: int) -> None:
        fresh = {"calls": 0, "bytes_in": 0, "bytes_out": 0, "codes": {}}
        count = self.counts.setdefault(endpoint.name, fresh)
        count["calls"] += 1
        count["bytes_in"] += len(call.raw)
        count["bytes_out"] += answered
        count["codes"][str(code)] = count["codes"].get(str(code), 0) + 1
        self.log.append({"endpoint": endpoint.name, "code": code, "path": dict(call.path), **_contents(call)})


def _contents(call: Call) -> dict[str, Any]:
    """How much a write brought: rows, cells, and which fields."""
    rows = call.body.get("records")
    if not isinstance(rows, list):
        return {"client_token": call.query.get("client_token")}
    cells = [r["fields"] for r in rows if isinstance(r, dict) and isinstance(r.get("fields"), dict)]
    return {
        "client_token": call.query.get("client_token"),
        "rows": len(rows),
        "cells": sum(map(len, cells)),
        "fields": sorted(set().union(*cells)),
    }


@dataclass(slots=True)
class Stage:
    """A world with what stands round it. A reset puts new ones in."""

    world: World
    initial: Config
    faults: Armory = field(default_factory=Armory)
    buckets: Buckets = field(default_factory=Buckets)
    meter: Meter = field(default_factory=Meter)

    def reset(self, world: World) -> None:
        self.world, self.faults, self.buckets, self.meter = world, Armory(), Buckets(), Meter()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]
    json: bool = True


async def serve(stage: Stage, endpoint: Endpoint, call: Call) -> Reply:
    """Answer one call. Raises Cut when the connection is to be closed instead."""
    log_id = secrets.token_hex(16)
    headers = {"X-Tt-Logid": log_id, "X-Request-Id": log_id}
    meter = stage.meter
    try:
        body = await _answer(stage, endpoint, call)
        reply, code = Reply(200, body, headers), 0
    except Refusal as refusal:
        body = refusal.encode(log_id)
        reply, code = Reply(refusal.status, body, headers | refusal.headers), refusal.code
    except Bare as bare:
        body = b"<html><body>Bad Gateway</body></html>"
        reply, code = Reply(bare.status, body, headers, json=False), bare.status
    except Cut:
        meter.note(endpoint, call, "cut", 0)
        raise
    meter.note(endpoint, call, code, len(body))
    return reply


async def _answer(stage: Stage, endpoint: Endpoint, call: Call) -> bytes:
    fault = stage.faults.strike(endpoint.labels, stage.world.random)
    if fault is not None and fault.kind == "latency":
        await asyncio.sleep(fault.seconds)
    if fault is not None and not fault.applied:
        carry_out(fault)
    body = await _carry_out_call(stage, endpoint, call)
    if fault is not None:
        _lose_answer(fault)
    return body


def _lose_answer(fault: Fault) -> None:
    if fault.applied:
        carry_out(fault)


async def _carry_out_call(stage: Stage, endpoint: Endpoint, call: Call) -> bytes:
    world = stage.world
    if len(call.raw) > world.config.body_bytes:
        raise Refusal(9499, "the request is too large", status=413)
    if endpoint.open:
        _read_body(call, endpoint)
        answer = endpoint.handler(call)
    else:
        app = caller(call)
        may_use(app, endpoint)
        stage.buckets.take(endpoint, app.id, world.config.rate_factor, world.clock())
        enter(call, app, endpoint)
        _read_body(call, endpoint)
        answer = await (_write if endpoint.writes else _read)(endpoint, call)
    return answer if isinstance(answer, bytes) else success(answer)


def _read_body(call: Call, endpoint: Endpoint) -> None:
    if endpoint.method in ("POST", "PUT", "PATCH"):
        call.body = parsed(call.raw)


async def _read(endpoint: Endpoint, call: Call) -> Any:
    if call.world.config.read_seconds:
        await asyncio.sleep(call.world.config.read_seconds)
    return endpoint.handler(call)


async def _write(endpoint: Endpoint, call: Call) -> Any:
    """One table takes one write at a time; another that comes meanwhile is refused."""
    memory = _remember(endpoint, call)
    table = call.table if call.made is None else None
    try:
        if table is not None and table.busy:
            table = None  # it is not ours to set free
            raise Refusal(1254291)
        if table is not None:
            table.busy = True
        if call.world.config.write_seconds:
            await asyncio.sleep(call.world.config.write_seconds)
        answer = endpoint.handler(call)
        if memory is not None and memory.ids is None:
            memory.ids = call.kept
        return answer
    finally:
        if table is not None:
            table.busy = False
        if memory is not None and memory.ids is None:  # nothing was applied: the token is free again
            call.world.client_tokens.pop(_token_key(call), None)


def _token_key(call: Call) -> tuple[str, str]:
    return (call.app.id if call.app else "", call.query.get("client_token", ""))


def _remember(endpoint: Endpoint, call: Call) -> Remembered | None:
    """Look the client_token up, or note it as under way. Fills in `call.made` for a repeat. Raises Refusal."""
    token = call.query.get("client_token", "")
    if not token or not endpoint.repeats:
        return None
    if not _uuid4(token):
        raise Refusal(1254037)
    world, now = call.world, call.world.clock()
    digest = hashlib.sha256(repr((endpoint.name, sorted(call.path.items()))).encode() + call.raw).digest()
    known = world.client_tokens.get(_token_key(call))
    if known is None or known.until <= now:
        known = Remembered(digest, now + world.config.client_token_seconds)
        world.client_tokens[_token_key(call)] = known
        return known
    if known.digest != digest:
        raise Refusal(1255006)
    if known.ids is None:
        raise Refusal(1254608)
    call.made = known.ids
    return known


def _uuid4(text: str) -> bool:
    try:
        return uuid.UUID(text).version == 4 and len(text) == 36
    except ValueError:
        return False
