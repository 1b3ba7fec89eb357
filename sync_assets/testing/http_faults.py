"""An HTTP door that misbehaves at the n-th call: before a real server, for tests of whoever calls it.

    with FaultyDoor(port) as door: door.plan = [Fault(3, "cut_after")]     # the third call is applied, unanswered

Passes requests on as they are, counts them, and keeps their idempotency keys. Knows nothing of what they mean.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

Kind = Literal["refused", "silent", "500", "429", "cut_before", "cut_after"]
KINDS: tuple[Kind, ...] = ("refused", "silent", "500", "429", "cut_before", "cut_after")
_HOP = ("connection", "transfer-encoding", "keep-alive", "content-length", "host")


@dataclass(frozen=True, slots=True)
class Fault:
    """At the call of that number (from 1), and at `times` - 1 calls after it. `silent`: no answer, for `seconds`."""

    call: int
    kind: Kind
    times: int = 1
    seconds: float = 1.0
    retry_after: str = "1"


@dataclass(frozen=True, slots=True)
class Seen:
    """One call. `status` is 0 where no answer was given."""

    method: str
    path: str
    key: str
    status: int


@dataclass
class FaultyDoor:
    """A server on a free port of loopback, before the one at `port`."""

    port: int
    plan: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    calls: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="door", daemon=True)

    @property
    def own_port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """As the address of a peer is written."""
        return f"http://127.0.0.1:{self.own_port}/api/sync"

    def heal(self) -> None:
        """No faults any more; calls are counted from 1 again."""
        self.plan, self.calls = [], 0

    def fault(self) -> Fault | None:
        """Of the call that begins now."""
        with self._lock:
            self.calls += 1
            return next((f for f in self.plan if f.call <= self.calls < f.call + f.times), None)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that gave up is no news."""


def _handler(door: FaultyDoor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass()

        def do_POST(self) -> None:
            self._pass()

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            fault = door.fault()
            status = self._fail(fault, body) if fault else self._forward(body)
            door.seen.append(Seen(self.command, self.path, self.headers.get("Idempotency-Key", ""), status))

        def _fail(self, fault: Fault, body: bytes) -> int:
            if fault.kind == "500":
                return self._reply(500, {}, b'{"error": "on purpose"}')
            if fault.kind == "429":
                return self._reply(429, {"Retry-After": fault.retry_after}, b'{"error": "on purpose"}')
            if fault.kind == "cut_after":
                _upstream(door.port, self.command, self.path, body, dict(self.headers.items()))
            if fault.kind == "silent":
                threading.Event().wait(fault.seconds)
            return self._cut()

        def _cut(self) -> int:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.close_connection = True
            return 0

        def _forward(self, body: bytes) -> int:
            return self._reply(*_upstream(door.port, self.command, self.path, body, dict(self.headers.items())))

        def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> int:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return status

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _upstream(
    port: int, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body or None, {n: v for n, v in headers.items() if n.lower() not in _HOP})
        answer = connection.getresponse()
        kept = {n: v for n, v in answer.getheaders() if n.lower() not in _HOP}
        return answer.status, kept, answer.read()
    finally:
        connection.close()
