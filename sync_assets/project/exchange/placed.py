"""The peers of a project: by name or by their exact address, and what is needed to reach one. Dials nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sync_assets.engine.errors import Stop
from sync_assets.project.deployment import PlacedExchange, Project
from sync_assets.project.exchange_spec import Peer, Way, address_trouble
from sync_assets.project.faults import listed
from sync_assets.store.secrets import expand, opener


@dataclass(frozen=True, slots=True)
class PlacedPeer:
    """A peer, and the exchange in which it is written."""

    exchange: PlacedExchange
    spec: Peer

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title or self.spec.name

    @property
    def url(self) -> str:
        """Its address, without a slash at the end. Raises `Stop` for a variable that is not set, or holds no such."""
        url = expand(self.spec.url)
        trouble = address_trouble(url) or _readable(url, self.spec)
        if trouble:
            raise Stop(f"the url of peer {self.name} {trouble[0]}", hint=trouble[1], code="peer")
        return url.rstrip("/")

    @property
    def open_key(self) -> Callable[[], str] | None:
        """Opens its key for us, each time that it is called; None where it asks for none."""
        return opener(self.spec.api_key) if self.spec.api_key else None

    @property
    def internal(self) -> tuple[str, ...]:
        """The blocks in which its address must lie; empty: the public internet."""
        return tuple(self.spec.network.internal or ())

    @property
    def ca(self) -> Path | None:
        """The file of the authority that signed its certificate; relative to the YAML."""
        return self.exchange.path.parent / self.spec.ca if self.spec.ca else None

    def check(self, way: Way) -> None:
        """Raises `Stop` where nothing is exchanged that way."""
        if way not in self.spec.ways:
            hint = f"its ways are {', '.join(self.spec.ways)}: see the YAML of {self.exchange.name}"
            raise Stop(f"peer {self.name} is not for {way}", hint=hint, code="peer")


def _readable(url: str, spec: Peer) -> tuple[str, str] | None:
    if url.startswith("https:") or spec.network.internal:
        return None
    return "is not encrypted", "https, or network: {internal: [...]}"


def peers(project: Project) -> Mapping[str, PlacedPeer]:
    """All peers of a project by name, in the order of the YAML. Names are unique in the project."""
    found = [PlacedPeer(exchange, spec) for exchange in project.exchanges.values() for spec in exchange.spec.peers]
    return MappingProxyType({peer.name: peer for peer in found})


def peer_of(project: Project, name: str, exchange: str | None = None) -> PlacedPeer:
    """The peer of that name, or of exactly that address. Raises `Stop` for every other: nobody else is dialled."""
    known = {n: p for n, p in peers(project).items() if exchange in (None, p.exchange.name)}
    if name in known:
        return known[name]
    for peer in known.values():
        if "://" in name and peer.url == name.rstrip("/"):
            return peer
    # what was given may be an address with a password in it: it is not repeated
    hint = f"known are {listed(known)}" if known else "write it into the peers of a RepositoryExchange"
    raise Stop("there is no such peer", hint=hint, code="peer")
