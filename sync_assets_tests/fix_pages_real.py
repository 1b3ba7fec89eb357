"""Two real installations that exchange by their gateways, each a peer of the other, with somebody at the page."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import httpx
import pytest

from sync_assets.engine.errors import Stop
from sync_assets.exchange.model import Id
from sync_assets.gateway.services import Services
from sync_assets.project.deployment import PlacedExchange
from sync_assets.project.exchange.placed import PlacedPeer
from sync_assets.project.exchange_spec import RepositoryExchangeSpec
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets_tests.fix_exchange import fill
from sync_assets_tests.fix_gateway import Gateway, Gateways
from sync_assets_tests.fix_pages import PASSWORD, Reader

DOCUMENTS = 120
ALL = ("read:*", "write:*", "clear:*")


@dataclass
class Site:
    """One of two installations. `there` is what it calls the other."""

    gateway: Gateway
    reader: Reader

    @property
    def services(self) -> Services:
        assert self.gateway.services is not None
        return self.gateway.services

    @property
    def library(self) -> PostgresLibrary:
        return cast(PostgresLibrary, self.services.library)

    def user(self, *scopes: str, name: str = "ada") -> None:
        self.gateway.users.add(name, PASSWORD, scopes or ALL, by="test")

    def texts(self, repository: Id) -> list[tuple[object, ...]]:
        """All documents of a repository, without ids, which are each installation's own."""
        return self.gateway.rows(
            "select t.title, d.title, d.filename, d.content, d.version, t.doc_id = d.document_id, d.updated_at"
            "  from sync_assets.exchange_document d join sync_assets.exchange_task t using (task_id)"
            f" where d.repository_id = {int(repository)} order by 1, 2"
        )

    def ended(self, location: str) -> str:
        """The page of a sync, when it has ended."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            page = self.reader.see(location)
            assert page.status_code == 200, page.text
            if 'data-going="no"' in page.text:
                return page.text
            time.sleep(0.05)
        raise AssertionError(f"{location} did not end")


@dataclass
class Pair:
    here: Site
    there: Site
    repository: Id  # of `here`


def peer_of(gateway: Gateway, folder: Path, name: str, *scopes: str) -> PlacedPeer:
    """`gateway` as a peer, with a new key for it."""
    secret = folder / f"key-{uuid.uuid4().hex}"
    secret.write_text(gateway.key(*(scopes or ALL)), encoding="utf-8")
    secret.chmod(0o600)
    peer = {"name": name, "title": name.title(), "url": gateway.sync_url, "api_key": f"file:{secret}",
            "network": {"internal": ["127.0.0.0/8"]}}  # fmt: skip
    spec = RepositoryExchangeSpec.model_validate({"name": "pair", "peers": [peer]})
    return PlacedPeer(PlacedExchange(spec, ZoneInfo("Asia/Shanghai"), folder / "defs.yaml", "defs.yaml"), spec.peers[0])


@pytest.fixture
def pair(gateways: Gateways, tmp_path: Path) -> Iterator[Pair]:
    """`here` has one repository with `DOCUMENTS` documents; both have a user ada with all rights, signed in."""
    with ExitStack() as stack:
        sites = [_site(gateways(), stack) for _ in range(2)]
        for site, other in (sites, sites[::-1]):
            placed = peer_of(other.gateway, tmp_path, "there")
            site.services.peers = lambda placed=placed: {"there": placed}  # type: ignore[misc]
        yield Pair(sites[0], sites[1], fill(sites[0].library, 1, DOCUMENTS // 2, 2))


def _site(gateway: Gateway, stack: ExitStack) -> Site:
    http = stack.enter_context(httpx.Client(base_url=gateway.url, trust_env=False, timeout=30))
    site = Site(gateway, Reader(http))
    if gateway.services is None:
        raise Stop("a gateway in this process is needed")
    site.user()
    assert site.reader.sign_in().status_code == 303
    return site
