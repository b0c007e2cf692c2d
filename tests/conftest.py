"""For the whole run: searches that are the same each time; what proofs counted is said at the end.

A search that finds something on one run and nothing on the next proves nothing about a change:
here every search has its own fixed seed. `--hypothesis-profile=default` searches anew.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, print_blob=True)
settings.load_profile("fixed")

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
