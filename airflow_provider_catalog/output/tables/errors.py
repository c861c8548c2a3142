"""The errors of databases, told without what databases quote in theirs: the values of rows."""

from __future__ import annotations

import re
from typing import NamedTuple

from airflow_provider_catalog.errors import CatalogStorageError

LOCKED = {"55P03", "40P01", "40001", "1205", "1213", "SQLITE_BUSY", "SQLITE_LOCKED"}
"""A lock was not granted in time, or there was a deadlock: trying again may help."""
REFUSED = {"42501", "1044", "1142", "1143", "1227", "1290", "1370", "1792", "SQLITE_READONLY"}
"""The connection's user may not."""

# "COPY _catalog_1f…, line 3, column price: ...", of which the number is found in any language.
_COPY_CONTEXT = re.compile(r"_[0-9a-f]{16}\D*(\d+)(?:, column (.+?): )?")
_MYSQL_NAMES = re.compile(r"(?:column|key|field) (?:['`][^'`]+['`]\.)*['`]([^'`]+)['`](?: at row \d+)?$", re.IGNORECASE)
# Their messages speak of connections, locks, rights, names and the disk, and quote no value.
_PLAIN_STATES = ("08", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "0A")
_PLAIN_NUMBERS = {
    "1036", "1044", "1045", "1049", "1059", "1071", "1118", "1142", "1143", "1146", "1227", "1290", "1370",
}  # fmt: skip
_FAILURES = {
    "1021", "1040", "1041", "1053", "1114", "1153", "1205", "1213", "1317", "1927", "2002", "2003", "2006", "2013",
    "2026",
}  # fmt: skip
"""MySQL's numbers of what a retry may mend; its drivers make OperationalErrors of much else."""


class Details(NamedTuple):
    """What an error of a database tells without a value."""

    state: str
    """SQLSTATE, number or name; the error's class where it has none."""
    text: str = ""
    """Its message, where that can have no value of a row in it."""
    name: str = ""
    """The constraint or column at fault."""
    row: int | None = None
    """The row at fault, as ``COPY`` counts them."""


def details(error: BaseException) -> Details:
    """Return what an error of a driver or of SQLAlchemy tells."""
    error = getattr(error, "orig", None) or error
    if name := getattr(error, "sqlite_errorname", None):
        text = "" if name.startswith("SQLITE_CONSTRAINT_TRIGGER") else str(error)
        return Details(name.removesuffix("_SNAPSHOT").removesuffix("_RECOVERY"), text)
    if (diag := getattr(error, "diag", None)) and diag.sqlstate:
        copied = _COPY_CONTEXT.search(diag.context or "")
        text = str(diag.message_primary) if diag.sqlstate.startswith(_PLAIN_STATES) else ""
        name = diag.constraint_name or diag.column_name or ((copied and copied[2]) or "")
        return Details(diag.sqlstate, text, name, int(copied[1]) if copied else None)
    if error.args and isinstance(error.args[0], int):
        number, message = str(error.args[0]), str(error.args[-1])
        named = _MYSQL_NAMES.search(message)
        return Details(number, message if number in _PLAIN_NUMBERS | _FAILURES else "", named[1] if named else "")
    return Details(type(error).__name__)


def is_locked(error: BaseException) -> bool:
    """Tell whether the error is about a lock, so that trying again may help."""
    return details(error).state in LOCKED


def storage_error(error: Exception, where: str, grant: str) -> CatalogStorageError:
    """Return a database's error without values: with table and connection, and the ``GRANT`` for a missing right."""
    what = details(error)
    classes = {kind.__name__ for kind in type(getattr(error, "orig", None) or error).__mro__}
    # PEP 249: an OperationalError is one of the database's operation, not of the statement or the data.
    is_failure = what.state in _FAILURES or (
        bool(classes & {"OperationalError", "InterfaceError"}) and not (len(what.state) == 4 or what.state in REFUSED)
    )
    if what.state in REFUSED:
        remedy = f"let the database's administrator run {grant}; the database refuses"
    elif what.state in LOCKED:
        remedy = "try again later, or end the session that holds a lock on the table; it was not released in time"
    elif is_failure:
        remedy = "try again; the database failed and nothing was loaded"
    else:
        remedy = "nothing was loaded; the database refuses a statement or a value"
    row = f", row {what.row}" if what.row else ""
    name = f", {what.name!r}" if what.name else ""
    text = f": {what.text}" if what.text else ""
    message = f"{remedy} ({what.state}{row}{name}){text} ({where})"
    return CatalogStorageError(message, retryable=is_failure or what.state in LOCKED)
