"""A line that is as long as it is told and as wide as this machine: each byte comes so many seconds after it was sent.

`testing.proxy` holds one piece back before it reads the next, so that a call whose head and body come apart pays twice.
Reads one line of JSON, [port behind it, seconds each way]; answers with its own port; ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

_PIECE = 65536
_AHEAD = 1000  # pieces on the way
Waiting = asyncio.Queue[tuple[float, bytes]]


def main() -> None:
    """Start it, tell the port, wait."""
    behind, seconds = json.loads(sys.stdin.readline())
    asyncio.run(_serve(behind, seconds))


async def _serve(behind: int, seconds: float) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", behind)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(_carry(reader, up_writer, seconds), _carry(up_reader, writer, seconds))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(json.dumps([server.sockets[0].getsockname()[1]]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    waiting: Waiting = asyncio.Queue(_AHEAD)
    await asyncio.gather(_take(reader, waiting, seconds), _give(waiting, writer))


async def _take(reader: asyncio.StreamReader, waiting: Waiting, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    data = b"-"
    while data:
        try:
            data = await reader.read(_PIECE)
        except OSError:
            data = b""
        await waiting.put((clock() + seconds, data))


async def _give(waiting: Waiting, writer: asyncio.StreamWriter) -> None:
    clock = asyncio.get_running_loop().time
    while (item := await waiting.get())[1]:
        await asyncio.sleep(item[0] - clock())
        with contextlib.suppress(OSError):
            writer.write(item[1])
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main()
