"""The functions of the rule language, all of them: what each takes, what it is for, how it answers. The one registry.

Must not know rules or classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sync_assets.fleet.model import PrincipalKind
from sync_assets.fleet.rules import functions as say
from sync_assets.fleet.rules.facts import VIAS, AccountFacts
from sync_assets.fleet.rules.functions import CAPABILITIES, Answer
from sync_assets.fleet.rules.language import ArgumentKind, Call, Parameter, Signature, Signatures
from sync_assets.fleet.rules.logic import Verdict
from sync_assets.fleet.rules.scopes import SCOPES


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its signature, what it is for, and how it answers."""

    signature: Signature
    about: str
    answer: Answer


def _f(name: str, about: str, answer: Answer, *parameters: Parameter) -> Function:
    return Function(Signature(name, parameters), about, answer)


def _text(name: str, about: str, words: tuple[str, ...] = (), needed: bool = True) -> Parameter:
    return Parameter(name, ArgumentKind.TEXT, about, needed, words)


def _texts(name: str, about: str, words: tuple[str, ...] = ()) -> Parameter:
    return Parameter(name, ArgumentKind.TEXTS, about, True, words)


_TYPES = ("mysql", "mariadb", "postgres", "sqlserver", "oracle")
_GLOB = "`*` any text, `?` one character, `[ab]` one of these; a `%` is itself"
_VIA_WORDS = "`direct`: its own; `effective`: also by roles that are on and by PUBLIC; `reachable`: also by SET ROLE"
_VIA = _text("via", _VIA_WORDS, VIAS, False)
_ROLE_VIA = _text("via", "`effective`: on without asking; `reachable`, the default: also by SET ROLE", VIAS[1:], False)
_DAYS = Parameter("days", ArgumentKind.COUNT, "more than so many days ago")
_SCOPE = "the level at which it was granted; nothing is inferred from a wider level; `server` is `global`"
_WHERE = (
    _text("scope", _SCOPE, tuple(SCOPES)),
    _text("database", "only there; patterns of MySQL that match it count", needed=False),
    _text("schema", "only there", needed=False),
    _text("object", "only that table, routine, ...; for a column: its table", needed=False),
    Parameter("grantable", ArgumentKind.FLAG, "`true`: only where it may be handed on", False),
    _VIA,
)
_COUNT = (
    Parameter("count", ArgumentKind.COUNT, "more than so many"),
    _text("scope", "only of this level", tuple(SCOPES), False),
    _text("via", "as above; the default is `direct`", VIAS, False),
)
_OWN = (
    _f("db_type_in", "The instance is one of these; `mysql` includes MariaDB", say.db_type_in,
       _texts("types", "engines", _TYPES)),
    _f("can_login", "May log in, as far as the account itself says", say.can_login),
    _f("has_password", "Has a password, or another proof of who it is", say.has_password),
    _f("is_locked", "Is locked or disabled", say.is_locked),
    _f("is_expired", "The account or its password has ended, at the moment that is asked about", say.is_expired),
    _f("is_anonymous", "Has no name", say.is_anonymous),
    _f("is_system", "Belongs to the server itself", say.is_system),
    _f("kind_in", "Is of one of these kinds", say.kind_in, _texts("kinds", "kinds", tuple(PrincipalKind))),
    _f("name_matches", "Its name, without a host, fits a pattern", say.name_matches, _text("pattern", _GLOB)),
    _f("host_matches", "Its host fits a pattern; never, where accounts have no host", say.host_matches,
       _text("pattern", _GLOB)),
    _f("auth_plugin_in", "Proves who it is by one of these", say.auth_plugin_in,
       _texts("plugins", "plugins, or types of password")),
    _f("attribute_in", "An attribute of its engine has one of these values", say.attribute_in,
       _text("name", "the attribute"), _texts("values", "written as texts: `true`, `false`, a number")),
    _f("password_age_gt", "Its password was set long ago", say.password_age_gt, _DAYS),
    _f("password_never_expires", "Its password was set to stay for ever", say.password_never_expires),
    _f("last_seen_gt", "It was last seen long ago", say.last_seen_gt, _DAYS),
)  # fmt: skip
_MAY = (
    _f("is_superuser", "By whatever way: attribute, right, role or PUBLIC", say.is_superuser),
    _f("has_capability", "A named ability. `GRANT_ADMIN`: may hand out rights at large", say.has_capability,
       _text("name", "the ability", tuple(CAPABILITIES))),
    _f("has_role", "Was given this role itself", say.has_role,
       _text("name", "the role; without its host, database or container: any of that name")),
    _f("member_of", "Has this role, over whatever other roles", say.member_of, _text("role", "the role"), _ROLE_VIA),
    _f("has_privilege", "Holds a right at a level, and no DENY goes against it", say.has_privilege,
       _text("name", "the right"), *_WHERE),
    _f("has_any_privilege", "Holds one of several rights at a level", say.has_any_privilege,
       _texts("names", "the rights"), *_WHERE),
    _f("count_grants_gt", "Holds more rights than this", say.count_grants_gt, *_COUNT),
    _f("has_pattern_grant", "Holds a right of its own on a pattern of databases with a live `_` or `%` (MySQL)",
       say.has_pattern_grant),
    _f("has_dangling_grant", "Holds a right of its own in a database that is not there", say.has_dangling_grant),
    _f("has_inactive_role", "Was given a role that is not on at login, and that it does not administer",
       say.has_inactive_role),
    _f("is_unused_role", "A role without rights and members but who administers it; what it owns is not known",
       say.is_unused_role),
    _f("differs_by_host", "The same user has other rights on another host (MySQL)", say.differs_by_host),
)  # fmt: skip
FUNCTIONS: Mapping[str, Function] = MappingProxyType({f.signature.name: f for f in (*_MAY, *_OWN)})
SIGNATURES: Signatures = MappingProxyType({name: f.signature for name, f in FUNCTIONS.items()})


def ask(account: AccountFacts, call: Call) -> Verdict:
    """What a function says of an account. `call` was checked by `language.parse`."""
    return FUNCTIONS[call.fn].answer(account, dict(call.arguments))
