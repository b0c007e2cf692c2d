"""For the whole run: what proofs counted is said at its end."""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.stuck",
    "tests.postgres.fixtures",
    "tests.regtest.fixtures",
    "tests.nginx.fixtures",
]

COUNTED = "counted"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every property named `counted`, whatever process its test ran in."""
    counted = [
        (report.nodeid, text)
        for report in terminalreporter.getreports("passed")
        for name, text in report.user_properties
        if name == COUNTED
    ]
    if counted:
        terminalreporter.section("what the proofs counted")
        for nodeid, text in sorted(counted):
            terminalreporter.line(f"{nodeid.rpartition('::')[2]}: {text}")
