"""The page without a script: what it shows, to whom, and what its forms do.

A browser is in `test_gateway_pages_browser`, which is collected only where a Chromium is: what the page shows and does
is tested here as HTTP and HTML besides.
"""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sync_assets.engine.errors import RejectRow, Stop
from sync_assets.exchange.work import Direction, DocumentOutcome, Order, SyncStatus, Unit, UnitStatus
from sync_assets.gateway.access import COOKIE
from sync_assets.gateway.pages.rendering import POLICY
from sync_assets_tests.fix_pages import HOSTILE, PASSWORD, HandDesk, Reader, filled, form_of, query_of, reader_of

PAGES = (
    "/pages",
    "/pages?peer=berlin",
    "/pages?peer=berlin&repository=7",
    "/pages?peer=berlin&direction=pull&repository=7",
    "/pages/sync/sync-in_progress",
    "/pages/sync/sync-partial?show=failed",
    "/pages/sync/sync-failed",
    "/pages/history",
    "/repo/7/doc/1",
)
CHOSEN = "/pages?peer=berlin&repository=7"


class Page(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("path", [*PAGES, "/", "/pages/sync/never", "/repo/7/doc/999"])
def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_told_nothing(reader: Reader, path: str) -> None:
    answer = reader.see(path)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/pages/login")
    assert answer.content == b""


def test_after_the_sign_in_one_is_where_one_wanted_to_be(reader: Reader) -> None:
    wanted = "/pages/sync/sync-failed?show=failed"
    answer = reader.sign_in(path=reader.see(wanted).headers["location"])
    assert (answer.status_code, answer.headers["location"]) == (303, wanted)
    assert reader.see(wanted).status_code == 200


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/pages", "/\\evil.example", "/pages/../..//evil.example\n",
     "/pages/logout", "/api/openapi.json", "javascript:alert(1)", "/pages\\@evil"],
)  # fmt: skip
def test_a_sign_in_leads_to_our_pages_only(reader: Reader, target: str) -> None:
    page = reader.see("/pages/login")
    fields = {"name": "ada", "password": PASSWORD, "next": target}
    assert reader.send(page, "/pages/login", **fields).headers["location"] == "/pages"


def test_the_session_is_out_of_reach_of_scripts_and_of_other_sites(reader: Reader) -> None:
    cookies = reader.sign_in().headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in cookie and "SameSite=strict" in cookie for cookie in cookies)


def test_a_wrong_password_and_too_many_attempts(reader: Reader) -> None:
    refused = reader.sign_in(password="wrong")
    assert refused.status_code == 403
    assert COOKIE not in refused.headers.get("set-cookie", "")
    for _ in range(4):
        reader.sign_in(password="wrong")
    later = reader.sign_in()
    assert (later.status_code, later.headers["retry-after"]) == (429, "33")
    assert "33 seconds" in later.text


def test_signing_out_ends_the_session(desk: HandDesk, ada: Reader) -> None:
    answer = ada.send(ada.see("/pages"), "/pages/logout")
    assert answer.headers["location"] == "/pages/login?ended=1"
    assert desk.ended == ["refresh-ada"]
    assert ada.see("/pages").status_code == 303


@pytest.mark.parametrize(
    ("headers", "fields"),
    [({}, {"token": ""}), ({}, {"token": "0" * 64}), ({"Content-Type": "text/plain"}, {})],
)
def test_a_form_that_is_not_ours_changes_nothing(
    desk: HandDesk, ada: Reader, headers: dict[str, str], fields: dict[str, str]
) -> None:
    ours = form_of(ada.see(CHOSEN).text, "/pages/start")
    answer = ada.http.post("/pages/start", data={**ours, **fields}, headers={"Accept": "text/html", **headers})
    assert answer.status_code in (400, 403)
    assert desk.orders == []
    ada.http.post("/pages/logout", data={**ours, **fields}, headers=headers)
    assert desk.ended == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_nobody_is_signed_in_by_another_site(desk: HandDesk, reader: Reader, headers: dict[str, str]) -> None:
    fields = {**form_of(reader.see("/pages/login").text, "/pages/login"), "name": "mallory"}
    answer = reader.http.post(
        "/pages/login", data={**fields, "password": PASSWORD}, headers={"Accept": "text/html", **headers}
    )
    assert (answer.status_code, desk.sessions) == (403, {})


def test_nobody_is_signed_in_with_a_form_of_another_browser(desk: HandDesk, reader: Reader) -> None:
    page = reader.see("/pages/login")
    reader.http.cookies.clear()
    fields = {"name": "mallory", "password": PASSWORD}
    assert reader.send(page, "/pages/login", **fields).status_code == 403
    assert desk.sessions == {}


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_whatever_a_title_holds_it_is_text(ada: Reader, path: str, language: str) -> None:
    """Every element is one of ours, with our attributes; hostile titles are in the text, letter by letter."""
    answer = ada.see(path, **{"Accept-Language": language})
    assert answer.status_code == 200
    page = Page(answer.text)
    assert [s["src"] for s in page.all("script")] == [s["src"] for s in Page(ada.see("/pages").text).all("script")]
    assert not page.all("img")
    assert not page.all("style")
    attributes = {name for _, given in page.elements for name in given}
    assert not {name for name in attributes if name.startswith("on") or name == "style"}
    links = [str(given["href"]) for given in page.all("a")]
    assert all(link.startswith(("/", "#", "https://berlin.example.org/repo/7/doc/")) for link in links)


def test_hostile_titles_are_shown_whole(ada: Reader) -> None:
    for path in (CHOSEN, "/pages?peer=berlin&direction=pull&repository=7", "/pages/sync/sync-partial"):
        text = Page(ada.see(path).text).text
        assert set(filter(None, HOSTILE)) <= set(text)


@pytest.mark.parametrize("path", [*PAGES, "/pages/login"])
def test_nothing_inline_may_run_and_nothing_is_kept(ada: Reader, path: str) -> None:
    headers = ada.see(path).headers
    assert headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert headers["cache-control"] == "no-store"


def test_a_title_leads_to_its_document(ada: Reader) -> None:
    links = [str(a["href"]) for a in Page(ada.see(CHOSEN).text).all("a")]
    assert "/repo/7/doc/1" in links
    answer = ada.see("/repo/7/doc/1")
    assert "".join(Page(answer.text).text).count(HOSTILE[0]) == 3  # title, heading and text
    far = [str(a["href"]) for a in Page(ada.see("/pages?peer=berlin&direction=pull&repository=7").text).all("a")]
    assert "https://berlin.example.org/repo/7/doc/1" in far


@pytest.mark.parametrize(
    "path",
    ["/repo/7/doc/999", "/repo/9/doc/1", "/repo/x/doc/1", "/repo/7/doc/-1", "/repo/99999999999999999999/doc/1",
     "/repo/7/doc/\u0661", "/pages/sync/never", "/pages?peer=nobody", "/pages?peer=berlin&repository=99"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(ada: Reader, path: str) -> None:
    answer = ada.see(path)
    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]


def test_what_is_not_for_somebody_is_not_found_either(desk: HandDesk, reader: Reader) -> None:
    desk.scopes = ("read:8",)
    reader.sign_in()
    assert "handbook" not in reader.see("/pages?peer=berlin").text
    missing = reader.see("/pages/sync/never").text
    for path in (CHOSEN, "/repo/7/doc/1", "/pages/sync/sync-partial"):
        answer = reader.see(path)
        assert answer.status_code == 404
        assert _without_paths(answer.text) == _without_paths(missing)
    assert "handbook" not in reader.see("/pages/history").text
    assert reader.see("/pages?peer=berlin&direction=pull").status_code == 403


def _without_paths(text: str) -> str:
    return re.sub(r'href="[^"]*"', "", text)


# -- forms ----------------------------------------------------------------------------------------------------------


def test_all_documents_are_pushed(desk: HandDesk, ada: Reader) -> None:
    answer = ada.send(ada.see(CHOSEN), "/pages/start")
    assert (answer.status_code, answer.headers["location"]) == (303, "/pages/sync/s1")
    assert desk.orders == [Order(Direction.PUSH, "berlin", 7, asked_by="user:ada")]


def test_some_documents_are_pulled(desk: HandDesk, ada: Reader) -> None:
    page = ada.see("/pages?peer=berlin&direction=pull&repository=7")
    ada.send(page, "/pages/start", what="some", document=["3", "1"])
    assert desk.orders == [Order(Direction.PULL, "berlin", 7, (3, 1), asked_by="user:ada")]


def test_ticks_do_not_count_when_all_are_wanted(desk: HandDesk, ada: Reader) -> None:
    ada.send(ada.see(CHOSEN), "/pages/start", document=["3"])
    assert desk.orders[0].document_ids == ()


def test_some_documents_and_none_ticked_is_no_order(desk: HandDesk, ada: Reader) -> None:
    answer = ada.send(ada.see(CHOSEN), "/pages/start", what="some")
    assert (answer.status_code, desk.orders) == (400, [])
    assert "No document is ticked" in answer.text


@pytest.mark.parametrize("typed", ["", "Handbook", "handbook2", "7"])
def test_clearing_needs_the_name_of_the_repository(desk: HandDesk, ada: Reader, typed: str) -> None:
    answer = ada.send(ada.see(CHOSEN), "/pages/start", clear="yes", typed=typed, what="some", document=["3", "5"])
    assert (answer.status_code, desk.orders) == (400, [])
    assert "Nothing was started" in answer.text
    again = form_of(answer.text, "/pages/start")
    assert (again["clear"], again["what"]) == ("yes", "some"), "what was chosen is chosen still"
    ticked = [b["value"] for b in Page(answer.text).all("input") if b.get("name") == "document" and "checked" in b]
    assert ticked == ["3", "5"]


def test_clearing_with_the_name_typed(desk: HandDesk, ada: Reader) -> None:
    ada.send(ada.see(CHOSEN), "/pages/start", clear="yes", typed=" handbook ")
    assert (desk.orders[0].replace, desk.orders[0].confirm) == (True, True)


def test_without_the_right_to_clear_it_is_not_offered(desk: HandDesk, reader: Reader) -> None:
    desk.scopes = ("read:*", "write:*")
    reader.sign_in()
    page = reader.see(CHOSEN)
    assert "clear" not in {given.get("name") for given in Page(page.text).all("input")}
    assert "You may not clear" in page.text


def test_without_the_right_to_exchange_there_is_no_button(desk: HandDesk, reader: Reader) -> None:
    desk.scopes = ("read:*",)
    reader.sign_in()
    page = reader.see(CHOSEN)
    assert "but not exchange it" in page.text
    assert len(Page(page.text).all("button")) == 2, "to show repositories, and to sign out"


def test_two_tabs_can_both_sign_in(reader: Reader) -> None:
    first, _ = reader.see("/pages/login"), reader.see("/pages/login")
    assert reader.send(first, "/pages/login", name="ada", password=PASSWORD).status_code == 303


@pytest.mark.parametrize("number", ["0x7", "", "7 or 1=1", "-3", "\u0663"])
def test_an_id_that_is_none_is_no_order(desk: HandDesk, ada: Reader, number: str) -> None:
    answer = ada.send(ada.see(CHOSEN), "/pages/start", what="some", document=[number])
    assert (answer.status_code, desk.orders) == (400, [])


def test_a_sync_that_runs_already_is_shown(desk: HandDesk, ada: Reader) -> None:
    desk.running = "sync-in_progress"
    answer = ada.send(ada.see(CHOSEN), "/pages/start")
    assert answer.headers["location"].startswith("/pages/sync/sync-in_progress?")
    assert query_of(answer) == {"running": ["1"]}
    assert "going on already" in ada.see(answer.headers["location"]).text


def test_a_peer_that_does_not_answer_is_said_to(desk: HandDesk, ada: Reader) -> None:
    desk.far.broken = True
    page = ada.see("/pages?peer=berlin&direction=pull")
    assert page.status_code == 200
    assert "peer berlin does not answer" in page.text
    assert "is it running?" in page.text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_error_is_told_in_the_readers_words_and_in_its_own(desk: HandDesk, ada: Reader, language: str) -> None:
    """Of a peer that cannot be asked, of a start that is refused, of a sync, of a document."""
    chinese = language == "zh"
    desk.far.broken = True
    page = ada.see(f"/pages?peer=berlin&direction=pull&lang={language}").text
    assert ("连接不上" in page, "peer berlin does not answer" in page, "is it running?" in page) == (
        chinese,
        True,
        True,
    )
    desk.refusal = Stop("a chosen document is not of this repository", hint="choose", code="unknown_document")
    page = ada.send(ada.see("/pages?peer=berlin&repository=7"), "/pages/start").text
    assert ("有所选文档不属于此仓库" in page, "a chosen document is not" in page) == (chinese, True)
    why = str(RejectRow("the peer refuses it", code="other_repository"))
    unit = Unit(1, 1, "task", UnitStatus.FAILED, 1, why, (DocumentOutcome(1, "x", UnitStatus.FAILED, why),))
    desk.add_sync("s", SyncStatus.FAILED, ["x"], error="peer berlin, ping: HTTP 401 [http_401] -> check the key")
    desk.syncs.outcomes["s"] = [unit]
    page = ada.see("/pages/sync/s").text
    assert ("对端不认可我们的密钥" in page, "HTTP 401 [http_401] -&gt; check the key" in page) == (chinese, True)
    assert ("属于另一个仓库" in page, "the peer refuses it [other_repository]" in page) == (chinese, True)


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("user:ada", "<bdi>ada</bdi>"),
        ("key:<b>", "key &lt;b&gt;"),
        ("mei (command line)", "mei (command line)"),
        ("", ""),
    ],
)
def test_who_began_a_sync_is_named_as_people_are(desk: HandDesk, ada: Reader, asked: str, shown: str) -> None:
    state = desk.syncs.states["sync-failed"]
    desk.syncs.states["sync-failed"] = replace(state, order=replace(state.order, asked_by=asked))
    for path in ("/pages/sync/sync-failed", "/pages/history"):
        assert shown in ada.see(path).text


def test_a_sync_that_ended_before_anything_was_listed_shows_no_progress(desk: HandDesk, ada: Reader) -> None:
    desk.add_sync("s", SyncStatus.FAILED, [], error="no connection")
    page = ada.see("/pages/sync/s").text
    assert "<progress" not in page and "ended before any task" in page
    desk.add_sync("s", SyncStatus.IN_PROGRESS, [])
    assert "listing the tasks" in ada.see("/pages/sync/s").text


def test_a_peer_is_not_offered_for_what_it_is_not_for(ada: Reader) -> None:
    assert "not configured for this direction" in ada.see("/pages?peer=shanghai&direction=pull").text


# -- following ------------------------------------------------------------------------------------------------------


def test_progress_is_the_part_that_changes(ada: Reader) -> None:
    part = ada.see("/pages/sync/sync-in_progress/progress").text
    assert 'data-going="yes"' in part
    assert "<html" not in part
    page = ada.see("/pages/sync/sync-in_progress").text
    assert part.strip() in page
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page
    ended = ada.see("/pages/sync/sync-completed").text
    assert 'data-going="no"' in ended
    assert "http-equiv" not in ended


def test_every_document_has_its_outcome(ada: Reader) -> None:
    page = ada.see("/pages/sync/sync-partial").text
    assert page.count("<tbody>") == len(HOSTILE)
    failed = ada.see("/pages/sync/sync-partial?show=failed").text
    assert failed.count("<tbody>") == 4
    assert failed.count("refused: ") == 4


def test_a_failed_sync_says_why_and_what_was_cleared(ada: Reader) -> None:
    text = "".join(Page(ada.see("/pages/sync/sync-failed").text).text)
    assert HOSTILE[0] in text
    assert "tasks 1, documents 2, usages 3" in text


def test_history_by_peer_and_direction(ada: Reader) -> None:
    assert ada.see("/pages/history").text.count("<tr>") == 5
    assert ada.see("/pages/history?direction=push&peer=berlin").text.count("<tr>") == 5
    for query in ("direction=pull", "peer=shanghai"):
        assert "No sync fits this filter" in ada.see(f"/pages/history?{query}").text


def test_a_thousand_documents() -> None:
    desk = filled(1000)
    with reader_of(desk) as reader:
        reader.sign_in()
        page = reader.see(CHOSEN)
        assert sum(b.get("name") == "document" for b in Page(page.text).all("input")) == 1000
        assert len(page.content) < 1_000_000
        reader.send(page, "/pages/start", what="some", document=[str(n) for n in range(1, 1001)])
        assert len(desk.orders[0].document_ids) == 1000
        assert reader.see("/pages/sync/sync-partial").text.count("<tbody>") == 1000


# -- languages ------------------------------------------------------------------------------------------------------


def test_the_language_of_the_browser_then_the_chosen_one(ada: Reader) -> None:
    assert '<html lang="en">' in ada.see("/pages").text
    assert '<html lang="zh-CN">' in ada.see("/pages", **{"Accept-Language": "zh-TW,zh;q=0.9,en;q=0.8"}).text
    switch = next(a for a in Page(ada.see(CHOSEN).text).all("a") if a.get("hreflang") == "zh")
    page = ada.see(str(switch["href"]))
    assert "“handbook”的文档" in page.text, "the same page, in the other language"
    assert '<html lang="zh-CN">' in ada.see("/pages", **{"Accept-Language": "en"}).text


def test_the_sign_in_speaks_both(reader: Reader) -> None:
    assert "Sign in" in reader.see("/pages/login?lang=en").text
    assert "登录" in reader.see("/pages/login?lang=zh").text


def test_files_of_the_page_are_for_everybody(reader: Reader) -> None:
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        answer = reader.see(f"/pages/static/{name}")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
    for name in ("..%2fdesk.py", "page.html", "..", "%2e%2e/desk.py"):
        assert reader.see(f"/pages/static/{name}").status_code in (303, 404)
