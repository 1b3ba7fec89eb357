"""An exchange in the project: what its YAML may say, whom its peers are, how the outcome of a repository is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sync_assets.engine.errors import RejectRow, Retry, Stop
from sync_assets.exchange.model import Repository
from sync_assets.exchange.work import Direction, UnitStatus
from sync_assets.project.exchange.items import Item
from sync_assets.project.exchange.placed import peer_of, peers
from sync_assets.project.exchange.work import orders
from sync_assets.project.exchange_spec import address_trouble
from sync_assets.project.load import ProjectInvalid, load_project
from sync_assets_tests.fix_exchange_dagster import EXCHANGE, item
from sync_assets_tests.fix_project import CONNECTIONS, ProjectOf, write_defs

OK, FAILED, SKIPPED = UnitStatus.SUCCEEDED, UnitStatus.FAILED, UnitStatus.SKIPPED
PEER = "https://branch.example/api/sync"


def refused(tmp_path: Path, old: str, new: str) -> list[str]:
    """What is said of the exchange with `old` replaced: places without the file, in order."""
    assert old in EXCHANGE
    folder = write_defs(tmp_path / "defs", connections=CONNECTIONS, books=EXCHANGE.replace(old, new))
    with pytest.raises(ProjectInvalid) as told:
        load_project(folder)
    return [str(fault).partition("books/defs.yaml:")[2] for fault in told.value.faults]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"env:BRANCH_KEY"', "sesame",
            "9: peers[branch].api_key: must be a reference, not the secret itself -> put it in an environment "
            "variable or a file and write env:NAME or file:PATH",
        ),
        (
            PEER, "https://branch.example/sync",
            "9: peers[branch].url: does not end in /api/sync -> https://name/api/sync",
        ),
        (
            PEER, "https://bob:sesame@branch.example/api/sync",
            "9: peers[branch].url: holds a user or password -> api_key names the secret; the address is shown to "
            "people",
        ),
        (PEER, "ftp://x/api/sync", "9: peers[branch].url: is no address of an installation -> https://name/api/sync"),
        (PEER, "http://branch.example/api/sync",
         "9: peers[branch].url: is not encrypted -> https, or network: {internal: [...]}"),
        ("name: branch,", "name: branch, network: privat,",
         "9: peers[branch].network: is no network -> public, or {internal: [10.20.0.0/16]}"),
        ("name: branch,", "name: branch, network: {internal: [10.0.0.1/8]},",
         "9: peers[branch].network.internal[0]: is no block of addresses -> as 10.20.0.0/16, with no bit set beyond "
         "its length"),
        ("ways: [push]", "ways: [puhs]",
         "10: peers[mirror].ways[0]: 'puhs' is no value of ways -> push, pull (did you mean push?)"),
        ("name: mirror", "name: branch",
         "10: peers[branch].name: branch stands 2 times -> give each peer its own name"),
        ('"0 2 * * *"', '"0 25 * * *"',
         "7: push.schedule: is not a cron expression: hour '25' is not in 0-23 -> for example"),
        ("alerts: ops", "alerts: shop", "6: alerts: shop is of type mysql -> name a feishu_bot connection: ops"),
        ("push: {", "repositories: []\n  push: {", "7: repositories: is empty -> give at least one"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_line_and_what_would_be_right(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    (said,) = refused(tmp_path, old, new)
    assert said.startswith(says) or said == says
    assert "sesame" not in said


def test_a_schedule_that_no_peer_is_for_is_refused(tmp_path: Path) -> None:
    both = "push: {schedule: '0 2 * * *'}\n  pull: {schedule: '0 3 * * *'}\n"
    head, _, peers_of_it = EXCHANGE.partition('push: {schedule: "0 2 * * *"}\n')
    text = head + both + peers_of_it.replace('"env:BRANCH_KEY"', '"env:BRANCH_KEY", ways: [push]')
    folder = write_defs(tmp_path / "defs", connections=CONNECTIONS, books=text)
    with pytest.raises(ProjectInvalid, match=r"8: pull.schedule: no peer is for pull"):
        load_project(folder)


def test_two_exchanges_cannot_have_a_peer_of_one_name(tmp_path: Path) -> None:
    other = EXCHANGE.replace("name: books", "name: more")
    folder = write_defs(tmp_path / "defs", connections=CONNECTIONS, books=EXCHANGE, more=other)
    with pytest.raises(ProjectInvalid, match="there is a second peer branch"):
        load_project(folder)


def test_an_exchange_shares_the_names_of_syncs_and_fleets(tmp_path: Path) -> None:
    fleet = """
        type: sync_assets.components.DatabaseFleet
        attributes: {name: books, instances: [{name: a, connection: shop}]}
        """
    folder = write_defs(tmp_path / "defs", connections=CONNECTIONS, books=EXCHANGE, fleet=fleet)
    with pytest.raises(ProjectInvalid, match="books is the name of a"):
        load_project(folder)


# -- peers --------------------------------------------------------------------------------------------------------


def test_a_peer_is_found_by_its_name_or_its_exact_address_alone(project_of: ProjectOf) -> None:
    project = project_of(books=EXCHANGE)
    assert list(peers(project)) == ["branch", "mirror"]
    assert peer_of(project, "branch") == peer_of(project, PEER) == peer_of(project, f"{PEER}/")
    for other in ("bran", "http://branch.example/api/sync", f"{PEER}/x", "https://branch.example:8443/api/sync", ""):
        with pytest.raises(Stop, match=r"there is no such peer.*known are branch, mirror"):
            peer_of(project, other)
    with pytest.raises(Stop):
        peer_of(project, "branch", exchange="another")


def test_a_peer_that_is_not_known_is_not_repeated(project_of: ProjectOf) -> None:
    with pytest.raises(Stop) as told:
        peer_of(project_of(books=EXCHANGE), "https://bob:sesame@evil/api/sync")
    assert "sesame" not in str(told.value)


def test_an_address_in_a_variable_is_held_to_the_same_rules(
    project_of: ProjectOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = peer_of(project_of(books=EXCHANGE.replace(f'"{PEER}"', '"env:BRANCH_URL"')), "branch")
    monkeypatch.setenv("BRANCH_URL", PEER + "/")
    assert peer.url == PEER
    for wrong in ("http://branch.example/api/sync", "https://u:p@b/api/sync", "https://b/", "file:///etc/passwd"):
        monkeypatch.setenv("BRANCH_URL", wrong)
        with pytest.raises(Stop, match="the url of peer branch"):
            _ = peer.url


def test_plain_http_is_for_networks_of_our_own(project_of: ProjectOf) -> None:
    text = EXCHANGE.replace("https://branch", "http://branch").replace(
        "name: branch,", "name: branch, network: {internal: [10.0.0.0/8, 'fd00::/8']},"
    )
    peer = peer_of(project_of(books=text), "branch")
    assert peer.url == "http://branch.example/api/sync"
    assert peer.internal == ("10.0.0.0/8", "fd00::/8")
    assert peer_of(project_of(books=EXCHANGE), "mirror").internal == ()


@pytest.mark.parametrize(
    "url", ["", "x", "https://", "https:///api/sync", "https://h/api/sync?x=1", "https://h/api/sync#x", "https://h:x/api/sync",
            "https://h:0/api/sync", "https://[::1/api/sync", "javascript:/api/sync"],
)  # fmt: skip
def test_what_is_no_address_is_told(url: str) -> None:
    assert address_trouble(url) is not None


@pytest.mark.parametrize("url", [PEER, "https://h:8443/under/api/sync", "https://[2001:db8::1]/api/sync/"])
def test_what_is_an_address_is_left_alone(url: str) -> None:
    assert address_trouble(url) is None


# -- what is asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["*"], {"docs", "docs old", "手册"}),
        (["docs*"], {"docs", "docs old"}),
        (["*", "!docs *"], {"docs", "手册"}),
        (["!docs"], {"docs old", "手册"}),
        (["手?"], {"手册"}),
        (["!docs*", "docs old"], {"docs old", "手册"}),
    ],
)
def test_patterns_choose_repositories_and_the_last_that_fits_counts(
    project_of: ProjectOf, patterns: list[str], wanted: set[str]
) -> None:
    spec = project_of(books=EXCHANGE + f"  repositories: {patterns}\n").exchange("books").spec
    names = ("docs", "docs old", "手册")
    assert {name for at, name in enumerate(names, 1) if spec.wants(Repository(at, name))} == wanted


def test_orders_are_as_the_yaml_says_unless_told_otherwise(project_of: ProjectOf) -> None:
    text = EXCHANGE.replace('push: {schedule: "0 2 * * *"}', "push: {replace: true}")
    project = project_of(books=text)
    branch, mirror = peer_of(project, "branch"), peer_of(project, "mirror")
    found = orders(branch, "push", [2, 1, 2], asked_by="me")
    assert [(o.direction, o.peer, o.repository_id, o.replace, o.asked_by) for o in found] == [
        (Direction.PUSH, "branch", 2, True, "me"), (Direction.PUSH, "branch", 1, True, "me"),
    ]  # fmt: skip
    assert not orders(branch, "push", [1], replace=False)[0].replace
    assert not orders(branch, "pull", [1])[0].replace
    with pytest.raises(Stop, match="peer mirror is not for pull"):
        orders(mirror, "pull", [1])


# -- how it is told -----------------------------------------------------------------------------------------------


def test_an_item_is_good_only_when_its_sync_is_complete() -> None:
    assert item(1, OK, SKIPPED).good
    assert not item(1, OK, FAILED).good
    assert not Item(1).good
    assert not replace(item(1), error=Retry("lost")).good


def test_only_what_may_pass_is_passing() -> None:
    assert Item(1, error=Retry("silent")).passing
    assert not Item(1, error=Stop("no")).passing
    assert not Item(1, error=RejectRow("gone")).passing
    assert not item(1, FAILED).passing


def test_trouble_is_one_line_with_the_first_reason() -> None:
    assert item(1).trouble == ""
    assert item(1, OK, FAILED, FAILED).trouble == "2 of 3 tasks failed; task 2: document: too long"
    assert Item(1, error=Stop("no key", hint="export it")).trouble == "no key -> export it"
    assert item(1, OK, error="nothing was linked").trouble == "nothing was linked"


def test_documents_are_counted_under_every_outcome() -> None:
    found = item(1, OK, OK, FAILED, SKIPPED)
    assert found.counted() == {UnitStatus.PENDING: 0, OK: 2, FAILED: 1, SKIPPED: 1}
    assert sum(found.counted().values()) == len(found.documents) == 4
