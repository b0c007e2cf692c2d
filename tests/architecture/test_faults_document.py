"""Every fault that docs/faults.md tells of has the test that it names."""

from __future__ import annotations

import re

from tests.architecture.source_tree import functions, source

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS_LEAST = 70


def test_every_test_that_is_named_is_there() -> None:
    """A row without its test would be a promise that nobody keeps."""
    named = NAMED.findall(source("docs/faults.md"))
    assert len(named) >= ROWS_LEAST
    missing = [
        f"{path}::{name}"
        for path, name in named
        if name not in {function.name for function in functions(path)}
    ]
    assert missing == []
