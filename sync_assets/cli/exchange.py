"""`sync-assets exchange`: names and options only. What a command does is in `cli.exchange_work`, loaded when called."""

from __future__ import annotations

from collections.abc import Callable

import click

_JSON = "Print it as JSON."
_REPOSITORY = "Its id where it is sent from, or its whole name; several times for more. Default: all."
_DOCUMENT = "Only these documents, by their ids where they are sent from. With one repository."
_REPLACE = "What the receiver has besides goes, at the end, if nothing failed. Asks, unless --yes."
_CONFIRM = "With --document and --replace: yes, all other documents of the repository go."


@click.group(short_help="Repositories and documents of other installations.")
def exchange() -> None:
    """Push repositories, with their tasks and documents, to other installations, and pull them from there."""


@exchange.command("list", short_help="List peers, or the repositories here and at one.")
@click.argument("peer", required=False)
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def list_peers(peer: str | None, as_json: bool) -> int:
    """List the peers of every exchange. With PEER: the repositories here and there, and how the last sync ended."""
    from sync_assets.cli import exchange_work

    return exchange_work.listed(peer, as_json)


def _travel(command: Callable[..., int]) -> Callable[..., int]:
    """What is asked for a way to or from a peer."""
    for parameter in reversed((
        click.argument("peer"),
        click.option("--repository", "-r", "repositories", multiple=True, help=_REPOSITORY),
        click.option("--document", "-d", "documents", multiple=True, type=click.IntRange(min=1), help=_DOCUMENT),
        click.option("--replace", is_flag=True, help=_REPLACE),
        click.option("--confirm", is_flag=True, help=_CONFIRM),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--json", "as_json", is_flag=True, help=_JSON),
    )):  # fmt: skip
        command = parameter(command)
    return command


@exchange.command(short_help="Send repositories to a peer.")
@_travel
def push(
    peer: str, repositories: tuple[str, ...], documents: tuple[int, ...], replace: bool, confirm: bool, yes: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Send repositories, with their tasks and documents, to PEER. What is there already is not sent twice."""
    from sync_assets.cli import exchange_work

    return exchange_work.travel("push", peer, repositories, documents, replace, confirm, yes, as_json)


@exchange.command(short_help="Fetch repositories from a peer.")
@_travel
def pull(
    peer: str, repositories: tuple[str, ...], documents: tuple[int, ...], replace: bool, confirm: bool, yes: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Fetch repositories, with their tasks and documents, from PEER."""
    from sync_assets.cli import exchange_work

    return exchange_work.travel("pull", peer, repositories, documents, replace, confirm, yes, as_json)


@exchange.command(short_help="Show one sync with each of its documents.")
@click.argument("sync_id")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def status(sync_id: str, as_json: bool) -> int:
    """Show how a sync stands, or ended, with each task and document. The beginning of its id is enough."""
    from sync_assets.cli import exchange_work

    return exchange_work.status(sync_id, as_json)


@exchange.command(short_help="List the newest syncs.")
@click.option("--peer", help="Only with this peer.")
@click.option("--limit", type=click.IntRange(1, 10000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def history(peer: str | None, limit: int, as_json: bool) -> int:
    """List the newest syncs, by whichever door they were asked for: a run, the page, an endpoint, this command."""
    from sync_assets.cli import exchange_work

    return exchange_work.history(peer, limit, as_json)
