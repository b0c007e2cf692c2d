"""For the whole run: searches that are the same each time; what proofs counted is said at the end.

A search that finds something on one run and nothing on the next proves nothing about a change:
here every search has its own fixed seed, looks at the same examples whatever ran before it, and
no clock ends it. `--hypothesis-profile=default` draws other seeds.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.internal.constants_ast import Constants

settings.register_profile(
    "fixed",
    derandomize=True,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fixed")
# Hypothesis mixes in constants of whatever modules the process has loaded by then, so that a
# fixed seed would look at other examples behind other tests. It has no setting for that; the
# constants it brings itself are drawn as ever.
setattr(HypothesisProvider, "_local_constants", property(lambda _: Constants()))  # noqa: B010

pytest_plugins = [
    "tests.scratch",
    "tests.stuck",
    "tests.postgres.fixtures",
    "tests.regtest.fixtures",
    "tests.nginx.fixtures",
]

COUNTED = "counted"
# What waits for a minute by itself, or starts servers of its own, is not stuck after two.
LONG = ("slow", "postgres", "real_nodes")
LONG_S = 360
# A test's name is in the environment of whatever it starts, where a long one lets nothing start.
NAME_CHARS_MAX = 1_000
TEXT_CHARS_MAX = 80


def pytest_make_parametrize_id(val: object) -> str | None:
    """A text that is long by intention is named by its beginning and its length."""
    if isinstance(val, str | bytes) and len(val) > TEXT_CHARS_MAX:
        return f"{val[:TEXT_CHARS_MAX]!a} of {len(val)}"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the long tests time for a machine that is busy with something else, and begin with them.

    What takes minutes and begins last is waited for by workers that have nothing left to do. The
    tests of a file keep their order.
    """
    for item in items:
        own = item.get_closest_marker("timeout")
        if own is None and any(item.get_closest_marker(name) for name in LONG):
            item.add_marker(pytest.mark.timeout(LONG_S))
    named = [item.nodeid[:120] for item in items if len(item.nodeid) > NAME_CHARS_MAX]
    if named:
        raise pytest.UsageError(f"names of tests are too long: {named}")
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: no garbage collection looks at it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A service that an earlier test had in this process may have set what is logged, and left."""
    logging.getLogger().setLevel(logging.WARNING)


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
