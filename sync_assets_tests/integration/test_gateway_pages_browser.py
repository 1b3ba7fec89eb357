"""The page in a real headless Chromium: collected only where one is found (apt-get install chromium), because not every
machine of a CI has one. What is shown and done is tested without a browser in `test_gateway_pages`, too."""

from __future__ import annotations

import pytest

from sync_assets.exchange.work import Direction, Order, SyncStatus
from sync_assets_tests.fix_chromium import CHROMIUM, Browser, chromium
from sync_assets_tests.fix_pages import PASSWORD, HandDesk, filled, served
from sync_assets_tests.fix_pages_real import DOCUMENTS, Pair

__test__ = CHROMIUM is not None

FIRST_DOCUMENT = "#documents tr:nth-child(1) input"
# The lowest contrast of any text on the page against what lies behind it (WCAG 2.2, 1.4.3), and where.
CONTRAST = """(() => {
  const part = (v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
  const light = (c) => .2126 * part(c[0]) + .7152 * part(c[1]) + .0722 * part(c[2]);
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (it) => { for (; it; it = it.parentElement) {
    const c = colour(getComputedStyle(it).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  let lowest = [99, ''];
  for (const it of document.querySelectorAll('body *')) {
    if (!it.offsetParent || ![...it.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(colour(getComputedStyle(it).color)), light(behind(it))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < lowest[0]) lowest = [ratio, it.outerHTML.slice(0, 120)];
  }
  return lowest; })()"""


def _sign_in(browser: Browser, url: str, path: str = "/pages") -> None:
    browser.go(url + path)
    browser.until("document.activeElement.name === 'name'")
    browser.type("ada")
    browser.press("Tab")
    browser.type(PASSWORD)
    browser.press("Enter")
    browser.until(f"location.pathname + location.search === {path!r}")


def _choose(browser: Browser, url: str) -> None:
    browser.go(f"{url}/pages?peer=berlin&repository=7")


def test_from_the_sign_in_to_each_documents_outcome(browser: Browser, desk: HandDesk) -> None:
    with served(desk) as url:
        _sign_in(browser, url)
        browser.click("form[action='/pages'] button")
        browser.until("document.querySelector('tbody th a')?.textContent === 'handbook'")
        browser.click("tbody th a")
        browser.until("document.querySelectorAll('#documents tr').length === 12")
        browser.click(FIRST_DOCUMENT)
        browser.click("#documents tr:nth-child(3) input")
        assert browser.evaluate("document.getElementById('ticked').textContent") == "2"
        assert browser.evaluate("document.querySelector('input[name=what]:checked').value") == "some"
        browser.click("#start > p button")
        browser.until("location.pathname === '/pages/sync/s1'")
        assert desk.orders == [Order(Direction.PUSH, "berlin", 7, (1, 3), asked_by="user:ada")]

        desk.add_sync("s1", SyncStatus.IN_PROGRESS, [f"part {n}" for n in range(6)], current="<i>now</i>")
        browser.until("document.querySelector('#progress').textContent.includes('<i>now</i>')")
        assert browser.evaluate("document.querySelector('progress').value") == 6
        desk.add_sync("s1", SyncStatus.PARTIAL, [f"part {n}" for n in range(6)])
        browser.until(
            "document.querySelectorAll('.outcomes tbody').length === 6 && !document.querySelector('#live + .hint')"
        )
        assert browser.evaluate("document.querySelectorAll('.outcomes .state.failed').length") == 2
    assert browser.complaints == []


def test_clearing_says_what_it_does_and_wants_the_name(browser: Browser, desk: HandDesk) -> None:
    with served(desk) as url:
        _sign_in(browser, url)
        _choose(browser, url)
        warning = "document.getElementById('clear-warning').offsetParent !== null"
        assert not browser.evaluate(warning)
        browser.click("#clear")
        assert browser.evaluate(warning)
        assert not browser.evaluate("document.getElementById('clear-subset').offsetParent !== null")
        browser.click(FIRST_DOCUMENT)
        assert browser.evaluate("document.getElementById('clear-subset').offsetParent !== null")
        browser.click("#start > p button")
        assert browser.evaluate("document.activeElement.name") == "typed", "the browser asks for the name"
        browser.type("handbok")
        browser.click("#start > p button")
        browser.until("document.getElementById('wrong')?.textContent.includes('Nothing was started')")
        assert desk.orders == []
        assert browser.evaluate(f"document.querySelector({FIRST_DOCUMENT!r}).checked"), (
            "what was ticked is ticked still"
        )
        browser.click("input[name=typed]")
        browser.type("handbook")
        browser.press("Enter")
        browser.until("location.pathname === '/pages/sync/s1'")
        assert desk.orders[0].replace
    assert [c for c in browser.complaints if "400 (Bad Request)" not in c] == []


@pytest.mark.parametrize(
    "path",
    [
        "/pages?peer=berlin&repository=7",
        "/pages/sync/sync-partial",
        "/pages/sync/sync-failed",
        "/pages/history",
        "/repo/7/doc/2",
    ],
)
def test_hostile_titles_do_nothing(browser: Browser, desk: HandDesk, path: str) -> None:
    with served(desk) as url:
        _sign_in(browser, url)
        browser.go(url + path)
        assert browser.evaluate("document.title") != "owned"
        assert browser.evaluate("getComputedStyle(document.querySelector('h1')).display") == "block"
        assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "something is too wide"
    assert browser.complaints == []


@pytest.mark.parametrize("width", [420, 360])
def test_on_a_narrow_screen_nothing_lies_to_the_right(browser: Browser, desk: HandDesk, width: int) -> None:
    with served(desk) as url:
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        _sign_in(browser, url)
        for path in ("/pages?peer=berlin", "/pages?peer=berlin&repository=7", "/pages/sync/sync-partial",
                     "/pages/sync/sync-failed?show=failed", "/pages/history", "/repo/7/doc/2"):  # fmt: skip
            browser.go(url + path)
            wide = "[document.documentElement, ...document.querySelectorAll('.scroll, .card')]"
            assert browser.evaluate(f"{wide}.filter((it) => it.scrollWidth > it.clientWidth).length") == 0, path
        browser.go(f"{url}/pages?peer=berlin&repository=7")
        browser.click("#every")
        assert browser.evaluate("document.getElementById('ticked').textContent") == "12"


def test_what_was_pressed_says_so_until_the_answer_comes(browser: Browser, desk: HandDesk) -> None:
    with served(desk) as url:
        _sign_in(browser, url)
        browser.evaluate("document.querySelector('main form').addEventListener('submit', (it) => it.preventDefault())")
        browser.click("form[action='/pages'] button")
        browser.until("document.querySelector('main form button').disabled")
        assert browser.evaluate("document.querySelector('main form button').ariaBusy") == "true"
        browser.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow'))")
        assert not browser.evaluate("document.querySelector('main form button').disabled")


def test_nothing_inline_runs_whatever_gets_into_the_page(browser: Browser, desk: HandDesk) -> None:
    """The second wall, were the escaping to fail."""
    with served(desk) as url:
        _sign_in(browser, url)
        browser.until("document.body !== null")
        browser.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title = 1\">');"
            "const s = document.createElement('script'); s.textContent = 'document.title = 2'; document.body.append(s)"
        )
        browser.until("document.title.startsWith('Exchange')")
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read(browser: Browser, desk: HandDesk, dark: bool) -> None:
    with served(desk) as url:
        browser.dark(dark)
        _sign_in(browser, url)
        desk.add_sync("told", SyncStatus.FAILED, ["x"], error="peer berlin, ping: HTTP 401 [http_401] -> check the key")
        for path in ("/pages?peer=berlin&repository=7", "/pages/sync/sync-failed", "/pages/history", "/repo/7/doc/1",
                     "/pages/sync/told?lang=zh"):  # fmt: skip
            browser.go(url + path)
            ratio, where = browser.evaluate(CONTRAST)
            assert ratio >= 4.5, where
        browser.go(f"{url}/pages?peer=berlin&repository=7")
        browser.click("#clear")
        assert browser.evaluate(CONTRAST)[0] >= 4.5


def test_all_by_the_keyboard(browser: Browser, desk: HandDesk) -> None:
    """Tab reaches everything that can be done, in the order in which it is read, and shows where one is."""
    with served(desk) as url:
        _sign_in(browser, url)
        _choose(browser, url)
        seen = []
        browser.press("Tab")
        while browser.evaluate("document.activeElement !== document.body"):
            seen.append(browser.evaluate("document.activeElement.name || document.activeElement.className || "
                                         "document.activeElement.textContent.trim().slice(0, 20)"))  # fmt: skip
            assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            browser.press("Tab")
        assert seen[0] == "skip"
        order = [seen.index(name) for name in ("peer", "direction", "what", "document", "clear", "Push to Berlin <HQ>")]
        assert order == sorted(order)


def test_a_thousand_documents_can_be_filtered_and_ticked(browser: Browser) -> None:
    desk = filled(1000)
    with served(desk) as url:
        _sign_in(browser, url)
        _choose(browser, url)
        browser.click("#filter")
        browser.type("99")
        browser.until("[...document.querySelectorAll('#documents tr')].filter((row) => !row.hidden).length === 19")
        browser.click("#every")
        assert browser.evaluate("document.getElementById('ticked').textContent") == "19"
        browser.click("#start > p button")
        browser.until("location.pathname === '/pages/sync/s1'")
        assert len(desk.orders[0].document_ids) == 19


def test_a_browser_that_asks_for_chinese_gets_chinese(desk: HandDesk) -> None:
    with served(desk) as url, chromium("zh-CN,zh") as browser:
        _sign_in(browser, url)
        assert browser.evaluate("document.querySelector('h1').textContent") == "与另一套系统交换文档"
        browser.click(".languages a")
        browser.until("document.querySelector('h1')?.textContent.startsWith('Exchange documents')")
        browser.go(f"{url}/pages/history")
        assert browser.evaluate("document.querySelector('h1').textContent") == "History"


def test_a_session_that_ended_meanwhile_leads_to_the_sign_in(browser: Browser, desk: HandDesk) -> None:
    with served(desk) as url:
        _sign_in(browser, url)
        browser.go(f"{url}/pages/sync/sync-in_progress")
        desk.sessions.clear()
        browser.until("location.pathname === '/pages/login'")
        assert browser.evaluate("new URLSearchParams(location.search).get('next')") == "/pages/sync/sync-in_progress"


@pytest.mark.parametrize("script", [True, False])
def test_two_real_installations(pair: Pair, script: bool) -> None:
    """With a script and without one: from the sign-in to the outcome of each document."""
    with chromium("zh-CN", script) as browser:
        url = pair.here.gateway.url
        _sign_in(browser, url)
        browser.click("form[action='/pages'] button")
        browser.until("document.querySelector('tbody th a')?.textContent === 'repository 1'")
        browser.click("tbody th a")
        browser.until(f"document.querySelectorAll('#documents tr').length === {DOCUMENTS}")
        assert browser.evaluate("document.querySelector('#filter').offsetParent !== null") is script
        browser.click("#start > p button")
        browser.until(f"document.querySelectorAll('.outcomes .state.succeeded').length === {DOCUMENTS}")
        browser.until("document.querySelector('#progress')?.dataset.going === 'no'")
        assert len(pair.there.texts(pair.there.library.repositories()[0].repository_id)) == DOCUMENTS
        browser.click("header nav a:nth-of-type(2)")
        browser.until("document.querySelectorAll('.state.completed').length === 1")
        browser.click("header .leave button")
        browser.until("location.pathname === '/pages/login'")
    assert browser.complaints == []
