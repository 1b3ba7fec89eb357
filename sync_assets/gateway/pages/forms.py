"""Forms that a browser sends: read, and known to be ours. Nothing else changes anything.

The body was read within its bounds before it comes here (`limits`).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request

from sync_assets.gateway.pages.rendering import form_token
from sync_assets.gateway.refusal import Refused

_MOST_FIELDS = 20_000  # documents that can be ticked at once


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, each with its values in order."""

    fields: dict[str, list[str]]

    def one(self, name: str) -> str:
        """Its only or first value, empty where there is none."""
        return self.fields.get(name, [""])[0]

    def ids(self, name: str) -> tuple[int, ...]:
        """Its values as ids. Raises 400 for what is none."""
        texts = self.fields.get(name, [])
        if not all(text.isascii() and text.isdecimal() and len(text) < 19 for text in texts):
            raise Refused(400, f"{name} is no id")
        return tuple(int(text) for text in texts)


async def read_form(request: Request) -> Form:
    """The fields, whoever sent them. Raises 400."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(400, "this is no form")
    try:
        text = (await request.body()).decode("ascii")
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:
        raise Refused(400, "the form cannot be read") from None


async def our_form(request: Request) -> Form:
    """The fields of a form that this page made for this session. Raises 400, 403."""
    form = await read_form(request)
    wanted = form_token(request)
    if not wanted or not hmac.compare_digest(form.one("token").encode(), wanted.encode()):
        raise Refused(403, "form")
    return form


def same_site(request: Request) -> bool:
    """Whether a browser says that a form came from our own page; one that says nothing is believed."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    return origin is None or origin.partition("://")[2] == request.headers.get("host")
