"""What slows or refuses a call before it is looked at: token buckets per endpoint and app. Knows no board."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sync_assets.testing.bitable.answers import Refusal
from sync_assets.testing.bitable.call import Endpoint


@dataclass(slots=True)
class Bucket:
    level: float
    at: float


@dataclass(slots=True)
class Buckets:
    """One bucket per (endpoint, app), as large as the calls of its period."""

    kept: dict[tuple[str, str], Bucket] = field(default_factory=dict)

    def take(self, endpoint: Endpoint, app_id: str, factor: float, now: float) -> None:
        """Raises Refusal 99991400 with the headers that say when to come back. No limits with factor 0."""
        if endpoint.rate is None or not factor:
            return
        most = max(1.0, endpoint.rate[0] * factor)
        speed = endpoint.rate[0] * factor / endpoint.rate[1]
        bucket = self.kept.setdefault((endpoint.name, app_id), Bucket(most, now))
        bucket.level = min(most, bucket.level + (now - bucket.at) * speed)
        bucket.at = now
        if bucket.level < 1:
            raise too_fast(int(most), math.ceil((1 - bucket.level) / speed))
        bucket.level -= 1


def too_fast(limit: int = 20, reset: int = 1) -> Refusal:
    headers = {"x-ogw-ratelimit-limit": str(limit), "x-ogw-ratelimit-reset": str(reset)}
    return Refusal(99991400, headers=headers)
