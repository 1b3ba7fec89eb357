"""PostgreSQL's errors, sorted by what to do next. Reads SQLSTATEs, and texts only where libpq gives no state.

The same state means different things where we read (a query of the user's) and where we write (a row that does not
fit): `classify` is for reading, `classify_writing` for writing.
"""

from __future__ import annotations

import re

import psycopg

from sync_assets.engine.errors import BadBatch, Retry, Stop, SyncError

# SQLSTATE (or its class of two letters) -> class, message, hint. {name} is the identifier the server quoted.
_STATES: dict[str, tuple[type[SyncError], str, str]] = {
    "28": (Stop, "the login was refused", "check user and password; it was tried once"),
    "3D000": (Stop, "the database does not exist", "check database in the connection"),
    "3F000": (Stop, "the schema {name} does not exist", "check its spelling; names are case-sensitive here"),
    "42P01": (Stop, "the table {name} does not exist", "check its spelling and schema; names are case-sensitive here"),
    "42703": (Stop, "the column {name} does not exist", "check its spelling; names are case-sensitive here"),
    "42501": (Stop, "no right to read {name}", "grant select on it (and usage on its schema) to this user"),
    "42883": (Stop, "no function or operator {name} for these types", "cast the operands: CAST(x AS type)"),
    "42601": (Stop, "the query has a syntax error near {name}", "try it in psql"),
    "42P18": (Stop, "the type of a parameter cannot be told", "cast it: CAST(:value AS text)"),
    "42": (Stop, "the server does not understand the query near {name}", "try it in psql"),
    "34": (Stop, "the server does not understand the query", "try it in psql"),
    "0A000": (Stop, "the query uses what cannot be used in a source query", "a source query can only read"),
    "22": (Stop, "an expression of the query fails on a value", "guard it: NULLIF, CASE, a safer cast"),
    "25006": (Stop, "the query tries to write, and was refused", "a source query can only read"),
    "54": (Stop, "the query is too large for the server", "make it smaller"),
    "57014": (Stop, "the query ran longer than it may", "give it an index or a smaller window"),
    "40": (Retry, "the server ended the transaction in favour of another", ""),
    "53300": (Retry, "the server has no connection left", "fewer parallel runs, or a higher max_connections"),
    "53": (Retry, "the server is short of memory, disk or connections", "look after the server"),
    "55": (Retry, "something is locked or not ready", ""),
    "57": (Retry, "the server is starting, stopping or recovering", ""),
    "58": (Retry, "the server has trouble with its files", "look after the server"),
    "08": (Retry, "the connection was lost", ""),
}
# What differs where we write. {column} and {constraint} are names, never values.
_WRITING: dict[str, tuple[type[SyncError], str, str]] = {
    "22": (BadBatch, "a value does not fit {column}", "mend the row, or widen the column"),
    "22001": (BadBatch, "a text is too long for {column}", "widen the column, or shorten the text"),
    "22003": (BadBatch, "a number is out of the range of {column}", "widen the column"),
    "22021": (BadBatch, "a text in {column} holds a character that the target cannot hold", "NUL has no place in text"),
    "22P02": (BadBatch, "a value is no value of the type of {column}", "map the column to another type"),
    "22P03": (BadBatch, "a binary value is none of the type of {column}", "compare the types of both columns"),
    "22P04": (Stop, "the rows do not have the columns of {name}", "compare the columns of both tables"),
    "23502": (BadBatch, "NULL in {column}, which takes none", "mend the row, or drop NOT NULL in the target"),
    "23503": (BadBatch, "a row points to one that is missing, or is pointed to (foreign key {constraint})",
              "sync the other table too, first"),
    "23505": (BadBatch, "a key is there already (unique {constraint})", "see which rows share it"),
    "23514": (BadBatch, "a row breaks the check {constraint}", "mend the row, or the check"),
    "23P01": (BadBatch, "a row overlaps another (exclusion {constraint})", "mend the row"),
    "23": (BadBatch, "a row breaks the constraint {constraint}", "mend the row, or the constraint"),
    "42501": (Stop, "no right to use {name}",
              "grant the right on it, and usage and create on its schema, to this user; some changes need its owner"),
    "428C9": (Stop, "the column {name} is written by the server itself", "skip it (columns: NAME: skip)"),
    "25006": (Stop, "this server takes no writes", "connect to the primary, not to a standby"),
    "0A000": (Stop, "the server cannot do this with {name}", "see what kind of table it is"),
    "2BP01": (Stop, "other objects hang on {name}", "see which, and drop them first"),
    "42P07": (Stop, "{name} is there already", "see what it is"),
    "42710": (Stop, "{name} is there already", "see what it is"),
    "42830": (Stop, "the other table has no unique key for a foreign key", "give it one"),
    "42601": (Stop, "a statement was not understood near {name}", "this is a bug of sync_assets: report it"),
    "42883": (Stop, "no function or operator {name} for these types", "is an extension missing in the target?"),
    "42704": (Stop, "{name} does not exist in the target", "create it, or let create: true make it"),
    "42": (Stop, "the server refused the statement near {name}", "compare the structure of both tables"),
    "54": (BadBatch, "a row is too large for the server, or for an index on it", "skip the column, or drop the index"),
    "57014": (Retry, "a statement ran longer than it may", "smaller slices, or a longer timeout"),
    "55P03": (Retry, "a lock was not to be had in time", "see who holds it: pg_stat_activity"),
    "53100": (Retry, "the disk of the server is full", "make room"),
}  # fmt: skip
# What libpq says while connecting comes without a state, in the server's language. Pattern -> state or class.
_CONNECTING = (
    (r"does not support SSL|SSL was required", "tls"),
    (r"certificate|SSL error|sslrootcert|root\.crt", "certificate"),
    (r"authentication failed|认证失败|no password supplied|fe_sendauth|pg_hba\.conf", "28"),
    (r'database ".*" does not exist|数据库.*不存在', "3D000"),
    (r'role ".*" does not exist|角色.*不存在|not permitted to log in|is not permitted', "28"),
    (r"permission denied for database", "42501"),
    (r"too many (clients|connections)|remaining connection slots", "53300"),
    (r"starting up|shutting down|recovery|not yet accepting|terminating connection", "57"),
    (r"translate host name|Name or service|nodename|resolve", "dns"),
    (r"refused", "refused"),
    (r"timeout expired|timed out", "silent"),
)
_CONNECTION_WORDS: dict[str, tuple[type[SyncError], str, str]] = {
    "tls": (Stop, "the server offers no TLS, and the connection requires it",
            "switch TLS on at the server, or set tls: prefer"),
    "certificate": (Stop, "the server's certificate could not be verified",
                    "set ca: to the file of the authority that signed it, and host: to the name in it"),
    "dns": (Retry, "the host's name cannot be resolved", "check host"),
    "refused": (Retry, "nothing listens at this address", "check host and port, and that the server runs"),
    "silent": (Retry, "the server does not answer", "check host, port and firewall"),
}  # fmt: skip
# SQLSTATE (or its class), or word of `_CONNECTING` -> the fleet's word for why a server could not be asked.
_REASONS = {
    "28": "auth", "42501": "privilege", "57014": "timeout", "55P03": "timeout", "53300": "refused", "57": "refused",
    "08": "protocol", "tls": "protocol", "certificate": "protocol",
    "dns": "dns", "refused": "refused", "silent": "timeout",
}  # fmt: skip
_NAMING = ("42P01", "42703", "42501", "42883", "3F000", "42704", "42P07", "42710", "2BP01", "428C9")
_LOST = (Retry, "the connection was lost", "")


def classify(error: Exception, place: str) -> SyncError:
    """`place` says which connection. Only names of tables and columns are taken over from the server's text."""
    if isinstance(error, SyncError):
        return error
    state = getattr(error, "sqlstate", None) or ""
    if state:
        rule = _STATES.get(state) or _STATES.get(state[:2]) or (Stop, "the server refused the query", "")
        return _made(rule, place, state, _named(error, state))
    if isinstance(error, psycopg.OperationalError):
        text = str(error)
        word = next((word for pattern, word in _CONNECTING if re.search(pattern, text)), "")
        rule = _CONNECTION_WORDS.get(word) or _STATES.get(word) or _unnamed(text)
        return _made(rule, place, "" if word in _CONNECTION_WORDS else word, "")
    if isinstance(error, psycopg.InterfaceError):
        return _made(_LOST, place, "", "")
    return Stop(f"{place}: reading failed ({type(error).__name__})", hint="try the query in psql")


def classify_writing(error: Exception, place: str) -> SyncError:
    """As `classify`, of a statement that writes or makes something. A row that is refused is a `BadBatch`."""
    state = getattr(error, "sqlstate", None) or ""
    rule = _WRITING.get(state) or (None if state in _STATES else _WRITING.get(state[:2])) if state else None
    if isinstance(error, SyncError) or rule is None:
        return classify(error, place)
    kind, message, hint = rule
    column = _column(error)
    words = {
        "column": f"column {column}" if column else "its column",
        "constraint": _diagnosed(error, "constraint_name"),
        "name": _named(error, state) or _diagnosed(error, "table_name") or "this",
    }
    text = re.sub(r"\s+", " ", f"{place}: {message.format(**words)}").replace(" near this", "")
    if kind is Retry:
        return Retry(text, hint=hint, code=state, after=60 if state[:2] == "53" else 1)
    if kind is BadBatch:
        return BadBatch(text, field=column, hint=hint, code=state)
    return kind(text, hint=hint, code=state)


def reason(error: Exception) -> str:
    """Why a look at a server failed: dns, refused, timeout, auth, privilege, protocol or other."""
    state = getattr(error, "sqlstate", None) or ""
    if not state and isinstance(error, psycopg.OperationalError):
        state = next((word for pattern, word in _CONNECTING if re.search(pattern, str(error))), "08")
        if state == "08" and _unnamed(str(error)) is not _LOST:
            return "other"
    return _REASONS.get(state) or _REASONS.get(state[:2]) or "other"


def _column(error: Exception) -> str:
    """The column: as the server says, or from where it was in a COPY ("COPY t, line 3, column c: ...")."""
    where = _diagnosed(error, "context")
    found = re.search(r"^COPY .*?, [^,\n]+ \d+, \S+ ([^:\n]{1,64})(?::|$)", where, re.MULTILINE)
    return _diagnosed(error, "column_name") or (found.group(1) if found else "")


def _diagnosed(error: Exception, name: str) -> str:
    return getattr(getattr(error, "diag", None), name, None) or ""


def _unnamed(text: str) -> tuple[type[SyncError], str, str]:
    """A refusal that we cannot name must not be tried again: it may be a password. A broken line may."""
    if "FATAL" in text or "致命错误" in text:
        return (Stop, "the server refused the connection", "look at the server's log")
    return _LOST


def _made(rule: tuple[type[SyncError], str, str], place: str, code: str, name: str) -> SyncError:
    kind, message, hint = rule
    spoken = re.sub(r"\s+", " ", message.replace(" near {name}", f" near {name}" if name else "").format(name=name))
    if kind is Retry:
        return Retry(f"{place}: {spoken.strip()}", hint=hint, code=code, after=60 if code[:2] == "53" else 1)
    return kind(f"{place}: {spoken.strip()}", hint=hint, code=code)


def _named(error: Exception, state: str) -> str:
    """The identifier in the server's message: only of errors about the schema, which quote nothing else."""
    if state not in _NAMING:
        return ""
    text = getattr(getattr(error, "diag", None), "message_primary", None) or ""
    found = re.search(r'["“«]([^"”»]+)["”»]', text) or re.search(r"(?:column|function|for \w+) ([\w.]+)", text)
    return found.group(1)[:130] if found else ""
