"""COPY at the level of libpq: blocks of rows as they are on the wire, never a row as a Python object.

libpq is used as its manual describes for a non-blocking connection: nothing here waits but in `poll`, with a limit, so
that no thread holds the interpreter while a server thinks, and a server that has vanished is noticed. Knows no tables.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

BLOCK = 128 * 1024
_REST = 8  # blocks of an unwanted rest that are read rather than the connection given up
_LOOKS = 3
# poll needs no descriptor of its own; Windows has none
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
_READ, _BOTH = selectors.EVENT_READ, selectors.EVENT_READ | selectors.EVENT_WRITE


class Silent(Exception):
    """The server said nothing for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


def copy_out(wire: Any, sql: str, seconds: float) -> Iterator[bytes]:
    """The data of a COPY TO STDOUT in blocks of whole rows. What nobody waits for is not read.

    When the caller stops early, a short rest is read; with a long one the connection stays in the middle of it.
    """
    _begin(wire, sql, seconds, pq.ExecStatus.COPY_OUT)
    more = True
    try:
        while more:
            block, more = _gathered(wire, seconds)
            if not more:
                _finished(wire, seconds)
            if block:
                yield block
    except GeneratorExit:
        if more:
            _leave(wire)
        raise


def copy_in(wire: Any, sql: str, blocks: Iterable[bytes], seen: Callable[[int], None], seconds: float) -> int:
    """Send blocks to a COPY FROM STDIN. Returns the rows. When the blocks fail, the COPY fails as a whole."""
    _begin(wire, sql, seconds, pq.ExecStatus.COPY_IN)
    try:
        whole = all(_sent(wire, block, seen, seconds) for block in blocks)
    except (psycopg.Error, Silent):
        raise
    except BaseException:
        _end(wire, b"the source failed", seconds)
        raise
    error = _end(wire, None if whole else b"ended early", seconds)
    if isinstance(error, Exception):
        raise error
    return error


def _begin(wire: Any, sql: str, seconds: float, wanted: pq.ExecStatus) -> None:
    """Results of statements before the COPY are passed over."""
    wire.send_query(sql.encode())
    _flush(wire, seconds)
    while (result := _result(wire, seconds)) is not None:
        if result.status == wanted:
            return
        if result.status == pq.ExecStatus.FATAL_ERROR:
            while _result(wire, seconds) is not None:
                pass
            raise _failure(result)
    raise psycopg.InternalError("the statement was no COPY")


def _gathered(wire: Any, seconds: float) -> tuple[bytes, bool]:
    """Rows up to a block's size, and whether there may be more."""
    parts: list[memoryview] = []
    size = tries = 0
    read = wire.get_copy_data
    while size < BLOCK:
        count, data = read(1)
        if count > 0:
            parts.append(data)
            size += count
        elif count == 0:
            tries = _take_in(wire, seconds, tries)
        else:
            return b"".join(parts), False
    return b"".join(parts), True


def _leave(wire: Any) -> None:
    """End a COPY TO that nobody reads any more, if it is nearly over."""
    try:
        for _ in range(_REST):
            if not _gathered(wire, 1)[1]:
                _finished(wire, 1)
                return
    except (psycopg.Error, Silent):
        return


def _sent(wire: Any, block: bytes, seen: Callable[[int], None], seconds: float) -> bool:
    """Send a block. False when the server speaks up meanwhile: it has refused a row, and tells why at the end."""
    wire.put_copy_data(block)
    _flush(wire, seconds)
    seen(len(block))
    return not _spoken(wire)


def _spoken(wire: Any) -> bool:
    """Whether there is an answer already, in the middle of a COPY FROM. Through TLS there may be no whole word."""
    with _Selector() as look:
        look.register(wire.socket, _READ)
        return bool(look.select(0)) and not wire.ssl_in_use


def _end(wire: Any, reason: bytes | None, seconds: float) -> int | psycopg.Error:
    """Close a COPY FROM and take its answer: the rows, or the server's error."""
    try:
        wire.put_copy_end(reason)
        _flush(wire, seconds)
        return _finished(wire, seconds)
    except psycopg.Error as error:
        return error


def _finished(wire: Any, seconds: float) -> int:
    """Take all results of a COPY that has ended. Returns its rows. Raises the server's error."""
    rows, failed = 0, None
    while (result := _result(wire, seconds)) is not None:
        if result.status == pq.ExecStatus.COMMAND_OK:
            rows = result.command_tuples or 0
        elif result.status in (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT):
            break  # the connection broke in the middle
        else:
            failed = result
    if failed is not None:
        raise _failure(failed)
    if wire.status == pq.ConnStatus.BAD:
        raise psycopg.OperationalError("the connection was lost")
    return rows


def _result(wire: Any, seconds: float) -> Any:
    tries = 0
    while wire.is_busy():
        tries = _take_in(wire, seconds, tries)
    return wire.get_result()


def _take_in(wire: Any, seconds: float, tries: int) -> int:
    """Let libpq read. Under TLS bytes may wait inside the library, where poll does not see them (a record has 16 KB,
    libpq reads 8 at least): look there first. Returns the count of looks since something came over the socket."""
    if wire.ssl_in_use and tries < _LOOKS:
        wire.consume_input()
        return tries + 1
    _wait(wire, _READ, seconds)
    wire.consume_input()
    return 0


def _flush(wire: Any, seconds: float) -> None:
    """Until all is sent. Reads meanwhile: a server that cannot send does not read either."""
    while wire.flush():
        if _wait(wire, _BOTH, seconds) & _READ:
            wire.consume_input()


def _wait(wire: Any, events: int, seconds: float) -> int:
    with _Selector() as look:
        look.register(wire.socket, events)
        ready = look.select(seconds)
    if not ready:
        raise Silent(seconds)
    return int(ready[0][1])


def _failure(result: Any) -> psycopg.Error:
    """The server's error; without a state it is libpq's own, of a broken connection."""
    if result.error_field(pq.DiagnosticField.SQLSTATE) is None:
        return psycopg.OperationalError("the connection was lost")
    return error_from_result(result)
