"""Where requests to other installations may go: names are resolved once, every answer is checked, and the checked
address is dialled, with the original name for the Host header and for TLS. So a name that changes its address between
check and use gains nothing, and nobody can make this installation talk to its own machine or to a metadata service.

The rules stand alone (`Network`); httpcore is known only by `guarded_backend`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sync_assets.engine.errors import Stop

if TYPE_CHECKING:
    import httpcore

IP = IPv4Address | IPv6Address
Block = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Iterable[str]]

# Refused in both modes, even where a configured block holds them: link-local, and metadata services of clouds.
_NEVER = tuple(
    ipaddress.ip_network(block)
    for block in (
        "169.254.0.0/16", "fe80::/10",
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle Cloud
        "fd00:ec2::/32",  # Amazon
        "fd20:ce::254/128",  # Google Cloud
        "0.0.0.0/8", "::/128",  # "this machine" to many systems
        "224.0.0.0/4", "ff00::/8", "255.255.255.255/32",
    )
)  # fmt: skip
# Not public though `is_global` may say so, by version of Python.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(block)
    for block in (
        "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
        "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
        "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fec0::/10",
    )
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")
_NUMBERS = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")


@dataclass(frozen=True, slots=True)
class Network:
    """Which addresses may be dialled: public ones, or with `blocks` only those in a block."""

    blocks: tuple[Block, ...] | None = None

    def check(self, text: str, where: str) -> IP:
        """The address that may be dialled. Raises `Stop`."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise _refused(where, "it has no usable address") from None
        if getattr(address, "scope_id", None):
            raise _refused(where, "its address is bound to an interface")
        plain = getattr(address, "ipv4_mapped", None) or address
        for each in (plain, *_inside(plain)):
            if any(each in block for block in _NEVER):
                raise _refused(where, "its address is link-local, of a metadata service, or no host's")
        if not self._holds(plain):
            raise _refused(
                where, "its address is not in the network of the peer" if self.blocks else "it is not public"
            )
        return plain

    def _holds(self, address: IP) -> bool:
        if self.blocks is not None:
            return any(address in block for block in self.blocks)
        return address.is_global and not any(address in block for block in _NOT_PUBLIC)

    def resolve(self, host: str, port: int, where: str, resolver: Resolver | None = None) -> Sequence[IP]:
        """All addresses of a host, each checked. Raises `Stop` if any is refused, `OSError` if there is none."""
        checked_name(host, where)
        found = list(dict.fromkeys((resolver or system_resolver)(host, port)))
        if not found:
            raise OSError("the name has no address")
        return [self.check(text, where) for text in found]


PUBLIC = Network()


def internal(blocks: Iterable[str]) -> Network:
    """Only these blocks of addresses. Raises `Stop` for what is no block."""
    try:
        return Network(tuple(ipaddress.ip_network(block) for block in blocks))
    except ValueError:
        raise Stop("the network of a peer is wrong", hint="write blocks such as 10.20.0.0/16", code="network") from None


def checked_name(host: str, where: str) -> None:
    """Raises `Stop` for names that systems read in different ways: numbers in octal, hexadecimal or with parts left
    out, zones, letters beyond ASCII."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if "%" not in host:
            return
    last = host.rstrip(".").rpartition(".")[2]
    if not _NAME.fullmatch(host) or len(host) > 253 or _NUMBERS.fullmatch(last):
        raise _refused(where, "its host is neither a name nor an address as it is usually written")


def checked_url(url: str, network: Network, where: str) -> str:
    """The address of a peer, without a slash at its end. Raises `Stop` for what is no address of an installation."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(where, "it is no address", "https://name/api/sync") from None
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise _refused(where, "it is no address", "https://name/api/sync")
    if "@" in parts.netloc or parts.query or parts.fragment or not parts.path.rstrip("/").endswith("/api/sync"):
        raise _refused(where, "it does not end in /api/sync, or holds a login", "https://name/api/sync")
    if parts.scheme == "http" and network.blocks is None:  # the key and all documents could be read on the way
        raise _refused(where, "it is not encrypted", "https://, or network: {internal: [...]}")
    checked_name(host, where)
    return url.strip().rstrip("/")


def system_resolver(host: str, port: int) -> list[str]:
    """Addresses by the system's resolver. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def guarded_backend(network: Network, where: str, resolver: Resolver | None = None) -> httpcore.NetworkBackend:
    """Dials for httpcore, only what `network` allows."""
    import httpcore

    class Guarded(httpcore.NetworkBackend):
        def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore.NetworkStream:
            try:
                addresses = network.resolve(host, port, where, resolver)
            except OSError:
                raise httpcore.ConnectError("the name has no address") from None
            return _first(addresses, lambda a: dial.connect_tcp(str(a), port, timeout, local_address, socket_options))

        def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
            raise _refused(where, "it is a local socket")

    dial = httpcore.SyncBackend()
    return Guarded()


def _first(addresses: Sequence[IP], connect: Callable[[IP], httpcore.NetworkStream]) -> httpcore.NetworkStream:
    import httpcore

    for address in addresses[:-1]:
        try:
            return connect(address)
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            continue
    return connect(addresses[-1])


def _inside(address: IP) -> list[IPv4Address]:
    """IPv4 addresses that an IPv6 address carries: compatible, 6to4, NAT64, Teredo."""
    if isinstance(address, IPv4Address) or address.is_loopback:
        return []
    number = int(address)
    found = [IPv4Address(number & 0xFFFFFFFF)] if any(address in block for block in _LAST_32) else []
    teredo = address.teredo
    return found + [a for a in (address.sixtofour, *(teredo or ())) if a is not None]


_LAST_32 = tuple(
    ipaddress.IPv6Network(block) for block in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)


def _refused(where: str, why: str, right: str = "") -> Stop:
    hint = f"write {right}" if right else "correct the address of the peer, or the network that it is allowed in"
    return Stop(f"{where}: this address is refused: {why}", hint=hint, code="address")
