"""A Bitable emulator for the whole test session, empty at the start of every test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sync_assets.testing.bitable import Config, Emulator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The process. Its rate limits are off; a test of pacing turns them on by `reset(rate_factor=1)`."""
    with Emulator.start(Config(rate_factor=0)) as running:
        yield running
        assert running.noise() == "", "the emulator itself failed"


@pytest.fixture
def bitable(emulator: Emulator) -> Emulator:
    """The emulator with nothing in it and a fresh app: `url`, `app_id`, `app_secret`."""
    emulator.reset()
    return emulator


@dataclass
class Bare:
    """Calls the open platform with nothing in between: what comes back is what the emulator said."""

    http: httpx.Client
    prefix: str = ""
    token: str = ""

    def send(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        url = path if path.startswith("/open-apis") else self.prefix + path
        return self.http.request(method, url, content=content, params=params, headers=headers)

    def data(self, method: str, path: str, body: Any = None, **params: Any) -> dict[str, Any]:
        answer = self.send(method, path, body, **params).json()
        assert answer["code"] == 0, answer
        data: dict[str, Any] = answer["data"]
        return data

    def refused(self, method: str, path: str, body: Any = None, **params: Any) -> tuple[int, int]:
        """The business code and the HTTP status of an answer that is an envelope."""
        answer = self.send(method, path, body, **params)
        assert answer.headers["x-tt-logid"], "every answer carries a log id"
        return answer.json()["code"], answer.status_code

    def log_in(self, app_id: str, app_secret: str) -> None:
        body = {"app_id": app_id, "app_secret": app_secret}
        answer = self.send("POST", "/open-apis/auth/v3/tenant_access_token/internal", body).json()
        self.token = answer["tenant_access_token"]


@dataclass
class Board:
    """One table of the emulator with a raw way to it: paths are relative to the table."""

    emulator: Emulator
    app_token: str
    table_id: str
    bare: Bare

    def rows(self) -> dict[str, dict[str, Any]]:
        return self.emulator.rows(self.app_token, self.table_id)


@pytest.fixture(scope="session")
def plain_http(emulator: Emulator) -> Iterator[httpx.Client]:
    """One for all tests: making it loads the system's certificates, which takes longer than most tests."""
    with httpx.Client(base_url=emulator.url, trust_env=False, timeout=10) as http:
        yield http


@pytest.fixture
def bare(bitable: Emulator, plain_http: httpx.Client) -> Bare:
    caller = Bare(plain_http, "/open-apis/bitable/v1/apps")
    caller.log_in(bitable.app_id, bitable.app_secret)
    return caller


EVERY_TYPE: list[dict[str, Any]] = [
    {"field_name": "文本", "type": 1},
    {"field_name": "email", "type": 1, "ui_type": "Email"},
    {"field_name": "number", "type": 2},
    {"field_name": "rating", "type": 2, "ui_type": "Rating", "property": {"min": 1, "max": 5}},
    {"field_name": "progress", "type": 2, "ui_type": "Progress", "property": {"formatter": "0%"}},
    {"field_name": "single", "type": 3, "property": {"options": [{"name": "甲"}]}},
    {"field_name": "multi", "type": 4},
    {"field_name": "date", "type": 5},
    {"field_name": "checkbox", "type": 7},
    {"field_name": "user", "type": 11, "property": {"multiple": False}},
    {"field_name": "phone", "type": 13},
    {"field_name": "url", "type": 15},
    {"field_name": "file", "type": 17},
    {"field_name": "place", "type": 22},
    {"field_name": "group", "type": 23},
    {"field_name": "made", "type": 1001},
    {"field_name": "serial", "type": 1005},
]


@pytest.fixture
def board(bitable: Emulator, bare: Bare) -> Board:
    """A table with a field of every type that can be made."""
    base = bitable.make_base("店铺")
    table = bitable.make_table(base, "all", EVERY_TYPE)
    bare.prefix += f"/{base}/tables/{table}"
    return Board(bitable, base, table, bare)
