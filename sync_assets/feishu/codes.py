"""What each answer of Feishu means and what the caller does next: the error catalogue, as data.

Decisions are made by the `code` in the JSON envelope, never by the HTTP status: the same code comes with different
statuses on different endpoints (1254607 with 400 and 500, 99991400 with 429 and 400). The status counts only where
there is no envelope, or one with a code that nobody documented. Knows nothing of HTTP libraries or of retrying.

Feishu's own `msg` may quote the value of a cell. It is never passed on for writes; only the symbol at its start
(``TextFieldConvFail``), record ids and the name of a field are taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from sync_assets.engine.errors import AnswerTooLarge, BadBatch, Gone, Retry, Stop, SyncError, TooLarge, Unclear


class Action(Enum):
    """What the caller does next."""

    STOP = "stop"
    REFRESH = "refresh"  # get a new access token once, then stop
    SETTLE = "settle"  # stop, unless the table or field was created seconds ago: then wait a little
    RETRY = "retry"
    THROTTLE = "throttle"  # retry, and go slower from now on
    UNCLEAR = "unclear"  # a write may have been applied; a read is simply retried
    BAD_BATCH = "bad batch"
    TOO_LARGE = "too large"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the catalogue. `attempts` bounds the tries where fewer than the usual number make sense."""

    action: Action
    meaning: str
    hint: str = ""
    attempts: int | None = None


_CREDENTIALS = "compare app_id and app_secret with 开发者后台 -> 凭证与基础信息 (Credentials & Basic Info)"
_SCOPE = (
    "开发者后台 -> 权限管理 (Permissions): grant bitable:app (and wiki:wiki:readonly for wiki links), "
    "then publish a version of the app"
)
_MEMBER = "open the base in Feishu: ... -> 更多 -> 添加文档应用, add this app with 可编辑 (edit) rights"
_LINK = "copy the link again from the browser's address bar"
_WIKI = (
    "compare the link with the browser's; for a wiki page use the whole /wiki/ link: the token of a wiki page is not"
    " the token of the base behind it"
)
_CHANGED = "the board changed meanwhile; run again"
_BUG = "this is a fault of the request itself; report it with the log id"
_SMALLER = "ask for fewer rows at a time"
_VALUE = "choose another field type for this column, or correct the row"
_PLAN = "the limit comes from Feishu or from the tenant's plan; remove some, or start a new one"
_PROPERTY = "compare the field's type, format and options with the documentation of field properties"
_ROLE = "advanced permissions of the base: give the app's role the right to read and write this table"


def _all(action: Action, hint: str, codes: dict[int, str], attempts: int | None = None) -> dict[int, Rule]:
    return {code: Rule(action, meaning, hint, attempts) for code, meaning in codes.items()}


_AUTH = _all(
    Action.REFRESH,
    _CREDENTIALS,
    {
        99991661: "the access token is missing",
        99991663: "the access token is invalid or has expired",
        99991664: "the app access token is invalid",
        99991665: "the tenant access token is invalid",
        99991668: "the user access token is invalid",
        99991671: "the access token has a wrong form",
        99991677: "the user access token has expired",
    },
) | {
    10003: Rule(Action.STOP, "app_id or app_secret is refused as malformed, or the app is unknown", _CREDENTIALS),
    10012: Rule(Action.STOP, "the app cannot be used in this tenant", "publish the app and have it approved"),
    10013: Rule(Action.STOP, "the app cannot be used in this tenant", "publish the app and have it approved"),
    10014: Rule(Action.STOP, "the app secret is refused, or the app cannot be used", _CREDENTIALS),
    10015: Rule(Action.STOP, "the app secret is wrong", _CREDENTIALS),
    99991662: Rule(Action.STOP, "the app is not in use", "enable the app in the tenant's admin console"),
    99991673: Rule(Action.STOP, "the app is not in use", "enable the app in the tenant's admin console"),
    99991672: Rule(Action.STOP, "the app lacks a scope for this call", _SCOPE),
    99991679: Rule(Action.STOP, "the user has not granted a scope for this call", _SCOPE),
    99991401: Rule(Action.STOP, "this machine's IP is not on the app's allow list", "add it: 开发者后台 -> 安全设置"),
    99991403: Rule(
        Action.STOP, "the tenant's monthly quota of API calls is used up", "wait for the 1st, or change the plan"
    ),
}

_GATEWAY = {
    99991400: Rule(Action.THROTTLE, "too many calls", "another program may use the same app"),
    99991201: Rule(Action.STOP, "no such address on this host", "check the connection's host"),
    99991301: Rule(Action.STOP, "wrong HTTP method", _BUG),
    9499: Rule(Action.STOP, "bad request", _BUG),
}

_DOCUMENT = {
    91402: Rule(
        Action.STOP, "the base does not exist; often the token of a wiki page was used as that of a base", _WIKI
    ),
    91403: Rule(Action.STOP, "the app has no right on this base", _MEMBER),
    131001: Rule(Action.RETRY, "the wiki service failed"),
    131002: Rule(Action.STOP, "the wiki token is malformed", _LINK),
    131005: Rule(Action.STOP, "the wiki page does not exist", _LINK),
    131006: Rule(
        Action.STOP,
        "the app may not read this wiki page",
        "add the app to the wiki space or page, or to a group that may read it",
    ),
}

_REQUEST = _all(
    Action.STOP,
    _BUG,
    {
        1254000: "the request is not JSON",
        1254001: "the request body is wrong",
        1254007: "the request holds no fields",
        1254008: "the request is empty",
        1254010: "the request cannot be converted",
        1254011: "the page size is out of range",
        1254016: "the sort is wrong",
        1254018: "the filter is wrong",
        1254024: "the list of field names is wrong",
        1254037: "client_token is not a version 4 UUID",
        1254107: "the filter is longer than 2,000 characters",
        1254108: "the sort is longer than 1,000 characters",
    },
)

_IDS = (
    _all(
        Action.STOP,
        _LINK,
        {
            1254003: "the token of the base is malformed",
            1254004: "the table id is malformed",
            1254005: "the view id is malformed",
            1254009: "the field id is malformed",
        },
    )
    | _all(
        Action.SETTLE,
        _CHANGED,
        {
            1254040: "the base was not found",
            1254041: "the table was not found",
            1254042: "the view was not found",
            1254044: "the field id was not found",
            1254045: "a field of this name was not found",
        },
    )
    | _all(
        Action.GONE,
        "somebody deleted the record; the next run reads the board anew",
        {1254006: "a record id is malformed", 1254043: "a record was not found"},
    )
)

_VALUES = _all(
    Action.BAD_BATCH,
    _VALUE,
    {
        1254015: "a value does not fit the type of its field",
        1254060: "a value does not fit a text field",
        1254061: "a value does not fit a number field",
        1254062: "a value does not fit a single-select field",
        1254063: "a value does not fit a multi-select field",
        1254064: "a value does not fit a date field",
        1254065: "a value does not fit a checkbox field",
        1254066: "a value does not fit a person field",
        1254067: "a value does not fit a link field",
        1254068: "a value does not fit a URL field",
        1254069: "a value does not fit an attachment field",
        1254072: "a value does not fit a phone field",
        1254074: "a value does not fit a two-way link field",
        1254106: "a cell holds too many attachments",
        1254130: "a cell is too large",
    },
)

_TABLES = (
    {
        1254012: Rule(
            Action.STOP, "the first field cannot have this type", "put a text, number, date, phone or URL column first"
        ),
        1254013: Rule(Action.STOP, "a table of this name exists already", "choose another name, or link to that table"),
        1254014: Rule(
            Action.STOP,
            "a field of this name exists already",
            "Feishu trims names; look for one that differs by blanks only",
        ),
        1254026: Rule(Action.STOP, "an option has no name", _PROPERTY),
        1254028: Rule(Action.STOP, "the name is empty or not allowed", "choose another name"),
        1254029: Rule(Action.STOP, "the name is empty or not allowed", "choose another name"),
        1254606: Rule(Action.STOP, "nothing would change", "leave the field as it is"),
    }
    | _all(Action.STOP, _PROPERTY, dict.fromkeys(range(1254080, 1254097), "a property of the field is wrong"))
    | {1254087: Rule(Action.STOP, "this field type takes no property", _PROPERTY)}
)

_LIMITS = _all(
    Action.STOP,
    _PLAN,
    {
        1254100: "the base has as many tables as it may",
        1254101: "the table has as many views as it may",
        1254102: "there are as many files as there may be",
        1254103: "the table has as many records as it may (20,000 on the basic plan)",
        1254105: "the table has as many fields as it may (300)",
        1254109: "the formulas of the table have grown too large",
    },
) | _all(
    Action.TOO_LARGE,
    _SMALLER,
    {1254030: "the answer would be too large", 1254104: "too many records in one call"},
    attempts=1,
)

_PASSING = {
    1254002: Rule(Action.UNCLEAR, "Feishu failed without a reason (overload, or a very large answer)", attempts=3),
    1254036: Rule(Action.RETRY, "the base is still being copied"),
    1254290: Rule(Action.THROTTLE, "too many requests to this base"),
    1254291: Rule(Action.THROTTLE, "two writers at once", "let only one program write to this table"),
    1254607: Rule(Action.RETRY, "the data is not ready yet", attempts=4),
    1254608: Rule(Action.UNCLEAR, "the same request was submitted before", attempts=4),
    1255006: Rule(
        Action.UNCLEAR,
        "client_token belongs to another request",
        "look for the rows, then send what is missing under a new token",
        attempts=1,
    ),
    1255040: Rule(Action.UNCLEAR, "Feishu took too long", attempts=4),
}
_SERVER = _all(Action.UNCLEAR, "", dict.fromkeys(range(1255001, 1255006), "an internal error of Feishu"))

_PERMISSION = _all(
    Action.STOP,
    _ROLE,
    {
        1254301: "the role of the app in this base does not allow it",
        1254302: "the role of the app in this base does not allow it",
        1254303: "no right to this attachment",
        1254304: "the role of the app in this base does not allow it",
        1254306: "the tenant's plan does not allow it",
        1254027: "the attachment does not belong to this base",
    },
)

_BOT = {
    19001: Rule(
        Action.STOP,
        "the webhook is unknown, or the message is malformed",
        "copy the webhook address again from the group's bot",
    ),
    19002: Rule(Action.STOP, "the message is malformed", _BUG),
    19021: Rule(
        Action.STOP,
        "the signature is refused, or the clock is more than an hour off",
        "compare the bot's signing secret, and the clock of this machine",
    ),
    19022: Rule(
        Action.STOP, "this machine's IP is not on the bot's allow list", "add it in the bot's security settings"
    ),
    19024: Rule(
        Action.STOP,
        "the message holds none of the bot's keywords",
        "use a signature instead of keywords, or add 'sync' as a keyword",
    ),
    11232: Rule(Action.THROTTLE, "the bot's rate limit"),
}

CATALOGUE: dict[int, Rule] = (
    _AUTH
    | _GATEWAY
    | _DOCUMENT
    | _REQUEST
    | _IDS
    | _VALUES
    | _TABLES
    | _LIMITS
    | _PASSING
    | _SERVER
    | _PERMISSION
    | _BOT
)


def having(action: Action) -> frozenset[str]:
    """The codes with that action, as `SyncError.code` spells them."""
    return frozenset(str(code) for code, rule in CATALOGUE.items() if rule.action is action)


REFRESHES = having(Action.REFRESH)
SETTLES = having(Action.SETTLE)
THROTTLES = having(Action.THROTTLE) | {"429"}


def attempts_for(code: str) -> int | None:
    """How often a call is tried at most when it fails with this code; None: the usual number."""
    rule = CATALOGUE.get(int(code)) if code.isdigit() else None
    return rule.attempts if rule else None


def classify(code: int, status: int, msg: str, *, write: bool, log_id: str = "", place: str = "Feishu") -> SyncError:
    """The error for an envelope with a `code` other than 0.

    `msg` is Feishu's own text, used but not quoted; `place` opens the message and says which call on what.
    """
    rule = CATALOGUE.get(code)
    if status == 413 and (rule is None or code == 9499):  # a gateway's general refusal, for this one reason
        return classify_status(status, write=write, log_id=log_id, place=place)
    if rule is None:
        return _unknown(code, status, msg, write=write, log_id=log_id, place=place)
    if second := _second_meaning(code, msg):
        meaning, hint = second
        return Retry(_text(place, meaning, log_id), hint=hint, code=str(code))
    return _build(rule, _text(place, rule.meaning, log_id), str(code), msg, write=write)


def classify_status(status: int, *, write: bool, log_id: str = "", place: str = "Feishu") -> SyncError:
    """The error for an answer that is no JSON envelope: a gateway, proxy or firewall spoke."""
    if status == 413:
        return TooLarge(_text(place, "the request is too large", log_id), hint=_SMALLER, code="413")
    if status == 429:
        return Retry(_text(place, "too many calls", log_id), code="429")
    if status >= 500:
        return _unanswered(_text(place, f"HTTP status {status}", log_id), str(status), write=write)
    if 200 <= status < 300:
        return _unanswered(_text(place, "the answer cannot be read", log_id), "unreadable", write=write)
    hint = "check the connection's host, and whether a proxy or firewall stands between"
    return Stop(_text(place, f"HTTP status {status} without an answer of Feishu", log_id), hint=hint, code=str(status))


def _unanswered(message: str, code: str, *, write: bool) -> SyncError:
    return Unclear(message, code=code) if write else Retry(message, code=code)


def _unknown(code: int, status: int, msg: str, *, write: bool, log_id: str, place: str) -> SyncError:
    """A code that nobody documented decides nothing; 429 and 5xx still say what to do, the rest stops."""
    if status == 429 or status >= 500:
        error = classify_status(status, write=write, log_id=log_id, place=place)
        error.code = str(code) if status != 429 else "429"
        return error
    said = symbol(msg) if write else msg.strip()[:120]
    what = f"unknown answer {code}" + (f" ({said})" if said else "")
    return Stop(
        _text(place, what, log_id), hint="look the code up in the Feishu open platform documentation", code=str(code)
    )


def _second_meaning(code: int, msg: str) -> tuple[str, str] | None:
    """Two codes have two meanings, which only the text tells apart; the second one is passing trouble."""
    if code == 1254030 and "token" in msg.lower():  # InvalidPageToken, besides TooLargeResponse
        return "the page token is refused", "read the table again from its start"
    if code == 9499 and "too many" in msg.lower():  # bots of old gateways, besides Bad Request
        return "too many messages", ""
    return None


def _build(rule: Rule, message: str, code: str, msg: str, *, write: bool) -> SyncError:
    if rule.action is Action.GONE and write:
        return Gone(message, ids=record_ids(msg), hint=rule.hint, code=code)
    if code == "1254030" and write:
        return AnswerTooLarge(message, hint=rule.hint, code=code)
    if rule.action is Action.BAD_BATCH and write:
        return BadBatch(message, field=field_named(msg), hint=rule.hint, code=code)
    if rule.action is Action.UNCLEAR and not write:
        return Retry(message, hint=rule.hint, code=code)
    return _PLAIN.get(rule.action, Stop)(message, hint=rule.hint, code=code)


_PLAIN: dict[Action, Callable[..., SyncError]] = {
    Action.RETRY: Retry,
    Action.THROTTLE: Retry,
    Action.UNCLEAR: Unclear,
    Action.TOO_LARGE: TooLarge,
}


def _text(place: str, meaning: str, log_id: str) -> str:
    return f"{place}: {meaning}" + (f" (log id {log_id})" if log_id else "")


_SYMBOL = re.compile(r"[A-Z][a-z]+(?:[A-Z][A-Za-z]*)+")
_RECORD_ID = re.compile(r"\brec(?!ord)[A-Za-z0-9]{4,40}\b")
_FIELD = (
    re.compile(r"^fields\.(.{1,100})$", re.MULTILINE),
    re.compile(r"""field_?name\s*[:=]\s*['"]?(.{1,100}?)['"]?(?:\. |$)""", re.IGNORECASE | re.MULTILINE),
    re.compile(r"""fields?(?:[ _]?name)?\s*[:=]?\s*['"`「【\[](.{1,100}?)['"`」】\]]""", re.IGNORECASE),
    re.compile(r"\bfields\.([^.\s'\"]{1,100})"),
)


def symbol(msg: str) -> str:
    """The symbol that opens most messages of Feishu (``FieldNameNotFound``), or nothing."""
    found = _SYMBOL.match(msg.strip())
    return found.group()[:60] if found else ""


def record_ids(msg: str) -> tuple[str, ...]:
    """What look like record ids in the message. The caller must compare them with the ids that it sent."""
    return tuple(dict.fromkeys(_RECORD_ID.findall(msg)))


def field_named(msg: str) -> str:
    """The field that the message seems to name, or nothing. The caller must compare it with the names it sent."""
    for pattern in _FIELD:
        if found := pattern.search(msg):
            return found.group(1)
    return ""
