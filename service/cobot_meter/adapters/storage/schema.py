"""Which schema this version reads, and what is said of books that have another one."""

from __future__ import annotations

import functools
from pathlib import Path

from cobot_meter.domain.errors import SettingInvalid

VERSION_TABLE = "alembic_version"
REVISIONS = Path(__file__).with_name("migrations") / "versions"


@functools.cache
def head() -> str:
    """The newest revision, by the names of the files: `0012_runs.py` is 0012. Alembic is slow."""
    return max(file.name.partition("_")[0] for file in REVISIONS.rglob("[0-9]*_*.py"))


def other_schema(where: object, found: str | None) -> SettingInvalid:
    """Why books of another schema cannot be read, and what to do: one rule for every command."""
    if found is not None and found > head():
        return SettingInvalid(
            f"the books at {where} were written by a newer version of this service (they have "
            f"schema {found}, and this one knows up to {head()}): run that version, or restore a "
            "backup from before it"
        )
    return SettingInvalid(
        f"the books at {where} have schema {found} and this version reads {head()}: stop the "
        "services on them and run `cobot-meter db upgrade`"
    )
