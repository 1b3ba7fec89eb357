"""The commands of an exchange as a user runs them, against the gateway of another installation."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets_tests.fix_command import Said
from sync_assets_tests.fix_exchange import Installation, fill
from sync_assets_tests.fix_gateway import Gateway, environment_of
from sync_assets_tests.fix_project import write_defs

YAML = """
type: sync_assets.components.RepositoryExchange
attributes:
  name: books
  title: 知识库
  peers:
    - {{name: branch, title: 分部, url: "{url}", api_key: "env:BRANCH_KEY", network: {{internal: [127.0.0.0/8]}}}}
    - {{name: dead, url: "http://127.0.0.1:9/api/sync", network: {{internal: [127.0.0.0/8]}}, ways: [push]}}
"""


@dataclass
class Site:
    """Our installation with two repositories, and a gateway of another one with a third."""

    folder: Path
    here: Installation
    branch: Gateway
    key: str

    def __call__(self, *arguments: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", "exchange", *arguments],
            cwd=self.folder, capture_output=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
            env={**environment_of(self.here.address, self.folder), "SYNC_ASSETS_DEFS": str(self.folder / "defs"),
                 "BRANCH_KEY": self.key},
        )  # fmt: skip
        said = Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        assert self.key not in said.all, "a secret was shown"
        assert "Traceback" not in said.all, said.all
        return said

    def documents_there(self) -> int:
        return int(self.branch.rows("select count(*) from sync_assets.exchange_document")[0][0])


@pytest.fixture
def site(tmp_path: Path, here: Installation, gateway: Gateway) -> Site:
    for number, tasks in ((1, 3), (2, 1)):
        fill(here.library, number, tasks, 2)
    fill(PostgresLibrary(gateway.store.sessions), 7, 2, 1, origin="theirs")
    write_defs(tmp_path / "defs", books=YAML.format(url=gateway.sync_url))
    return Site(tmp_path, here, gateway, gateway.key("read", "write", "clear", name="us"))


def test_peers_and_repositories_are_listed(site: Site) -> None:
    said = site("list")
    assert said.code == 0
    assert "分部" in said.out
    assert "push, pull" in said.out
    rows = json.loads(site("list", "branch", "--json").out)
    assert [(row["way"], row["repository_id"], row["name"]) for row in rows] == [
        ("push", 1, "repository 1"), ("push", 2, "repository 2"), ("pull", 1, "repository 7"),
    ]  # fmt: skip


def test_a_push_tells_each_repository_and_the_history_keeps_it(site: Site) -> None:
    said = site("push", "branch")
    assert said.code == 0, said.all
    assert "repository 1 repository 1: completed, 3 tasks: 3 succeeded, 0 failed, 0 skipped" in said.out
    assert "2 repositories, 8 documents: 2 good, 0 not" in said.out
    assert site.documents_there() == 2 + 8
    again = json.loads(site("push", "branch", "-r", "repository 2", "--json").out)
    assert [(one["repository_id"], one["good"], one["total"]) for one in again] == [(2, True, 1)]
    assert site.documents_there() == 2 + 8
    states = json.loads(site("history", "--json").out)
    assert [(one["repository_id"], one["status"]) for one in states] == [
        (2, "completed"),
        (2, "completed"),
        (1, "completed"),
    ]
    assert all("command line" in one["asked_by"] for one in states)
    shown = site("status", states[-1]["sync_id"][:8])
    assert shown.code == 0
    assert shown.out.count("succeeded") >= 6


def test_some_documents_of_one_repository_travel(site: Site) -> None:
    (one,) = json.loads(site("push", "branch", "-r", "1", "-d", "1", "-d", "2", "--json").out)
    assert sorted(d["document_id"] for unit in one["tasks"] for d in unit["documents"]) == [1, 2]
    assert site.documents_there() == 2 + 2
    assert site("push", "branch", "-d", "1").code == 2
    assert "there is no repository" in site("push", "branch", "-r", "nothing").err


def test_a_pull_brings_their_repository(site: Site) -> None:
    said = site("pull", "branch")
    assert said.code == 0, said.all
    names = site.here.rows("select name from sync_assets.exchange_repository order by 1")
    assert [name for (name,) in names] == ["repository 1", "repository 2", "repository 7"]


def test_replacing_is_asked_for_and_clears_the_rest(site: Site) -> None:
    assert site("push", "branch", "-r", "1").code == 0
    site.here.rows("delete from sync_assets.exchange_task where title = 'task 100001' returning 1")
    refused = site("push", "branch", "-r", "1", "--replace")
    assert refused.code == 2
    assert "deleted for good" in refused.err
    assert "--yes" in refused.err
    assert site.documents_there() == 2 + 6
    assert site("push", "branch", "-r", "1", "--replace", "--yes").code == 0
    assert site.documents_there() == 2 + 4


def test_a_peer_that_does_not_answer_is_exit_code_3_and_a_refused_key_2(site: Site) -> None:
    dead = site("push", "dead", "-r", "1")
    assert dead.code == 3, dead.all
    site.key = site.branch.key("read", name="reader")
    refused = site("push", "branch", "-r", "1")
    assert refused.code == 2, refused.all
    assert site("list", "branch").code == 0


def test_what_is_not_there_is_told_with_what_is(site: Site) -> None:
    assert "known are branch, dead" in site("push", "brunch").err
    assert site("pull", "dead").code == 2
    assert site("status", "zzzz").code == 2
