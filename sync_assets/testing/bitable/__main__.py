"""``python -m sync_assets.testing.bitable``: serve the emulator. The first line printed is its address."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=0, show_default="a free one")
@click.option("--control", is_flag=True, help="open /_emulator/ to everybody who reaches the server")
@click.option("--config", "config_json", default="{}", help="settings as JSON, see config.py")
@click.option("--state", type=click.Path(path_type=Path), help="file that boards are kept in over a restart")
@click.option("--with-parent", is_flag=True, help="stop when standard input is closed")
def main(host: str, port: int, control: bool, config_json: str, state: Path | None, with_parent: bool) -> None:
    """A local stand-in for Feishu Bitable."""
    import uvicorn

    from sync_assets.testing.bitable.app import create_app
    from sync_assets.testing.bitable.config import Config

    app = create_app(Config.of(json.loads(config_json)), control_open=control, state=state)
    listener = socket.create_server((host, port), backlog=512)
    # asyncio does this only for sockets that it made; without it small answers wait 40 ms for an acknowledgement
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    settings = uvicorn.Config(
        app,
        http="h11",  # keeps header names as they are spelt: the SDK looks for X-Tt-Logid and no other spelling
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(settings)
    sys.stdout.write(f"http://{host}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    asyncio.run(_serve(server, listener, with_parent))


async def _serve(server: object, listener: socket.socket, with_parent: bool) -> None:
    if with_parent:
        asyncio.get_running_loop().add_reader(sys.stdin, _end_with_parent, server)
    await server.serve(sockets=[listener])  # type: ignore[attr-defined]


def _end_with_parent(server: object) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin)
        server.should_exit = True  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
