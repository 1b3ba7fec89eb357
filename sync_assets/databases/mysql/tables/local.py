"""LOAD DATA LOCAL fed from a stream of ours, and from nothing else.

In this protocol it is the server that asks for a file by name, at any moment and whatever was sent to it; a client
that opens what it is asked for gives any file away. This one never opens any: it answers once, with the stream that it
was about to send, and refuses everything else. It relies on private names of PyMySQL 1.x (`_read_query_result`,
`MySQLResult._read_load_local_packet`, `_affected_rows`, `_result`); the contract tests hold them.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Any

from pymysql import err
from pymysql.connections import Connection, MySQLResult

from sync_assets.engine.errors import Stop

NAME = "sync_assets:rows"  # what stands in the statement where a file's name would
CHUNK = 256 * 1024  # bytes in a packet; servers take a megabyte at least, but need not be given it


# Parts of the driver without types: the protocol below its API.
_Base: Any = Connection
_BaseResult: Any = MySQLResult


class LocalConnection(_Base):  # type: ignore[misc]
    """`local_infile` must be left off: then PyMySQL's own code, which opens files by name, refuses as well."""

    blocks: Iterable[bytes] | None = None
    sent = 0

    def load(self, sql: str, blocks: Iterable[bytes]) -> tuple[int, int]:
        """Run a LOAD DATA LOCAL INFILE 'sync_assets:rows' with `blocks` as the file. Rows stored, and warnings."""
        self.blocks, self.sent = blocks, 0
        try:
            rows = self.query(sql)
            return int(rows), int(self._result.warning_count if self._result else 0)
        finally:
            self.blocks = None

    def _read_query_result(self, unbuffered: bool = False) -> int:
        self._result = None
        result = _Result(self)
        if unbuffered:
            try:
                result.init_unbuffered_query()
            except BaseException:
                result.unbuffered_active = False
                result.connection = None
                raise
        else:
            result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return int(result.affected_rows)


class _Result(_BaseResult):  # type: ignore[misc]
    def _read_load_local_packet(self, first_packet: Any) -> None:
        connection: LocalConnection = self.connection
        asked = first_packet.get_all_data()[1:]
        blocks, connection.blocks = connection.blocks, None
        if blocks is None or asked != NAME.encode():
            connection._force_close()
            raise Stop(
                "the server asked this machine for a file; it was given nothing",
                hint="no honest server does that: look whom you are connected to",
                code="file_request",
            )
        _send(connection, blocks)
        answer = connection._read_packet()
        if not answer.is_ok_packet():
            raise err.OperationalError(2014, "")
        self._read_ok_packet(answer)


def _send(connection: LocalConnection, blocks: Iterable[bytes]) -> None:
    """The blocks, and the empty packet that ends them. When their source fails, the connection is not worth keeping:
    the server would take what came for the whole. A server that speaks before the end has given up, and may never
    read on: then it is not written to any more."""
    done, poll = False, select.poll()
    poll.register(connection._sock, select.POLLIN)
    try:
        for block in blocks:
            for at in range(0, len(block), CHUNK):
                if poll.poll(0):
                    _give_up(connection)
                connection.write_packet(block[at : at + CHUNK])
            connection.sent += len(block)
        connection.write_packet(b"")
        done = True
    finally:
        if not done:
            connection._force_close()


def _give_up(connection: LocalConnection) -> None:
    """Raises what the server had to say."""
    connection._read_packet()
    raise err.OperationalError(2013, "")
