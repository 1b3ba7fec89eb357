"""One line (connections, token, pacing) per app and host in a process, however many syncs use it.

The limits of Feishu hold per app, and a base wants one writer at a time: so the pacing must be shared.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable

from sync_assets.feishu.client import FEISHU, FeishuClient, Line
from sync_assets.feishu.pacing import Pacer
from sync_assets.feishu.token import TokenSource
from sync_assets.feishu.wire import Wire

_shared: dict[tuple[int, str, str], Line] = {}
_shared_lock = threading.Lock()


def shared_client(
    app_id: str, open_secret: Callable[[], str], host: str = FEISHU, *, budget: float = 600.0, timeout: float = 30.0
) -> FeishuClient:
    """A client with its own budget and statistics on this process's one line to (app, host).

    Token, pacing and connections outlive it: closing it closes nothing. `close_shared` ends them.
    """
    with _shared_lock:
        key = (os.getpid(), host, app_id)  # a fork must not speak on its parent's sockets
        line = _shared.get(key)
        if line is None:
            pacer, token = Pacer(time.monotonic, time.sleep), TokenSource(app_id, open_secret)
            line = _shared[key] = Line(Wire(host, timeout), token, pacer)
        line.token.open_secret = open_secret
    return FeishuClient(app_id, open_secret, host, budget=budget, line=line)


def close_shared() -> None:
    """Close all shared lines: at the end of a process, or of a test that looks for open sockets."""
    with _shared_lock:
        for line in _shared.values():
            line.close()
        _shared.clear()


atexit.register(close_shared)
