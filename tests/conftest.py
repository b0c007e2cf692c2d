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
# What waits for a minute by itself, or starts servers of its own, is not stuck after two.
LONG = ("slow", "postgres", "real_nodes")
LONG_S = 360


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the long tests time for a machine that is busy with something else."""
    for item in items:
        own = item.get_closest_marker("timeout")
        if own is None and any(item.get_closest_marker(name) for name in LONG):
            item.add_marker(pytest.mark.timeout(LONG_S))


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
