"""The database's address: what it may be, and that its password is never shown."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.settings.settings import read_settings

NAME = "COBOT_METER_DATABASE_URL"


def test_the_books_are_in_a_file_unless_an_address_says_otherwise() -> None:
    """Without the variable, or with an empty one, there is no address at all."""
    for environ in ({}, {NAME: " "}):
        assert not read_settings(environ).database.url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:canary@db.example/books", "db.example:5432/books"),
        ("postgresql://ann@[::1]:5433/books?sslmode=require", "[::1]:5433/books"),
        ("postgresql:///books?host=/run/postgresql", "/run/postgresql:5432/books"),
    ],
)
def test_an_address_is_shown_without_user_and_password(url: str, shown: str) -> None:
    """What people read is host, port and database; the rest is for the connection only."""
    settings = read_settings({NAME: url})
    assert settings.database.shown == shown
    assert settings.database.url.reveal() == url
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "canary",
        "mysql://ann:canary@host/books",
        "postgresql://ann:canary@host",
        "postgresql://ann:canary@host/a/b",
        "postgresql://ann:canary@host:port/books",
        "postgresql://ann:canary@host:99999/books",
        "postgresql://ann:canary@/books",
        "postgresql://ann:canary@host/books?options=-c",
        "postgresql://ann:canary@[::1/books",
    ],
)
def test_a_wrong_address_is_one_line_without_it(url: str) -> None:
    """The refusal names the variable and what fits, and never repeats what was given."""
    with pytest.raises(SettingInvalid) as refused:
        read_settings({NAME: url})
    assert NAME in refused.value.message
    assert "canary" not in refused.value.message
    assert "\n" not in refused.value.message
