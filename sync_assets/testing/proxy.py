"""A TCP proxy on loopback that misbehaves on demand: cuts, holes, refusals, latency. For any protocol.

Runs its own event loop in a thread. Faults may be set and cleared while connections are open; they hold for bytes
that pass afterwards. Knows nothing of what passes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

Direction = Literal["up", "down"]  # up: from the client to the server
_CHUNK = 65536


@dataclass
class Counters:
    """What has happened since the start. `cuts` counts connections that we ended."""

    connections: int = 0
    refused: int = 0
    cuts: int = 0
    holes: int = 0
    bytes: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})


class Proxy:
    """``with Proxy(host, port) as proxy: connect(proxy.host, proxy.port)``."""

    def __init__(self, host: str, port: int) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.counters = Counters()
        self._upstream = (host, port)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self.heal()

    # -- faults

    def heal(self) -> None:
        """No faults any more, for connections open and to come."""
        self._left: dict[str, int | None] = {"up": None, "down": None}
        self._hole = b""
        self._hole_cut = True
        self._refuse = False
        self._silent = False
        self._latency = 0.0

    def cut_after(self, count: int, direction: Direction) -> None:
        """Let `count` more bytes pass in `direction`, over all connections, then cut that connection, once."""
        self._left[direction] = count

    def hole_on(self, pattern: bytes, *, cut: bool = True) -> None:
        """When `pattern` goes up, pass it on and swallow the answer, then cut (or stay silent), once."""
        self._hole, self._hole_cut = pattern, cut

    def refuse(self, on: bool = True) -> None:
        """Close new connections at once."""
        self._refuse = on

    def silence(self, on: bool = True) -> None:
        """Swallow everything in both directions and keep the connections open: a peer that is gone."""
        self._silent = on

    def latency(self, seconds: float) -> None:
        """Hold every chunk back for so long, in both directions."""
        self._latency = seconds

    def cut_all(self) -> None:
        """Cut every open connection now."""
        self._call(self._cut_open)

    # -- the machine

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _call(self, function: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            function()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, self.host, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._cut_open()
        self._loop.run_until_complete(self._finish())
        self._loop.close()

    async def _finish(self) -> None:
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cut_open(self) -> None:
        for writer in list(self._writers):
            self._cut(writer)

    def _cut(self, writer: asyncio.StreamWriter) -> None:
        """End with a reset, so that the peer notices at once."""
        self._writers.discard(writer)
        raw = writer.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuse:
            self.counters.refused += 1
            self._cut(writer)
            return
        self.counters.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            self._cut(writer)
            return
        pair = (writer, up_writer)
        self._writers.update(pair)
        link = _Link()
        both = (
            self._pump(reader, up_writer, "up", link),
            self._pump(up_reader, writer, "down", link),
        )
        # Cancelled only at the end of everything; asyncio 3.11 would log a handler that ends by it.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*both, return_exceptions=True)
        for end in pair:
            self._cut(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction, link: _Link
    ) -> None:
        try:
            while not link.cut and (data := await reader.read(_CHUNK)):
                if self._latency:
                    await asyncio.sleep(self._latency)
                passing = self._passing(data, direction, link)
                if passing:
                    self.counters.bytes[direction] += len(passing)
                    writer.write(passing)
                    await writer.drain()
                if link.cut:
                    self.counters.cuts += 1
        except OSError:
            pass
        finally:
            writer.close()

    def _passing(self, data: bytes, direction: Direction, link: _Link) -> bytes:
        """What of `data` goes on. Sets `link.cut` when the connection is to end after it."""
        if self._silent:
            return b""
        if direction == "up" and self._hole and self._hole in data:
            self._hole, link.hole = b"", True
            self.counters.holes += 1
        if direction == "down" and link.hole:
            link.cut = self._hole_cut
            return b""
        left = self._left[direction]
        if left is None:
            return data
        if len(data) < left:
            self._left[direction] = left - len(data)
            return data
        self._left[direction] = None
        link.cut = True
        return data[:left]


@dataclass
class _Link:
    """What the two directions of one connection tell each other."""

    hole: bool = False
    cut: bool = False
