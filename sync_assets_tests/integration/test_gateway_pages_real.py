"""The page over real gateways: two installations exchange, by nothing but links and forms."""

from __future__ import annotations

import re

import httpx
import pytest

from sync_assets.gateway.settings import Limits
from sync_assets_tests.fix_gateway import Gateway, Gateways
from sync_assets_tests.fix_pages import PASSWORD, Reader, form_of
from sync_assets_tests.fix_pages_real import DOCUMENTS, Pair

CHOSEN = "/pages?peer=there&repository={}"


def _push(pair: Pair, **changed: str | list[str]) -> httpx.Response:
    reader = pair.here.reader
    return reader.send(reader.see(CHOSEN.format(pair.repository)), "/pages/start", **changed)


def test_pushed_then_pushed_again_then_pulled_back(pair: Pair) -> None:
    here, there = pair.here, pair.there
    page = here.ended(_push(pair).headers["location"])
    assert page.count('class="state succeeded"') == DOCUMENTS
    received = there.library.repositories()[0].repository_id
    first = there.texts(received)
    assert first == here.texts(pair.repository)
    assert len(first) == DOCUMENTS
    before = there.gateway.dump()["exchange_document"]
    here.ended(_push(pair).headers["location"])
    assert there.gateway.dump()["exchange_document"] == before, "nothing is doubled, no time stamp changes"

    shown = here.reader.see("/pages?peer=there&direction=pull")
    assert f"repository={received}" in shown.text
    chosen = here.reader.see(f"/pages?peer=there&direction=pull&repository={received}")
    here.ended(here.reader.send(chosen, "/pages/start").headers["location"])
    assert len(here.library.repositories()) == 1, "it is known that it came from here"
    history = here.reader.see("/pages/history").text
    assert history.count('class="state completed"') == 3
    assert history.count("<bdi>ada</bdi></td>") == 3


def test_clearing_takes_what_the_push_did_not_bring(pair: Pair) -> None:
    pair.here.ended(_push(pair).headers["location"])
    ids = [d.document_id for d, _ in pair.here.library.documents(pair.repository)][:2]
    name = pair.here.library.repositories()[0].name
    some = {"what": "some", "document": [str(id) for id in ids], "clear": "yes"}
    assert _push(pair, **some, typed="another").status_code == 400
    received = pair.there.library.repositories()[0].repository_id
    assert len(pair.there.texts(received)) == DOCUMENTS
    page = pair.here.ended(_push(pair, **some, typed=name).headers["location"])
    assert len(pair.there.texts(received)) == 2
    assert f"documents {DOCUMENTS - 2}" in page


def test_a_document_is_read_here_and_its_text_is_text(pair: Pair) -> None:
    document = pair.here.library.documents(pair.repository)[0][0]
    answer = pair.here.reader.see(f"/repo/{pair.repository}/doc/{document.document_id}")
    assert answer.status_code == 200
    assert "文档</pre>" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_rights_are_those_of_the_user(pair: Pair) -> None:
    pair.here.user(f"read:{pair.repository}", name="eve")
    eve = Reader(httpx.Client(base_url=pair.here.gateway.url, trust_env=False, timeout=30))
    with eve.http:
        assert eve.sign_in("eve").status_code == 303
        page = eve.see(CHOSEN.format(pair.repository))
        assert page.status_code == 200
        before = pair.here.gateway.dump()
        assert eve.send(page, "/pages/start").status_code == 404
        assert eve.see("/pages?peer=there&direction=pull").status_code == 403
        assert pair.here.gateway.dump() == before
        location = _push(pair).headers["location"]
        assert eve.see(location).status_code == 200, "who may read a repository may see where it went"
        pair.here.user("read:999", name="mallory")
        assert eve.sign_in("mallory").status_code == 303
        assert eve.see(location).status_code == 404
        assert eve.see(CHOSEN.format(pair.repository)).status_code == 404
    pair.here.ended(location)


def test_a_peer_that_refuses_our_key_is_said_to(pair: Pair) -> None:
    placed = pair.here.services.peers()["there"]
    key = pair.there.gateway.rows("select key_id from sync_assets.gateway_key")[0][0]
    pair.there.gateway.keys.revoke(key, by="test")
    page = pair.here.reader.see("/pages?peer=there&direction=pull")
    assert (page.status_code, "could not be asked" in page.text) == (200, True)
    assert placed.open_key is not None
    assert placed.open_key() not in page.text
    text = pair.here.ended(_push(pair).headers["location"])
    assert 'class="state failed"' in text


def test_a_login_that_was_ended_elsewhere_counts_no_more(pair: Pair) -> None:
    assert pair.here.reader.see("/pages").status_code == 200
    pair.here.gateway.users.disable("ada", by="test")
    assert pair.here.reader.see("/pages").headers["location"] == "/pages/login"


def test_signing_out_ends_it_at_the_gateway(pair: Pair) -> None:
    reader = pair.here.reader
    kept = dict(reader.http.cookies)
    assert reader.send(reader.see("/pages"), "/pages/logout").status_code == 303
    reader.http.cookies.update(kept)
    assert reader.see("/pages").status_code == 303


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_another_site_starts_nothing(pair: Pair, headers: dict[str, str]) -> None:
    """Even with the token of the form: nothing but our own pages is believed."""
    reader = pair.here.reader
    fields = form_of(reader.see(CHOSEN.format(pair.repository)).text, "/pages/start")
    before = pair.here.gateway.dump()
    answer = reader.http.post("/pages/start", data=fields, headers={"Accept": "text/html", **headers})
    assert answer.status_code == 403
    assert pair.here.gateway.dump() == before


def test_every_page_of_a_stranger_is_the_sign_in(gateway: Gateway) -> None:
    with gateway.client() as http:
        for path in ("/", "/pages", "/pages/history", "/pages/sync/x", "/repo/1/doc/1"):
            answer = http.get(path, headers={"Accept": "text/html"})
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/pages/login")
        assert http.get("/pages").status_code == 401, "a program is told so"
        for path in ("/pages/start", "/pages/logout"):
            assert http.post(path, data={"token": ""}).status_code == 401
        files = re.findall(r'(?:src|href)="(/pages/static/[^"]+)"', http.get("/pages/login").text)
        assert len(files) == 3
        assert {http.get(file).status_code for file in files} == {200}


def test_attempts_to_sign_in_are_paced_together_with_those_of_programs(gateways: Gateways) -> None:
    """A door beside the one that is watched would be no use."""
    gateway = gateways(Limits(logins=0.01, logins_burst=3))
    gateway.users.add("ada", PASSWORD, ["read"], by="test")
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=30) as http:
        reader = Reader(http)
        assert reader.sign_in(password="wrong").status_code == 403
        for _ in range(2):
            http.post("/api/v1/auth/login", json={"name": "ada", "password": "wrong"})
        later = reader.sign_in()
        assert (later.status_code, int(later.headers["retry-after"]) > 0) == (429, True)


def test_behind_a_proxy_with_tls_the_session_travels_over_tls_only(gateways: Gateways) -> None:
    gateway = gateways(proxies=("127.0.0.1",))
    gateway.users.add("ada", PASSWORD, ["read"], by="test")
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=30) as http:
        http.headers["X-Forwarded-Proto"] = "https"
        page = http.get("/pages/login")
        assert "Secure" in page.headers["set-cookie"]
        fields = {**form_of(page.text, "/pages/login"), "name": "ada", "password": PASSWORD}
        name, _, rest = page.headers["set-cookie"].partition("=")
        tie = {"Cookie": f"{name}={rest.partition(';')[0]}"}
        cookies = http.post("/pages/login", data=fields, headers=tie).headers.get_list("set-cookie")
        assert len(cookies) == 2
        assert all("Secure" in cookie and "HttpOnly" in cookie for cookie in cookies)
