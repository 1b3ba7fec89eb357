"""Rows of one value, read from the socket in large pieces and joined to blocks.

The server writes the rows out as COPY lines; here they are only cut out of their packets. One Python step a row is what
this costs, a third of what PyMySQL's own cursor does. Relies on private names of PyMySQL 1.x, as `mysql.wire` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any

from pymysql.protocol import MysqlPacket

from sync_assets.databases.mysql import wire

BLOCK = 256 * 1024  # bytes of a block that is handed on, if no row is longer
_READ = 256 * 1024
_WHOLE = 0xFFFFFF  # a packet of this size goes on in the next one
_HEAD = Struct("<I").unpack_from
_WIDTHS = {0xFC: 3, 0xFD: 4, 0xFE: 9}  # bytes of a length from 251 on


class Lines:
    """The answer to one query of one column. `rows` and `wide` count: what was found, and what was NULL."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.rows = 0
        self.wide = 0
        self.ended = False  # whether the connection is free again
        self._kept: list[bytes] = []
        self._size = 0

    def blocks(self, sql: str) -> Iterator[bytes]:
        """Run `sql` and yield its rows, joined. Who stops in between leaves the connection free: the rest is read, for
        the snapshot goes with the connection."""
        wire.execute(self.connection, sql)
        found = self._found()
        try:
            yield from _each(found)
        finally:
            for _ in found:
                pass

    def _found(self) -> Iterator[bytes]:
        buffer, done = b"", False
        while not done:
            more = self.connection._rfile.read1(_READ)
            if not more:
                raise ConnectionResetError
            buffer = buffer + more if buffer else more
            used, done = self._cut(buffer)
            buffer = buffer[used:] if used < len(buffer) else b""
            if not done and len(buffer) > 3 and (size := _HEAD(buffer, 0)[0] & _WHOLE) > _READ:
                buffer, done = self._long(buffer, size)
            if self._size >= BLOCK or done:
                yield from self._taken()

    def _taken(self) -> Iterator[bytes]:
        if self._kept:
            block = b"".join(self._kept)
            self._kept, self._size = [], 0
            yield block

    def _cut(self, buffer: bytes) -> tuple[int, bool]:
        """Take the whole packets of `buffer`. How many bytes they are, and whether the last one ended the answer."""
        at, end, keep, before = 0, len(buffer), self._kept.append, len(self._kept)
        done = False
        while end - at >= 4:
            size = _HEAD(buffer, at)[0] & _WHOLE
            start = at + 4
            stop = start + size
            if stop > end or size == _WHOLE:
                break
            first = buffer[start]
            at = stop
            if first < 0xFB:
                keep(buffer[start + 1 : stop])
            elif first == 0xFB:
                self.wide += 1
            elif first == 0xFF or (first == 0xFE and size < 9):
                self._ended(buffer[start:stop])
                done = True
                break
            else:
                keep(buffer[start + _WIDTHS[first] : stop])
        self.rows += len(self._kept) - before
        self._size += at
        return at, done

    def _long(self, buffer: bytes, size: int) -> tuple[bytes, bool]:
        """A row that is longer than what is read at once: joined once, not at every read."""
        read, parts, rest = self.connection._rfile.read, [], buffer
        while True:
            need = 4 + size - len(rest)
            packet = rest[: 4 + size] if need <= 0 else rest + read(need)
            if len(packet) < 4 + size:
                raise ConnectionResetError
            rest = rest[4 + size :] if need < 0 else b""
            parts.append(packet[4:])
            if size < _WHOLE:
                break
            rest += read(4 - len(rest)) if len(rest) < 4 else b""
            size = _HEAD(rest, 0)[0] & _WHOLE
        whole = b"".join(parts)
        if whole[0] == 0xFF:
            self._ended(whole)
        self._kept.append(whole[_WIDTHS[whole[0]] :])
        self.rows += 1
        self._size += len(whole)
        return rest, False

    def _ended(self, packet: bytes) -> None:
        self.ended = True
        if packet[0] == 0xFF:
            MysqlPacket(packet, self.connection.encoding).raise_for_error()
        self.connection._next_seq_id = 0


def _each(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """`yield from` would close what it takes from."""
    for block in blocks:  # noqa: UP028
        yield block
