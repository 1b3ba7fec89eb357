"""What a check says of each thing that can be wrong in Feishu, before anything is written."""

from __future__ import annotations

import contextlib

import pytest

from sync_assets.feishu.bitable import Base
from sync_assets.feishu.check import check_app, check_board
from sync_assets.feishu.client import FeishuClient
from sync_assets.feishu.link import parse_link

FIELDS = [{"field_name": "名", "type": 1}, {"field_name": "n", "type": 2}]


@pytest.fixture
def place(bitable):
    base = bitable.make_base("店铺", [{"name": "订单", "fields": FIELDS}])
    return base, bitable.describe(base)["tables"][0]["table_id"]


def look(bitable, url, app=None):
    app_id, secret = app or (bitable.app_id, bitable.app_secret)
    with FeishuClient(app_id, lambda: secret, bitable.url, sleep=lambda _: None) as client:
        return check_board(client, parse_link(url))


def test_all_is_well_and_nothing_was_written(bitable, place):
    before = bitable.describe(place[0])
    found = look(bitable, bitable.link(*place))
    assert [f.ok for f in found] == [True] * 6
    assert any("店铺" in f.what for f in found) and any("订单" in f.what for f in found)
    assert bitable.describe(place[0]) == before
    assert set(bitable.calls()) == {"token", "app_get", "tables_list", "fields_list", "search"}


def test_a_wrong_secret_is_tried_once(bitable, place):
    found = look(bitable, bitable.link(*place), (bitable.app_id, "wrong"))
    assert [f.ok for f in found] == [False]
    assert "10015" in found[0].what and "app_secret" in found[0].hint
    assert bitable.count() == 1


def test_an_unknown_app(bitable, place):
    found = look(bitable, bitable.link(*place), ("cli_unknown", "x"))
    assert [f.ok for f in found] == [False] and "10003" in found[0].what


@pytest.mark.parametrize(
    ("spoil", "code", "hint"),
    [
        (lambda b, base: b.set_permission(base, right=""), "91403", "添加文档应用"),
        (lambda b, base: b.configure(scopes=()), "99991672", "权限管理"),
    ],
)
def test_rights_that_are_missing(bitable, place, spoil, code, hint):
    spoil(bitable, place[0])
    app = bitable.make_app(scopes=()) if code == "99991672" else None
    found = look(bitable, bitable.link(*place), app)
    assert not found[-1].ok and code in found[-1].what and hint in found[-1].hint


def test_a_wiki_token_used_as_that_of_a_base(bitable, place):
    node = bitable.make_node(place[0])
    found = look(bitable, f"{bitable.url}/base/{node}?table={place[1]}")
    assert not found[-1].ok and "91402" in found[-1].what and "/wiki/" in found[-1].hint
    assert all(f.ok for f in look(bitable, f"{bitable.url}/wiki/{node}?table={place[1]}"))


def test_a_wiki_page_that_the_app_may_not_read(bitable, place):
    node = bitable.make_node(place[0], members=False)
    found = look(bitable, f"{bitable.url}/wiki/{node}")
    assert not found[-1].ok and "131006" in found[-1].what


def test_a_table_that_does_not_exist_and_none_at_all(bitable, place):
    found = look(bitable, bitable.link(place[0], "tblNowhere"))
    assert not found[-1].ok and "tblNowhere" in found[-1].what
    found = look(bitable, bitable.link(place[0]))
    assert found[-1].ok and "table=tbl" in found[-1].hint


def test_advanced_permissions_that_hide_all_rows_are_a_warning(bitable, place):
    bitable.put_rows(*place, [{"名": "x"}])
    bitable.set_permission(place[0], advanced=True, sees_rows=False)
    found = look(bitable, bitable.link(*place))
    assert found[-1].ok and "advanced permissions" in found[-1].hint


def test_nobody_answers_at_the_address():
    with FeishuClient("cli_x", lambda: "s", "http://127.0.0.1:9", sleep=lambda _: None) as client:
        found = check_app(client)
    assert [f.ok for f in found] == [False] and "no connection" in found[0].what and "firewall" in found[0].hint


def test_a_server_whose_certificate_nobody_vouches_for(tls_address):
    with FeishuClient("cli_x", lambda: "s", tls_address, sleep=lambda _: None) as client:
        found = check_app(client)
    assert not found[0].ok and "TLS" in found[0].what and "CA" in found[0].hint


@pytest.fixture
def tls_address(tmp_path):
    """A TLS listener with a certificate that it signed itself."""
    import socket
    import ssl
    import subprocess
    import threading

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def greet():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                context.wrap_socket(peer, server_side=True).close()

    thread = threading.Thread(target=greet, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_base_is_only_read(bitable, place):
    with FeishuClient(bitable.app_id, lambda: bitable.app_secret, bitable.url) as client:
        assert Base(client, place[0]).info()["name"] == "店铺"
