"""Every command that a page shows exists, with these options and arguments; every variable is one that is read."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import click
import pytest

from sync_assets.cli import root
from sync_assets_tests.fix_docs import ROOT, Page, pages

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def _click(found: click.Command, words: list[str]) -> None:
    """Parse the words as the command would, without running it."""
    if isinstance(found, click.Group) and words:
        inner = found.get_command(click.Context(found), words[0])
        assert inner is not None, f"there is no {words[0]}"
        _click(inner, words[1:])
        return
    with found.make_context(found.name or "", list(words)):
        pass


def _sync_assets(words: list[str]) -> None:
    _click(root, words)


def _make(words: list[str]) -> None:
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            assert re.search(rf"\$\((if )?{name}\b", MAKEFILE), f"the Makefile knows no {name}"
        else:
            assert re.search(rf"^{name}:", MAKEFILE, re.MULTILINE), f"the Makefile has no {name}"


def _dagster(words: list[str]) -> None:
    from dagster._cli import create_dagster_cli

    _click(create_dagster_cli(), words)


def _dg(words: list[str]) -> None:
    with warnings.catch_warnings():  # its imports are on bad terms with the newest click
        warnings.simplefilter("ignore", DeprecationWarning)
        from dagster_dg_cli.cli import create_dg_cli

        _click(create_dg_cli(), words)


def _webserver(words: list[str]) -> None:
    from dagster_webserver.cli import create_dagster_webserver_cli

    _click(create_dagster_webserver_cli(), words)


def _daemon(words: list[str]) -> None:
    from dagster._daemon.cli import create_dagster_daemon_cli

    _click(create_dagster_daemon_cli(), words)


def _python(words: list[str]) -> None:
    if words[0] == "-":
        return
    path = words[1].replace(".", "/") if words[0] == "-m" else words[0].removesuffix(".py")
    file = next(f for f in (ROOT / f"{path}.py", ROOT / path / "__main__.py") if f.is_file())
    for option in (w for w in words if w.startswith("--")):
        assert f'"{option}"' in file.read_text("utf-8"), f"{file.name} knows no {option}"


def _anything(words: list[str]) -> None:
    """A command of the system."""


PROGRAMS: Mapping[str, Callable[[list[str]], None]] = {
    "sync-assets": _sync_assets,
    "make": _make,
    "dagster": _dagster,
    "dg": _dg,
    "dagster-webserver": _webserver,
    "dagster-daemon": _daemon,
    "python": _python,
} | dict.fromkeys(
    (".", "cp", "createdb", "createuser", "curl", "echo", "export", "mkdir", "systemctl", "touch"), _anything
)


def test_every_command_exists(page):
    for words in page.commands():
        try:
            PROGRAMS[words[0]](words[1:])
        except (click.ClickException, AssertionError, KeyError, StopIteration) as error:
            pytest.fail(f"{page}: {' '.join(words)}: {error!r}")


@pytest.mark.parametrize(
    "line",
    ["sync-assets runn x", "sync-assets run x --dry", "sync-assets plan", "sync-assets run x --mode upsert",
     "make demos", "make demo TWICE=1", "dagster devv", "dagster-webserver --readonly", "dg list boards",
     "sync-assets verify", "sync-assets restore x --accept-empty",
     "python -m benchmarks.nothing", "python -m benchmarks.bitable --fast", "dagster-daemon start"],
)  # fmt: skip
def test_a_command_that_does_not_exist_is_noticed(tmp_path, line):
    shown = tmp_path / "page.md"
    shown.write_text(f"```sh\n{line}\n```\n", encoding="utf-8")
    [words] = Page(shown).commands()
    with pytest.raises((click.ClickException, AssertionError, StopIteration)):
        PROGRAMS[words[0]](words[1:])


UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_services_start_programs_that_exist_with_these_options(unit):
    lines = [line.partition("=") for line in unit.read_text("utf-8").splitlines() if line.startswith("Exec")]
    assert [name for name, _, _ in lines][:1] == ["ExecStart"]
    for _, _, line in lines:
        program, *words = line.replace("/opt/sync_assets", str(ROOT)).split()
        PROGRAMS[Path(program).name](words)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_services_run_as_the_same_user_and_wait_for_services_that_exist(unit):
    text = unit.read_text("utf-8")
    for line in ("User=sync_assets", "EnvironmentFile=/opt/sync_assets/.env", "NoNewPrivileges=true"):
        assert f"\n{line}\n" in text
    assert {f"{name}.service" for name in re.findall(r"sync-assets-[a-z-]+(?=\.service)", text)} <= {
        one.name for one in UNITS
    }
    page = re.search(r"^Documentation=file:/opt/sync_assets/(.+)$", text, re.MULTILINE)
    assert page and (ROOT / page[1]).is_file()


def test_services_that_pages_speak_of_exist(page):
    named = {word for words in page.commands() if words[0] == "systemctl" for word in words if "sync-assets" in word}
    assert named <= {unit.stem for unit in UNITS}


def test_services_for_all_that_runs_all_the_time_are_there():
    started = " ".join(unit.read_text("utf-8") for unit in UNITS)
    for program in ("dagster code-server", "dagster-daemon run", "dagster-webserver", "sync-assets serve"):
        assert program in started


# -- variables ------------------------------------------------------------------------------------------------------

_VARIABLE = re.compile(r"\b(?:SYNC_ASSETS|DAGSTER)_[A-Z_]+\b")


def _texts(file: Path) -> Iterator[str]:
    """The text constants of a module, docstrings among them."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def variables_of_code() -> frozenset[str]:
    """Names that the code reads. A name that ends with _ is a prefix: `store.address` puts both together."""
    files = (ROOT / "sync_assets").rglob("*.py")
    names = {name for file in files for text in _texts(file) for name in _VARIABLE.findall(text)}
    address = (ROOT / "sync_assets" / "store" / "address.py").read_text("utf-8")
    suffixes = set(re.findall(r'value\("([A-Z]+)"', address))
    assert len(suffixes) == 6
    whole = {name for name in names if not name.endswith("_")}
    return frozenset(whole | {p + s for p in names if p.endswith("_PG_") for s in suffixes})


def _documented() -> set[str]:
    text = (ROOT / "docs" / "reference" / "environment.md").read_text("utf-8")
    return set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))


def test_every_variable_of_the_code_is_documented_and_no_other():
    assert _documented() == variables_of_code()


def test_pages_name_only_variables_that_exist():
    for page in pages():
        named = set(_VARIABLE.findall(page.text))
        assert {n for n in named if not n.endswith("_")} <= variables_of_code(), page
