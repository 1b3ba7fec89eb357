"""The vocabulary of an exchange: which installations are peers, what travels to and from them, when, and who is told.

Frozen values that validate whole, like `project.spec`. Loaded only where a deployment has an exchange.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sync_assets.project.faults import RuleFaults, Trouble
from sync_assets.project.spec import SecretRef, Slug, Strict, Text, cron_troubles, zone_troubles

if TYPE_CHECKING:
    from sync_assets.exchange.model import Repository

Way = Literal["push", "pull"]
END = "/api/sync"


def address_trouble(url: str) -> tuple[str, str] | None:
    """What is wrong with the address of a peer, and what would be right; nothing of it is quoted."""
    try:
        parts = urlsplit(url)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or (parts.port == 0)
    except ValueError:
        bad = True
    if bad:
        return "is no address of an installation", f"https://name{END}"
    if "@" in parts.netloc:
        return "holds a user or password", "api_key names the secret; the address is shown to people"
    if parts.query or parts.fragment or not parts.path.rstrip("/").endswith(END):
        return f"does not end in {END}", f"https://name{END}"
    return None


def _address(url: str) -> str:
    if url.startswith("env:"):
        return url
    trouble = address_trouble(url)
    if trouble:
        raise ValueError(" -> ".join(trouble))
    return url.rstrip("/")


def _block(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError("is no block of addresses -> as 10.20.0.0/16, with no bit set beyond its length") from None


Address = Annotated[Text, AfterValidator(_address)]
Block = Annotated[str, AfterValidator(_block)]


def _network(value: object) -> object:
    if value == "public":
        return {}
    if isinstance(value, str):
        raise ValueError("is no network -> public, or {internal: [10.20.0.0/16]}")
    return value


class Network(Strict):
    """Where the address of a peer must lie: the public internet, or blocks of our own. Addresses of metadata services
    and link-local ones are refused in both."""

    internal: list[Block] | None = Field(
        default=None, min_length=1, description="blocks of addresses in which the peer may be; none: public"
    )


class Peer(Strict):
    """Another installation."""

    name: Slug = Field(description="unique in the deployment")
    title: str | None = None
    url: Address = Field(description=f"where its gateway is; ends in {END}")
    api_key: SecretRef | None = Field(default=None, description="its key for us; none: the peer asks for none")
    network: Annotated[Network, BeforeValidator(_network, json_schema_input_type=Literal["public"] | Network)] = Field(
        default=Network(), description="`public`, or `internal:` and blocks: where its address must lie"
    )
    ca: str | None = Field(default=None, description="file of the authority that signed its certificate")
    ways: list[Way] = Field(default=["push", "pull"], min_length=1, description="what is exchanged with it")


class Travel(Strict):
    """What goes one way."""

    schedule: str | None = Field(default=None, description="cron, in the deployment's time zone; null: by hand")
    replace: bool = Field(
        default=False, description="what the receiver has besides goes, at the end; its key needs the scope clear"
    )


class RepositoryExchangeSpec(Strict):
    """The attributes of ``sync_assets.components.RepositoryExchange``."""

    name: Slug = Field(description="unique in the deployment; what commands take")
    title: str | None = Field(default=None, description="shown in the UI and in alerts; may be Chinese")
    description: str | None = None
    peers: list[Peer] = Field(min_length=1)
    push: Travel = Travel()
    pull: Travel = Travel()
    repositories: list[Text] = Field(
        default=["*"], min_length=1, description="patterns of names; ! before one leaves out; the last that fits counts"
    )
    every: int = Field(default=120, ge=30, description="seconds between looks for repositories that are new")
    alerts: Slug | None = Field(default=None, description="a feishu_bot connection")
    time_zone: str | None = Field(
        default=None, description="of the schedules; default SYNC_ASSETS_TIME_ZONE or Asia/Shanghai"
    )

    @model_validator(mode="after")
    def _whole(self) -> RepositoryExchangeSpec:
        troubles = [*_schedule_troubles(self), *zone_troubles(self.time_zone), *_peer_troubles(self)]
        if troubles:
            raise RuleFaults(troubles)
        return self

    def travel(self, way: Way) -> Travel:
        return self.push if way == "push" else self.pull

    def wants(self, repository: Repository) -> bool:
        """Whether a repository is exchanged."""
        wanted = self.repositories[0].startswith("!")
        for pattern in self.repositories:
            if fnmatchcase(repository.name, pattern.removeprefix("!")):
                wanted = not pattern.startswith("!")
        return wanted


def _schedule_troubles(spec: RepositoryExchangeSpec) -> Iterator[Trouble]:
    for way, travel in (("push", spec.push), ("pull", spec.pull)):
        for trouble in cron_troubles(travel.schedule):
            yield Trouble((way, *trouble.loc), trouble.message, trouble.hint)


def _peer_troubles(spec: RepositoryExchangeSpec) -> Iterator[Trouble]:
    for name, count in Counter(peer.name for peer in spec.peers).items():
        if count > 1:
            at = max(n for n, peer in enumerate(spec.peers) if peer.name == name)
            yield Trouble(("peers", at, "name"), f"{name} stands {count} times", "give each peer its own name")
    for at, peer in enumerate(spec.peers):
        if peer.url.startswith("http:") and not peer.network.internal:  # the key and every document would be readable
            yield Trouble(("peers", at, "url"), "is not encrypted", "https, or network: {internal: [...]}")
    for way in ("push", "pull"):
        if spec.travel(way).schedule and not any(way in peer.ways for peer in spec.peers):
            yield Trouble((way, "schedule"), f"no peer is for {way}", "add it to the ways of a peer, or drop this")
