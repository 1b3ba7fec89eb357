"""Links as people paste them, right and wrong."""

from __future__ import annotations

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.feishu.link import Link, parse_link

CN, LARK = "https://open.feishu.cn", "https://open.larksuite.com"


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://acme.feishu.cn/base/bascnA1?table=tblB2&view=vewC3", Link(CN, "base", "bascnA1", "tblB2", "vewC3")),
        ("https://acme.feishu.cn/base/bascnA1", Link(CN, "base", "bascnA1")),
        ("  https://acme.feishu.cn/base/bascnA1/?table=tblB2#x \n", Link(CN, "base", "bascnA1", "tblB2")),
        ("https://acme.sg.larksuite.com/base/bascnA1?table=tblB2", Link(LARK, "base", "bascnA1", "tblB2")),
        ("https://acme.larkoffice.com/wiki/wikcnA1?table=tblB2", Link(CN, "wiki", "wikcnA1", "tblB2")),
        ("https://acme.feishu.cn/wiki/wikcnA1?from=x&table=tblB2", Link(CN, "wiki", "wikcnA1", "tblB2")),
        ("https://acme.feishu.cn/base/bascnA1_tblB2", Link(CN, "base", "bascnA1", "tblB2")),
        ("https://acme.feishu.cn/base/bascnA1_tblB2?table=tblC3", Link(CN, "base", "bascnA1", "tblC3")),
        ("http://127.0.0.1:8123/base/bascnA1?table=tblB2", Link("http://127.0.0.1:8123", "base", "bascnA1", "tblB2")),
        ("http://localhost:8123/wiki/wikcnA1", Link("http://localhost:8123", "wiki", "wikcnA1")),
    ],
)
def test_right_links(url, link):
    assert parse_link(url) == link


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "https://"),
        ("bascnA1", "https://"),
        ("http://acme.feishu.cn/base/bascnA1", "https://"),
        ("https://[bad/base/x", "no address"),
        ("https://acme.example.com/base/bascnA1", "host"),
        ("https://feishu.cn.evil.example/base/bascnA1", "host"),
        ("https://open.feishu.cn/base/bascnA1", "open platform"),
        ("https://acme.feishu.cn/sheets/shtcnA1", "spreadsheet"),
        ("https://acme.feishu.cn/docx/doxcnA1", "document"),
        ("https://acme.feishu.cn/share/base/form/shrcnA1", "shared form"),
        ("https://acme.feishu.cn/", "neither /base/ nor /wiki/"),
        ("https://acme.feishu.cn/base/", "missing"),
        ("https://acme.feishu.cn/base?table=tblB2", "missing"),
        ("https://acme.feishu.cn/base/../x", "signs"),
        ("https://acme.feishu.cn/base/bascnA1?table=blkB2", "dashboard"),
        ("https://acme.feishu.cn/base/bascnA1?table=wkfB2", "workflow"),
        ("https://acme.feishu.cn/base/bascnA1?table=ldxB2", "document"),
        ("https://acme.feishu.cn/base/bascnA1?table=Orders", "begins with tbl"),
        ("https://acme.feishu.cn/base/bascnA1?table=tblB2%2F..", "begins with tbl"),
    ],
)
def test_wrong_links_say_what_is_wrong_and_what_would_be_right(url, says):
    with pytest.raises(Stop) as caught:
        parse_link(url)
    assert says in str(caught.value)
    assert caught.value.hint
