"""One measured piece of work in a process of its own, so that its peak memory is its own. Prints one line of JSON.

    python -m benchmarks.mover sync '{...}'     one run of the engine, source to board
    python -m benchmarks.mover floor '{...}'    the calls that such a run cannot do without, sent and decoded, no more

The floor uses the same HTTP client and the same emulator; it reads no database, compares nothing, keeps nothing.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
_START = time.perf_counter()


def sync(ask: Mapping[str, Any]) -> dict[str, Any]:
    """Run a sync as the command line would; only the control database is in memory."""
    from sync_assets.databases.base import ConnectionArgs, open_database
    from sync_assets.engine.guard import DeleteLimit
    from sync_assets.engine.job import Job
    from sync_assets.engine.model import Mode
    from sync_assets.engine.run import Run
    from sync_assets.feishu.client import FeishuClient
    from sync_assets.sources.sql import SqlSource
    from sync_assets.targets.bitable.strategy import FieldWords
    from sync_assets.targets.bitable.target import BitableTarget, BoardSpec
    from sync_assets.testing.memory import MemoryStore

    where = dict(ask["database"])
    kind, password = where.pop("kind"), where.pop("password")
    database = open_database(kind, ConnectionArgs("bench", open_password=lambda: password, **where))
    source = SqlSource("bench", database, table=ask["table"], time_zone=ZONE)
    client = FeishuClient(ask["app_id"], lambda: ask["app_secret"], ask["url"], rate_factor=0.9 if ask["paced"] else 0)
    words = {name: FieldWords(skip=True) for name in ask["skip"]}
    spec = BoardSpec("bench", ask["link"], ask["table_name"], ("id",), "base", words, ZONE)
    job = Job("bench", Mode(ask["mode"]), ("id",), delete_limit=DeleteLimit(share=1.0))
    base = _peak()
    started = time.perf_counter()
    report = Run(job, source, BitableTarget(spec, client), MemoryStore(), owner="bench").execute()
    seconds = time.perf_counter() - started
    counts = {n: getattr(report.counts, n) for n in ("read", "created", "updated", "unchanged", "rejected", "deleted")}
    return {
        "seconds": seconds, "requests": report.requests, "received": report.bytes_received, "sent": report.bytes_sent,
        "counts": counts, "equal": report.equal, "base": base, "waited": client.stats.waited,
    }  # fmt: skip


def floor(ask: Mapping[str, Any]) -> dict[str, Any]:
    """Token and field list; then what `ask` wants of: pages, creates, updates, deletes."""
    import httpx

    with httpx.Client(base_url=ask["url"], trust_env=False, timeout=60) as http:
        calls = _Calls(http, ask)
        calls.log_in()
        bodies = list(_bodies(calls, ask))  # made before the clock starts
        started, calls.count = time.perf_counter(), 1  # the token's
        calls.get("fields?page_size=100")
        if ask["pages"]:
            for _ in calls.pages(ask["fields"]):
                pass
        for path, body, table in bodies:
            calls.post(path, body, table)
        return {"seconds": time.perf_counter() - started, "requests": calls.count}


class _Calls:
    """Bare calls, counted: send, receive, decode."""

    def __init__(self, http: Any, ask: Mapping[str, Any]) -> None:
        self.http, self.ask, self.count = http, ask, 0
        self.next = time.monotonic()
        self.base = f"/open-apis/bitable/v1/apps/{ask['app_token']}/tables/"

    def log_in(self) -> None:
        body = {"app_id": self.ask["app_id"], "app_secret": self.ask["app_secret"]}
        answer = self.http.post("/open-apis/auth/v3/tenant_access_token/internal", json=body)
        self.http.headers["authorization"] = f"Bearer {answer.json()['tenant_access_token']}"

    def turn(self, a_second: int) -> None:
        """Keep the documented rate, where it is kept: evenly, as fast as it allows."""
        self.count += 1
        if self.ask["paced"]:
            time.sleep(max(0.0, self.next - time.monotonic()))
            self.next = time.monotonic() + 1 / a_second

    def get(self, path: str) -> Any:
        self.turn(20)
        return json.loads(self.http.get(f"{self.base}{self.ask['table_id']}/{path}").content)["data"]

    def post(self, path: str, body: bytes, table: str = "") -> Any:
        self.turn(20 if "search" in path else 50)
        headers = {"content-type": "application/json; charset=utf-8"}
        answer = self.http.post(f"{self.base}{table or self.ask['table_id']}/{path}", content=body, headers=headers)
        found = json.loads(answer.content)
        if found["code"]:
            raise SystemExit(f"{path}: {found}")
        return found["data"]

    def pages(self, fields: list[str]) -> Iterable[Any]:
        body = json.dumps({"field_names": fields, "automatic_fields": False}).encode()
        token = ""
        while True:
            data = self.post(f"records/search?page_size=500{token}", body)
            yield data["items"]
            if not data["has_more"]:
                return
            token = f"&page_token={data['page_token']}"


def _bodies(calls: _Calls, ask: Mapping[str, Any]) -> Iterable[tuple[str, bytes, str]]:
    """Write requests of the same size as the run's: creates of the rows that are there, updates of two fields."""
    if ask["create"] or ask["update_every"]:
        records = [r for page in calls.pages(ask["fields"]) for r in page]
        flat = [(r["record_id"], {n: _flat(v) for n, v in r["fields"].items()}) for r in records]
        if ask["create"]:
            for start in range(0, len(flat), 500):
                body = {"records": [{"fields": f} for _, f in flat[start : start + 500]]}
                yield f"records/batch_create?client_token={uuid.uuid4()}", _encoded(body), ask["twin"]
        else:
            some = flat[:: ask["update_every"]]
            for start in range(0, len(some), 500):
                rows = [_two_fields(i, f) for i, f in some[start : start + 500]]
                yield "records/batch_update", _encoded({"records": rows}), ""


def _two_fields(record: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"record_id": record, "fields": {n: fields.get(n) for n in ("amount", "note")}}


def _flat(value: Any) -> Any:
    return "".join(s["text"] for s in value) if isinstance(value, list) and value and "text" in value[0] else value


def _encoded(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _peak() -> float:
    """Most memory that this process ever had, in MB. Linux's ru_maxrss includes the parent's at the fork."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(verb: str, ask: str) -> None:
    result = {"sync": sync, "floor": floor}[verb](json.loads(ask))
    print(json.dumps({**result, "peak": _peak(), "process": time.perf_counter() - _START}))


if __name__ == "__main__":
    main(*sys.argv[1:])
