"""A notice, and its way to a group bot. The HTTP client is imported only when there is something to say."""

from __future__ import annotations

from dataclasses import dataclass

from sync_assets.engine.errors import Stop
from sync_assets.project.load import Project
from sync_assets.project.spec import FeishuBot


@dataclass(frozen=True, slots=True)
class Notice:
    """What a group is told: one failure or one recovery."""

    title: str
    lines: tuple[str, ...]
    link: str
    recovered: bool


def send(project: Project, bot: str, notice: Notice) -> None:
    """Send `notice` through the feishu_bot connection `bot`. Raises `Stop` or `Retry` as the bot client does."""
    from sync_assets.feishu.bot import Alert, Bot, Level
    from sync_assets.store.secrets import opener

    spec = project.connections.get(bot)
    if not isinstance(spec, FeishuBot):
        raise Stop(f"alerts: {bot} is not a feishu_bot connection", hint="name one in the file's alerts:")
    secret = opener(spec.secret) if spec.secret else None
    Bot(opener(spec.webhook), secret, spec.style).send(
        Alert(notice.title, notice.lines, notice.link, Level.GOOD if notice.recovered else Level.FAILURE)
    )
