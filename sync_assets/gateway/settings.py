"""How the gateway runs: where it listens, what it trusts, what it bears. Values only; must not know HTTP."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sync_assets.engine.errors import Stop

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. A document of 20 MB must pass, as JSON."""

    body: int = 32 * MIB  # after inflating
    bodies_together: int = 256 * MIB  # of all requests at work
    small_body: int = 64 * 1024  # of callers that are not known yet
    answer: int = 64 * MIB
    depth: int = 32  # of nested JSON
    idle: float = 15.0  # between two pieces of a body
    total: float = 120.0  # for a whole body
    calls: float = 50.0  # a second and caller, on average
    burst: int = 200
    strangers: float = 1.0  # failed credentials a second and address, on average
    strangers_burst: int = 20
    logins: float = 0.1  # a second, for a name and for an address
    logins_burst: int = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """`proxies` are addresses or networks whose X-Forwarded-* are believed. Raises `Stop` for what is not safe."""

    host: str = "127.0.0.1"
    port: int = 8420
    certificate: Path | None = None
    certificate_key: Path | None = None
    proxies: tuple[str, ...] = ()
    insecure: bool = False  # plain HTTP beyond loopback
    access_seconds: int = 600
    refresh_seconds: int = 30 * 86400
    signed_only: bool = False  # API keys are not taken, only calls signed with them; logins are
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.certificate_key is None):
            raise Stop("a certificate needs its key, and a key its certificate", hint="give both files", code="tls")
        for proxy in self.proxies:
            _check_network(proxy)
        if not (self.tls or self.loopback or self.proxies or self.insecure):
            raise Stop(
                f"the gateway would speak plain HTTP on {self.host}, where others can read keys",
                hint="give --cert and --cert-key, or --proxy ADDRESS of a proxy that does TLS, or --insecure",
                code="plain_http",
            )

    @property
    def tls(self) -> bool:
        return self.certificate is not None

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it. A name other than localhost may be anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_network(text: str) -> None:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Stop(f"{text!r} is no address of a proxy", hint="write an IP address or a network, 10.0.0.5") from None
    if network.prefixlen == 0:
        raise Stop(f"{text} is everybody", hint="name the addresses of your proxies", code="proxy")
