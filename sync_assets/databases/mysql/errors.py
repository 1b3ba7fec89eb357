"""MySQL's and MariaDB's errors, sorted by what to do next. Reads numbers; names only, from errors about the schema."""

from __future__ import annotations

import re
import socket
import ssl
import struct

import pymysql

from sync_assets.engine.errors import BadBatch, Retry, Stop, SyncError

_Rule = tuple[type[SyncError], str, str]
_LOGIN: _Rule = (Stop, "the login was refused", "check user and password; it was tried once")
_WRITE: _Rule = (Stop, "the query tries to write, and was refused", "a source query can only read")
_SLOW: _Rule = (Stop, "the query ran longer than it may", "give it an index or a smaller window")
_LOST: _Rule = (Retry, "the connection was lost", "")
_SYNTAX: _Rule = (Stop, "the query has a syntax error", "try it in the mysql client")
_FULL: _Rule = (Retry, "the server is short of memory, disk or connections", "look after the server")
_BUSY: _Rule = (Retry, "the server ended the transaction in favour of another", "")
_STOPPING: _Rule = (Retry, "the server is starting or stopping", "")
_VALUE: _Rule = (Stop, "an expression of the query fails on a value", "guard it: NULLIF, CASE, a safer cast")
_ADDRESS: _Rule = (Retry, "nothing answers at this address", "check host and port, and that the server runs")

_NUMBERS: dict[int, _Rule] = {
    1044: (Stop, "this user has no right to the database", "grant select on it to this user"),
    1045: _LOGIN, 1698: _LOGIN, 1862: _LOGIN, 3118: _LOGIN, 1820: _LOGIN, 4151: _LOGIN, 1251: _LOGIN, 1524: _LOGIN,
    1130: (Stop, "the server does not accept this machine", "create the user for this host: 'user'@'%'"),
    1129: (Stop, "the server blocks this machine after too many failures", "run FLUSH HOSTS there"),
    3159: (Stop, "the server takes only encrypted connections", "set tls: require"),
    1049: (Stop, "the database does not exist", "check database in the connection"),
    1046: (Stop, "the connection names no database", "set database in the connection"),
    1142: (Stop, "no right to {verb} table {name}", "grant {grant} on it to this user"),
    1143: (Stop, "no right to {verb} column {name}", "grant {grant} on it to this user"),
    1370: (Stop, "no right to run {name}", "grant execute on it, or leave it out"),
    1227: (Stop, "the query needs a privilege that this user lacks", "leave that part out"),
    1345: (Stop, "no right to look behind a view", "grant show view to this user"),
    1146: (Stop, "the table {name} does not exist", "check its spelling and database"),
    1051: (Stop, "the table {name} does not exist", "check its spelling and database"),
    1054: (Stop, "the column {name} does not exist", "check its spelling"),
    1305: (Stop, "the function {name} does not exist", "check its spelling"),
    1630: (Stop, "the function {name} does not exist", "check its spelling"),
    1060: (Stop, "two columns are called {name}", "give one another name with AS"),
    1052: (Stop, "the column {name} is in more than one table", "write table.column"),
    1064: _SYNTAX, 1149: _SYNTAX, 1295: (Stop, "this statement is none of a source query", "write a SELECT"),
    1055: (Stop, "GROUP BY leaves the column {name} open", "group by it, or aggregate it"),
    1298: (Stop, "the server does not know the time zone of the sync, and its clock changes within this window",
           "load the zones there: mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql"),
    1792: _WRITE, 1290: _WRITE, 1836: _WRITE,
    1317: _SLOW, 1969: _SLOW, 3024: _SLOW, 1028: _SLOW,
    1205: _BUSY, 1213: _BUSY, 1020: _BUSY, 1637: _BUSY,
    1040: (Retry, "the server has no connection left", "fewer parallel runs, or a higher max_connections"),
    1203: (Retry, "this user has no connection left", "fewer parallel runs, or a higher max_user_connections"),
    1226: (Retry, "this user has used up its limits", "raise its limits"),
    1021: _FULL, 1037: _FULL, 1038: _FULL, 1041: _FULL, 1114: _FULL, 1135: _FULL, 3: _FULL,
    1053: _STOPPING, 1077: _STOPPING, 1079: _STOPPING, 1152: _LOST, 1927: _LOST, 1158: _LOST, 1159: _LOST,
    1160: _LOST, 1161: _LOST, 2002: _ADDRESS, 2003: _ADDRESS, 2005: _ADDRESS,
    2006: _LOST, 2013: _LOST, 2014: _LOST, 2055: _LOST, 4031: _LOST,
    2026: (Stop, "the server offers no TLS, or not one that we accept",
           "switch TLS on at the server, set ca: to its authority's file, or set tls: prefer"),
    1264: _VALUE, 1292: _VALUE, 1365: _VALUE, 1366: _VALUE, 1411: _VALUE, 1690: _VALUE, 1242: _VALUE,
}  # fmt: skip
# What means something else, or more, where rows are written: a row that does not fit is no fault of the query.
_TOO_LONG: _Rule = (BadBatch, "a value is too long for column {name}", "widen the column, or shorten the value")
_RANGE: _Rule = (BadBatch, "a value is out of the range of column {name}", "widen the column")
_WRONG: _Rule = (BadBatch, "a value is none of the type of column {name}", "look at the column's type here and there")
_MISFIT: _Rule = (BadBatch, "a value does not fit column {name}", "widen the column, or mend the value")
_NULL: _Rule = (BadBatch, "a value is missing in column {name}, which must have one", "drop its NOT NULL, or fill it")
_TWICE: _Rule = (BadBatch, "a row repeats a value of the unique index {name}", "look for the other row that has it")
_ALONE: _Rule = (BadBatch, "a row breaks a foreign key", "write the referenced table first")
_CHECK: _Rule = (BadBatch, "a row breaks the check {name}", "look at the table's checks")
_FIELDS: _Rule = (BadBatch, "a row has another number of fields than the table takes", "")
_CHARSET: _Rule = (BadBatch, "a text does not fit the character set of column {name}", "use utf8mb4 there")
_WRITING: dict[int, _Rule] = {
    1044: (Stop, "this user has no right to the database", "grant create, alter, drop, select, insert, update,"
           " delete on it to this user"),
    1265: _MISFIT, 1366: _WRONG, 1292: _WRONG, 1411: _WRONG, 1367: _WRONG, 3140: _WRONG, 1416: _WRONG, 3037: _WRONG,
    1264: _RANGE, 1690: _RANGE, 1406: _TOO_LONG, 1301: _TOO_LONG, 1048: _NULL, 1263: _NULL, 1364: _NULL,
    1062: _TWICE, 1586: _TWICE, 1022: _TWICE, 1216: _ALONE, 1217: _ALONE, 1451: _ALONE, 1452: _ALONE,
    3819: _CHECK, 4025: _CHECK, 1261: _FIELDS, 1262: _FIELDS, 1300: _CHARSET, 3854: _CHARSET, 1977: _CHARSET,
    1227: (Stop, "the statement needs a privilege that this user lacks", "grant it, or leave that part to an"
           " administrator"),
    1064: (Stop, "a statement was not understood by the server", "its version may be too old"),
    1290: (Stop, "the server takes no writes", "write to the primary; a replica is read-only"),
    1792: (Stop, "the server takes no writes", "write to the primary; a replica is read-only"),
    1836: (Stop, "the server takes no writes", "write to the primary; a replica is read-only"),
    1205: (Retry, "somebody else holds a lock on the table for too long", "look for a long transaction"),
    1206: (Retry, "the server has no room for more locks", "a larger innodb_buffer_pool_size"),
    1665: (Stop, "the server's binary log does not take these statements", "set binlog_format to ROW or MIXED"),
    1118: (Stop, "the rows of the table would be too long", "use text or blob types for long columns"),
    1071: (Stop, "a key would be too long", "shorten its text columns"),
    1170: (Stop, "a key needs a length for column {name}", "give the column a varchar type"),
    1050: (Stop, "the table {name} exists already", "look whose it is"),
    1005: (Stop, "a table cannot be made", "look at its foreign keys and the server's log"),
    1215: (Stop, "a foreign key cannot be made", "both sides need the same types, and an index there"),
    3780: (Stop, "a foreign key joins columns of different types", "both sides need the same types"),
    1822: (Stop, "a foreign key needs an index on the table that it points to", "add it"),
    1146: (Stop, "the table {name} does not exist", "let the sync create it (create: true), or check its name"),
    1153: (Stop, "a row is longer than the server takes", "raise max_allowed_packet there"),
}  # fmt: skip
_TELL_NAMES = {1142, 1143, 1146, 1051, 1054, 1305, 1630, 1060, 1052, 1055, 1370, 1050, 1170}
# Errors of values quote the value first, so that only the name that follows one of these words is taken.
_BEFORE_NAME = {1062: "for key", 1586: "for key", 1022: "in table", 3819: "constraint", 4025: "CONSTRAINT",
                1048: "Column", 1364: "Field", 1263: "column"}  # fmt: skip
_OLD_WORDS = {"SELECT": "read", "INSERT": "write to", "UPDATE": "write to", "DELETE": "write to"}


def classify_write(error: Exception, place: str) -> SyncError:
    """The same where we write: rows that do not fit are `BadBatch`, with the column and never the value."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    rule = _CHARSET if _is_charset(error, number) else _WRITING.get(number)
    if rule is None or isinstance(error, SyncError):
        return classify(error, place)
    name = _named(error, number) or _column(error, number)
    made = _made(rule, place, number, name)
    return BadBatch(made.message, field=name, hint=made.hint, code=made.code) if isinstance(made, BadBatch) else made


def _is_charset(error: Exception, number: int) -> bool:
    """The server has one number for a text that is no number and for one that its character set lacks."""
    return number == 1366 and str(error.args[1:]).lstrip("('\"").startswith("Incorrect string value")


def warned(number: int, text: str, place: str) -> BadBatch:
    """A warning of a load, which is an error that LOAD DATA LOCAL would let pass."""
    made = classify_write(_Warned(number, text), place)
    if isinstance(made, BadBatch):
        return made
    return BadBatch(f"{place}: a value would not be stored as it is", code=str(number))


class _Warned(Exception):
    """A row of SHOW WARNINGS, in the form of the driver's errors."""


def classify(error: Exception, place: str) -> SyncError:
    """`place` says which connection. Only names of tables and columns are taken over from the server's text."""
    if isinstance(error, SyncError):
        return error
    if isinstance(error, ssl.SSLError):
        return _certificate(place)
    if isinstance(error, TimeoutError):
        return Retry(f"{place}: the server said nothing for too long", hint="check it", after=1)
    if isinstance(error, OSError):
        return _made(_LOST, place, 0, "")
    if isinstance(error, RuntimeError) and "cryptography" in str(error):
        return Stop(f"{place}: this login needs TLS or RSA", hint="set tls: require, or pip install cryptography")
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if isinstance(getattr(error, "original_exception", None), ssl.SSLError):
        return _certificate(place)
    rule = _NUMBERS.get(number)
    if rule is None and number == 0 and isinstance(error, pymysql.err.InterfaceError):
        rule = _LOST
    if rule is None and isinstance(error, UnicodeError):
        return Stop(f"{place}: a text of the server is no UTF-8", hint="look at the column's character set")
    return _made(
        rule or (Stop, "the server refused the query", "try it in the mysql client"),
        place,
        number,
        _named(error, number),
        _refused(error, number),
    )


def _certificate(place: str) -> Stop:
    return Stop(
        f"{place}: the server's certificate could not be verified",
        hint="set ca: to the file of the authority that signed it, and host: to the name in it",
    )


def _made(rule: _Rule, place: str, number: int, name: str, refused: str = "SELECT") -> SyncError:
    kind, message, hint = rule
    verb = _OLD_WORDS.get(refused, refused.lower())
    text = f"{place}: {' '.join(message.format(name=name, verb=verb).split())}"
    hint = hint.format(grant=refused.lower())
    code = str(number) if number else ""
    if kind is Retry:
        return Retry(text, hint=hint, code=code, after=60 if rule is _FULL or number in (1040, 1203, 1226) else 1)
    return kind(text, hint=hint, code=code)


def _named(error: Exception, number: int) -> str:
    """The identifier in the server's message: only of errors about the schema, which quote nothing else."""
    if number not in _TELL_NAMES or len(error.args) < 2:
        return ""
    text = str(error.args[1])
    found = re.findall(r"[`'‘]([^'`’]+)[`'’]", text) or re.findall(r"FUNCTION ([\w.]+)", text)
    if number in (1142, 1143, 1370):  # "SELECT command denied to user 'u'@'h' for table `d`.`t`"
        return found[-1][:130] if found else ""
    return found[0][:130] if found else ""


def _refused(error: Exception, number: int) -> str:
    """The privilege that was missing: "INSERT, DELETE command denied to user ..."."""
    if number not in (1142, 1143) or len(error.args) < 2:
        return "SELECT"
    found = re.match(r"([A-Z ]+?)(?:, [A-Z, ]+)? command denied", str(error.args[1]))
    return found[1] if found else "SELECT"


def _column(error: Exception, number: int) -> str:
    """The column or index in an error about a value: what is quoted after the words that come before names.

    The value itself may hold such words, so the last place counts; where a value comes last, nothing is taken.
    """
    text = str(error.args[1]) if len(error.args) > 1 else ""
    if number in _BEFORE_NAME:
        found = re.findall(_BEFORE_NAME[number] + r" [`'‘]((?:[^'`’]|`\.`)+)[`'’]", text)
        return _last_part(found[-1]) if found else ""
    if number == 1300 or number not in _WRITING:
        return ""
    place = re.search(r"for (?:column|field) (.{1,300}) at row \d+$", text, re.S)
    return _last_part(place[1].rsplit(" ", 1)[-1]) if place else ""


def _last_part(name: str) -> str:
    return re.split(r"`?\.`?", name.strip("`'‘’"))[-1][:130]


# -- why nobody let us in, in one word (the reasons of a fleet's gaps)

_REASONS = {
    "auth": {1045, 1698, 1862, 3118, 1820, 4151, 1251, 1524, 1130, 1129},
    "privilege": {1044},
    "refused": {2002, 2003, 1040, 1203, 1226, 1053, 1077, 1079, 1135},
    "protocol": {2026, 3159, 2006, 2013, 2014, 2055, 4031, 1043, 1158, 1159, 1160, 1161, 1152, 1927, 2012, 2061},
    "dns": {2005},
}
_GONE = {2006, 2013, 2014, 2055, 4031, 1152, 1927, 1158, 1159, 1160, 1161, 1053}


def classify_login(error: Exception, place: str) -> SyncError:
    """The same for a login that failed, with the reason as the code: dns, refused, timeout, auth, protocol, other."""
    if isinstance(error, (struct.error, LookupError, ValueError)):
        what, hint = "what answers at this address is no MySQL server", "check host and port"
        return Stop(f"{place}: {what}", hint=hint, code="protocol")
    told = classify(error, place)
    told.code = reason(error)
    if told.code == "dns":
        told.message, told.hint = f"{place}: the host's name cannot be resolved", "check host"
    if told.code == "timeout" and isinstance(told, Retry):
        told.message, told.hint = f"{place}: no answer", "check host, port and firewall, and that the server runs"
    return told


def reason(error: Exception) -> str:
    """Why a login failed. PyMySQL gives a name that is unknown and a silent host the number of a refused port."""
    cause = getattr(error, "original_exception", error)
    if isinstance(cause, socket.gaierror):
        return "dns"
    if isinstance(cause, TimeoutError) or "timed out" in str(error.args[1:]):
        return "timeout"
    if isinstance(cause, ssl.SSLError):
        return "protocol"
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    found = next((word for word, numbers in _REASONS.items() if number in numbers), "")
    return found or ("protocol" if number == 0 or isinstance(cause, OSError) else "other")


def is_lost(error: Exception) -> bool:
    """Whether the connection is gone, so that nothing more can be asked on it."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    return isinstance(error, OSError) or number in _GONE or (number == 0 and isinstance(error, pymysql.err.Error))
