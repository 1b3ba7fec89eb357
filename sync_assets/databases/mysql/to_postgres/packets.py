"""The answer of a prepared statement as blocks of whole rows, still in the server's binary row format.

The binary protocol (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html) spares
the server the printing of numbers and times: it answers in about half the time of the text protocol. The statement
runs on the connection that is given, so inside its snapshot. Like `databases.mysql.wire`, this relies on private
names of PyMySQL 1.x: `_execute_command`, `_read_packet`, `_rfile`. Needs numpy. Knows no type.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
import pymysql
from pymysql.constants import COMMAND
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from sync_assets.databases.mysql.types import Field
from sync_assets.databases.ragged import Bytes, Ints

BLOCK = 1024 * 1024  # bytes that are read before rows are handed on
SPARE = 128  # bytes before and after the rows that may be looked at, though they mean nothing
_WHOLE = 0xFFFFFF  # a packet of this size goes on in the next one
_REST = 256 * 1024 * 1024  # bytes of an answer that are rather read to the end than dropped with the connection
_LOST = (pymysql.Error, OSError)
_ENOUGH = 16  # rows that numpy is asked about at once
_HEAD = Struct("<I").unpack_from
_NO_CURSOR = b"\x00" + (1).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in `data`, each beginning at one of `starts` with its null bitmap's leading 0x00 byte."""

    data: Bytes
    starts: Ints


@contextlib.contextmanager
def answer(connection: Any, sql: str) -> Iterator[tuple[Sequence[Field], Iterator[Rows]]]:
    """Run `sql` and yield the description of its columns and its rows.

    The connection, and with it its snapshot, stays usable when not all rows are taken, as long as the rest of them is
    short enough to be read and thrown away; otherwise it is closed, as after an error of its own.
    """
    statement = _prepare(connection, sql)
    connection._execute_command(COMMAND.COM_STMT_EXECUTE, statement + _NO_CURSOR)
    first = connection._read_packet()
    fields = [_field(connection) for _ in range(first.read_length_encoded_integer())]
    connection._read_packet()
    frames = Frames()
    blocks = _blocks(connection, frames)
    try:
        yield fields, blocks
    except _LOST:
        connection._force_close()
        raise
    finally:
        if connection.open and _finish(blocks, frames):
            connection._execute_command(COMMAND.COM_STMT_CLOSE, statement)  # has no answer
        else:
            connection._force_close()


def _finish(blocks: Iterator[Rows], frames: Frames) -> bool:
    """Throw away what is left of an answer, and say whether its end was reached."""
    seen = 0
    try:
        for block in blocks:
            seen += block.data.size
            if seen > _REST:
                return False
    except _LOST:
        return False
    return bool(frames.ending)


def _prepare(connection: Any, sql: str) -> bytes:
    connection._execute_command(COMMAND.COM_STMT_PREPARE, sql)
    data = connection._read_packet().get_all_data()
    columns, parameters = int.from_bytes(data[5:7], "little"), int.from_bytes(data[7:9], "little")
    for definitions in (parameters, columns):
        for _ in range(definitions + 1 if definitions else 0):
            connection._read_packet()
    return bytes(data[1:5])


def _field(connection: Any) -> Field:
    packet = connection._read_packet(FieldDescriptorPacket)
    return Field(packet.name, packet.type_code, packet.charsetnr, packet.length, packet.flags, packet.scale)


def _blocks(connection: Any, frames: Frames) -> Iterator[Rows]:
    """Read until a block is full, hand on the whole rows in it, keep the rest. A longer row makes the block grow."""
    size = frames.put(connection._rfile.read1(BLOCK // 8))  # what came in with the description of the columns
    read = connection._rfile.readinto1  # waits for more even if it has some
    while True:
        if not size:
            raise ConnectionResetError
        frames.add(size)
        last = frames.last()
        if last or frames.full():
            yield from frames.take(without_last=last)
        if last:
            _raise_for_error(connection, frames)
            return
        size = read(frames.room())


def _raise_for_error(connection: Any, frames: Frames) -> None:
    if frames.ending[:1] == b"\xff":
        MysqlPacket(frames.ending, connection.encoding).raise_for_error()


class Frames:
    """Bytes as they come in, cut into rows by the lengths before them."""

    def __init__(self, block: int = BLOCK) -> None:
        self.block = block
        self.buffer = bytearray(SPARE + block + SPARE)
        self.at = self.end = SPARE  # of what is not cut yet
        self.starts: list[int] = []
        self.ending = b""  # the packet that ended the answer

    def room(self) -> memoryview:
        """Where the next bytes are to go."""
        if len(self.buffer) - SPARE - self.end < self.block // 4:
            self.buffer += bytes(max(self.block, len(self.buffer)))
        return memoryview(self.buffer)[self.end : len(self.buffer) - SPARE]

    def put(self, data: bytes) -> int:
        """Copy the next bytes in; `add` follows."""
        self.room()[: len(data)] = data
        return len(data)

    def add(self, size: int) -> None:
        """So many bytes have come in: cut off what is whole."""
        self.end += size
        buffer, starts = self.buffer, self.starts
        at, end = self._alike(self.at), self.end
        while end - at >= 4:
            length = _HEAD(buffer, at)[0] & _WHOLE
            if length == _WHOLE:
                length = self._join(at)
                end = self.end
            if end - at < 4 + length:
                break
            starts.append(at + 4)
            at += 4 + length
        self.at = at

    def _alike(self, at: int) -> int:
        """Cut off the rows that are as long as the first one, all in one step: often that is all of them."""
        if self.end - at < 4:
            return at
        step = 4 + (int(_HEAD(self.buffer, at)[0]) & _WHOLE)
        if step > _WHOLE or (count := (self.end - at) // step) < _ENOUGH:
            return at
        heads = np.ndarray((count,), "<u4", self.buffer, at, (step,)) & _WHOLE
        count = int(np.argmax(heads != step - 4)) or count
        self.starts.extend(range(at + 4, at + count * step, step))
        return at + count * step

    def _join(self, at: int) -> int:
        """Make one of a row that came in several packets, and return its length, or what it has at least."""
        heads: list[int] = []
        place, length = at, _WHOLE
        while length == _WHOLE:
            place += 4 + _WHOLE
            if self.end - place < 4:
                return place + 4 - at
            length = int(_HEAD(self.buffer, place)[0]) & _WHOLE
            heads.append(place)
        if self.end - place < 4 + length:
            return place + length - at
        for head in reversed(heads):
            del self.buffer[head : head + 4]
        self.end -= 4 * len(heads)
        return len(heads) * _WHOLE + length

    def last(self) -> bool:
        """Whether the newest packet is the answer's end: EOF, or an error. A row begins with 0x00."""
        if not self.starts or self.buffer[self.starts[-1]] == 0:
            return False
        self.ending = bytes(self.buffer[self.starts[-1] : self.at])
        return True

    def full(self) -> bool:
        return bool(self.starts) and self.end - SPARE >= self.block // 2

    def take(self, *, without_last: bool) -> Iterator[Rows]:
        """The rows so far; what comes next goes into a new buffer, so that they can be kept."""
        starts = self.starts[:-1] if without_last else self.starts
        if starts:
            yield Rows(np.frombuffer(self.buffer, np.uint8), np.fromiter(starts, np.int64, len(starts)))
        rest = self.buffer[self.at : self.end]
        self.buffer = bytearray(SPARE) + rest + bytes(max(self.block - len(rest), 0) + SPARE)
        self.at, self.end, self.starts = SPARE, SPARE + len(rest), []
