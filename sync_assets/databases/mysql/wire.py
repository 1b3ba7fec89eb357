"""The rows of a running query straight from PyMySQL's socket.

PyMySQL reads each value through two method calls and a struct; for wide tables that is the larger part of a read.
This reads whole packets and cuts them in one loop. It relies on four private names of PyMySQL 1.x:
`_execute_command`, `_read_packet`, `_rfile`, `_next_seq_id`; the contract tests hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pymysql.constants import COMMAND
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from sync_assets.databases.mysql.types import Decoder, Field
from sync_assets.engine.model import Row

_WHOLE = 0xFFFFFF  # a packet of this size goes on in the next one


def prepare(connection: Any, sql: str) -> list[Field]:
    """The columns of a query, from the server's own parser, without running it."""
    connection._execute_command(COMMAND.COM_STMT_PREPARE, sql)
    answer = connection._read_packet()
    data = answer.get_all_data()
    statement = data[1:5]
    columns, parameters = int.from_bytes(data[5:7], "little"), int.from_bytes(data[7:9], "little")
    _skip(connection, parameters)
    fields = [_field(connection) for _ in range(columns)]
    if columns:
        connection._read_packet()
    connection._execute_command(COMMAND.COM_STMT_CLOSE, statement)  # has no answer
    return fields


def _skip(connection: Any, definitions: int) -> None:
    for _ in range(definitions + 1 if definitions else 0):
        connection._read_packet()


def execute(connection: Any, sql: str) -> list[Field]:
    """Send the query and read the description of its columns; `rows` follows."""
    connection._execute_command(COMMAND.COM_QUERY, sql)
    first = connection._read_packet()
    if first.is_ok_packet() or first.is_load_local_packet():
        return []
    fields = [_field(connection) for _ in range(first.read_length_encoded_integer())]
    connection._read_packet()
    return fields


def _field(connection: Any) -> Field:
    packet = connection._read_packet(FieldDescriptorPacket)
    return Field(
        packet.name, packet.type_code, packet.charsetnr, packet.length, packet.flags, packet.scale,
        packet.db.decode(), packet.org_table, packet.org_name,
    )  # fmt: skip


def rows(connection: Any, decoders: Sequence[Decoder]) -> Iterator[Row]:
    """The rows that follow `execute`. The connection is free again only after the last one."""
    read = connection._rfile.read
    while True:
        data = _packet(connection, read)
        first = data[0]
        if first == 0xFE and len(data) < 9:
            return
        if first == 0xFF:
            MysqlPacket(data, connection.encoding).raise_for_error()
        at = 0
        row: list[Any] = []
        for decode in decoders:
            size = data[at]
            if size < 251:
                at += 1
            elif size == 251:  # NULL
                at += 1
                row.append(None)
                continue
            else:
                width = (2, 3, 8)[size - 252]
                size = int.from_bytes(data[at + 1 : at + 1 + width], "little")
                at += 1 + width
            end = at + size
            row.append(decode(data[at:end]))
            at = end
        yield tuple(row)


def _packet(connection: Any, read: Any) -> bytes:
    whole = b""
    while True:
        header = read(4)
        if len(header) < 4:
            raise ConnectionResetError
        size = header[0] | header[1] << 8 | header[2] << 16
        part: bytes = read(size)
        if len(part) < size:
            raise ConnectionResetError
        connection._next_seq_id = (header[3] + 1) % 256
        if size < _WHOLE:
            return whole + part if whole else part
        whole += part
