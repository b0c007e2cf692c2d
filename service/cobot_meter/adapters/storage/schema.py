"""Which schema this version reads, and what is said of books that have another one."""

from __future__ import annotations

from cobot_meter.domain.errors import SettingInvalid

VERSION_TABLE = "alembic_version"
# The newest revision in migrations/versions/.
HEAD = "0015"


def other_schema(where: object, found: str | None) -> SettingInvalid:
    """Why books of another schema cannot be read, and what to do: one rule for every command."""
    if found is not None and found > HEAD:
        return SettingInvalid(
            f"the books at {where} were written by a newer version of this service (they have "
            f"schema {found}, and this one knows up to {HEAD}): run that version, or restore a "
            "backup from before it"
        )
    return SettingInvalid(
        f"the books at {where} have schema {found} and this version reads {HEAD}: stop the "
        "services on them and run `cobot-meter db upgrade`"
    )
