"""A notice on its way to a group bot. Imported only when there is something to say."""

from __future__ import annotations

from sync_assets.components.execution import Notice
from sync_assets.engine.errors import Stop
from sync_assets.feishu.bot import Alert, Bot, Level
from sync_assets.project.load import Project
from sync_assets.project.spec import FeishuBot
from sync_assets.store.secrets import opener


def send(project: Project, bot: str, notice: Notice) -> None:
    """Send `notice` through the feishu_bot connection `bot`. Raises `Stop` or `Retry` as the bot client does."""
    spec = project.connections.get(bot)
    if not isinstance(spec, FeishuBot):
        raise Stop(f"alerts: {bot} is not a feishu_bot connection", hint="name one in the file's alerts:")
    secret = opener(spec.secret) if spec.secret else None
    Bot(opener(spec.webhook), secret, spec.style).send(
        Alert(notice.title, notice.lines, notice.link, Level.GOOD if notice.recovered else Level.FAILURE)
    )
