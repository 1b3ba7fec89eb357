"""What the how-tos say of the page is so: its address, the command that lets somebody in, languages, scopes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from sync_assets.gateway.access import COOKIE
from sync_assets_tests.fix_docs import ROOT, Page
from sync_assets_tests.fix_pages import PASSWORD, Reader

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import GatewayProcess
    from sync_assets_tests.fix_pages_real import Pair

HOW_TO = ROOT / "docs" / "how-to"
PAGES = (Page(HOW_TO / "gateway.md"), Page(HOW_TO / "exchange.md"))
SHOWN = re.compile(r"`http://127\.0\.0\.1:8420(/[^`]*)`")


def _section(page: Page) -> str:
    """The one that tells of the page."""
    return re.split(r"\n## (?:The|On the) page\n", page.text)[1].partition("\n## ")[0]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_whoever_follows_the_how_to_is_in(gateway_process: GatewayProcess, page: Page) -> None:
    told = _section(page)
    [path] = SHOWN.findall(told)
    [command] = re.findall(r"^sync-assets (users add .+)$", told, re.MULTILINE)
    words = [*command.split(), "--stdin"]  # it asks for the password otherwise
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", *words], cwd=gateway_process.folder, check=False,
        env=gateway_process.environment, input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with httpx.Client(base_url=gateway_process.gateway.url, trust_env=False, timeout=30) as http:
        reader = Reader(http)
        led = reader.see(path)
        assert (led.status_code, led.headers["location"]) == (303, "/pages/login")
        assert reader.sign_in(words[2]).headers["location"] == path
        assert "Exchange documents" in reader.see(path).text
        for language in re.findall(r"`(/pages\?lang=\w+)`", told):
            assert f'<html lang="{language[-2:]}' in reader.see(language).text
        [session] = [cookie for cookie in http.cookies.jar if cookie.name == COOKIE]
        assert session.expires is not None and abs(session.expires - time.time() - 8 * 3600) < 120


@pytest.mark.parametrize(
    ("scopes", "push", "pull", "clear"),
    [
        (("read:*",), False, False, False),
        (("read:1", "write:1"), True, False, False),
        (("read:*", "write:*"), True, True, False),
        (("read:1", "write:1", "clear:1"), True, False, True),
    ],
    ids=lambda one: "+".join(one) if isinstance(one, tuple) else "",
)
def test_the_table_of_scopes_is_true(pair: Pair, scopes: tuple[str, ...], push: bool, pull: bool, clear: bool) -> None:
    assert pair.repository == 1
    pair.here.user(*scopes, name="lin")
    with httpx.Client(base_url=pair.here.gateway.url, trust_env=False, timeout=30) as http:
        reader = Reader(http)
        reader.sign_in("lin")
        chosen = reader.see("/pages?peer=there&repository=1").text
        assert ("<button>Push to" in chosen, 'name="clear"' in chosen) == (push, clear)
        assert (reader.see("/pages?peer=there&direction=pull").status_code == 200) is pull
