"""A gateway in a process of its own, over the control database that the environment names, without rate limits.

Prints one line of JSON: its port, and two keys: that of an installation of our kind, and of an original one. Ends with
its standard input.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading

import uvicorn

from sync_assets.gateway.serve import config
from sync_assets.gateway.services import Services
from sync_assets.gateway.settings import Limits, Settings
from sync_assets.store.control import open_store
from sync_assets.store.gateway.keys import Keys

WIDE = Limits(calls=1e6, burst=10**6, strangers=1e6, strangers_burst=10**6)


def main() -> None:
    """Start it, tell where it is, wait."""
    with open_store() as store:
        keys = Keys(store.sessions)
        secrets = [keys.create(name, ("read", "write"), by="benchmark").reveal() for name in ("ours", "original")]
        server = uvicorn.Server(config(Settings(port=0, limits=WIDE), Services(store)))
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        print(json.dumps([listener.getsockname()[1], *secrets]), flush=True)
        sys.stdin.read()
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
