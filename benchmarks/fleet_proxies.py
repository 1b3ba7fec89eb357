"""Fault proxies in a process of their own, so that what is measured does not share their processor time.

Reads one line of JSON: [[address to listen on, port behind it, seconds each way, silent], ...]; answers with the ports;
ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

from sync_assets.testing.proxy import Proxy


def main() -> None:
    """Start them, tell the ports, wait."""
    wanted = json.loads(sys.stdin.readline())
    with ExitStack() as stack:
        ports = []
        for address, behind, seconds, silent in wanted:
            proxy = Proxy("127.0.0.1", behind)
            proxy.host = address
            stack.enter_context(proxy)
            proxy.latency(seconds)
            if silent:
                proxy.silence()
            ports.append(proxy.port)
        print(json.dumps(ports), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
