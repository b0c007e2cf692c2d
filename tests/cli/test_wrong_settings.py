"""Wrong and dangerous settings, as the operator sees them on the command line."""

from __future__ import annotations

import pytest

from tests.cli.shop import CommandLine

KEY = "OPENROUTER_API_KEY"


@pytest.mark.parametrize("value", ["\udce9", "\N{HORIZONTAL ELLIPSIS}", "\u200b", "\x1b[2J"])
def test_every_start_with_such_a_key_ends_with_exit_2(nothing: CommandLine, value: str) -> None:
    """In a process of its own, as the operator would see it."""
    refused = nothing.spawn(
        "serve", COBOT_METER_UPSTREAM="openrouter", OPENROUTER_API_KEY=f"sk-{value}"
    )
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith(f"cobot-meter: {KEY} has ")
    assert refused.stderr.count("\n") == 1


def test_the_doctor_shows_what_was_refused_and_what_was_accepted(nothing: CommandLine) -> None:
    """A refused risk is a failed check with exit 2; an accepted one keeps a row of its own."""
    danger = {"COBOT_METER_TRUSTED_PROXIES": "0.0.0.0/0"}
    refused = nothing.run("doctor", **danger)
    assert refused.exit_code == 2
    assert "any-proxy" in refused.stdout
    accepted = {**nothing.environ, **danger, "COBOT_METER_ACCEPTED_RISKS": "any-proxy"}
    rows = {row["name"]: row for row in CommandLine(accepted).read("doctor")}
    assert rows["risk: any-proxy"]["well"] is None
    assert "X-Forwarded-For" in rows["risk: any-proxy"]["detail"]
