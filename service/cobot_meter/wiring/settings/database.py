"""Settings of the database: the SQLite file in the data directory, or a PostgreSQL.

The address holds a password, so it is never shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.settings.text import fault_of
from cobot_meter.wiring.settings.values import Secret, Values

SCHEME = "postgresql"
PORT = 5432
OPTIONS = ("host", "sslmode")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
WANTED = "an address such as postgresql://user:password@host:5432/database"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """`url` is empty for the file in the data directory; `shown` is the address to talk about."""

    url: Secret
    shown: str


def read_database(values: Values) -> DatabaseSettings:
    """The database that is set, if any.

    Raises SettingInvalid, and never with what was given: a password stands in it.
    """
    url = values.secret("DATABASE_URL")
    name = values.full("DATABASE_URL")
    where = shown_address(url.reveal(), name=name) if url else ""
    return DatabaseSettings(url=url, shown=where)


def shown_address(url: str, *, name: str) -> str:
    """`host:port/database` of a PostgreSQL address.

    Raises SettingInvalid, with `name` for where it came from, when it is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise _not_an_address(name) from None
    host = parts.hostname or options.get("host", "")
    database = unquote(parts.path.removeprefix("/"))
    known = set(options) <= set(OPTIONS) and options.get("sslmode", "prefer") in SSL_MODES
    known = known and fault_of(f"{host}{database}", ascii_only=False) is None
    if parts.scheme != SCHEME or not host or not database or "/" in database or not known:
        raise _not_an_address(name)
    return f"[{host}]:{port}/{database}" if ":" in host else f"{host}:{port}/{database}"


def _not_an_address(name: str) -> SettingInvalid:
    options = " or ".join(OPTIONS)
    message = f"{name} must be {WANTED}, with nothing after it but {options}"
    return SettingInvalid(message)
