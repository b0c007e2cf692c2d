"""What only one file may do is done in that file alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import dotted, python_files, source, tree

CLOCK = "service/cobot_meter/adapters/system_clock.py"
# Products of their own, which have no port of ours to take the time from.
SIMULATOR = "simulator/openrouter_simulator/__main__.py"
CLIENT_CLOCK = "client/cobot_pay/wall_clock.py"
ENTRY = "service/cobot_meter/cli/main.py"
CLIENT_ENTRY = "client/cobot_pay/cli/main.py"
# These two undo what an import does to os.environ.
IMPORTERS = ("service/cobot_meter/adapters/lightning/lnd/stubs.py", "client/cobot_pay/lnd_stubs.py")

# What these load is other people's: lnd's stubs, and whichever of httpx's two names is there.
NAMED_BY_A_TEXT = (*IMPORTERS, "client/cobot_pay/l402_auth.py")

# The homes of what ruff's TID251 bans; an empty tuple means that it has none.
HOMES: dict[str, tuple[str, ...]] = {
    "asyncio.create_task": (),
    "asyncio.ensure_future": (),
    "asyncio.gather": (),
    "datetime.date.today": (),
    "datetime.datetime.now": (),
    "datetime.datetime.today": (),
    "datetime.datetime.utcnow": (),
    "grpc.metadata_call_credentials": (),
    "os.environ": (ENTRY, CLIENT_ENTRY, *IMPORTERS),
    "os.getenv": (),
    "starlette.middleware.base.BaseHTTPMiddleware": (),
    "time.time": (),
    "time.time_ns": (CLOCK, SIMULATOR, CLIENT_CLOCK),
    "uuid.uuid4": (),
}
CATCH_ALLS = {
    # anything unforeseen ends the process, in the open
    "service/cobot_meter/background/supervise.py",
    # anything unforeseen becomes a 500 that says nothing
    "service/cobot_meter/http_api/http/edge.py",
    # other people's tools may fail in any way: the model hears that, and the agent lives on
    "service/cobot_meter/cobot/cobot_agent.py",
}
EVERYTHING = {"", "Exception", "BaseException"}


def full_names(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything imported or reached through an import."""
    known: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and (name := dotted(node)):
            first, _, rest = name.partition(".")
            yield node.lineno, f"{known.get(first, first)}.{rest}"


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names of what a handler catches; the empty name is a bare `except:`."""
    if handler.type is None:
        return {""}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {dotted(kind) for kind in kinds}


def test_what_is_banned_lives_in_its_one_file() -> None:
    """Clock, ids, environment and task creation appear in no file of service/ but their own."""
    strays = [
        f"{name}:{line} {full}"
        for name in python_files("service", "client", "simulator")
        for line, full in full_names(tree(name))
        if name not in HOMES.get(full, (name,))
    ]
    assert strays == []


@pytest.mark.parametrize("full", HOMES)
def test_a_stray_would_be_found(full: str) -> None:
    """Each banned name is noticed, imported from its module or reached through it."""
    module, _, name = full.rpartition(".")
    for text in (f"from {module} import {name} as it", f"import {module} as m\nm.{name}"):
        assert full in {found for _, found in full_names(ast.parse(text))}


def test_nothing_below_the_process_edge_catches_everything() -> None:
    """`except Exception`, `except BaseException` and bare `except` stay at the two edges."""
    strays = [
        f"{name}:{node.lineno}"
        for name in python_files("service", "client", "simulator")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ExceptHandler)
        and caught(node) & EVERYTHING
        and name not in CATCH_ALLS
    ]
    assert strays == []


def test_no_module_of_ours_is_imported_by_a_text() -> None:
    """Type checker, import contracts and readers lose sight of a module that a text names."""
    strays = [
        f"{name}:{line}"
        for name in python_files("service", "client", "simulator")
        for line, full in full_names(tree(name))
        if full == "importlib.import_module" and name not in NAMED_BY_A_TEXT
    ]
    assert strays == []


def test_no_middleware_is_built_by_decorator() -> None:
    """`@app.middleware("http")` would bring in BaseHTTPMiddleware by another door."""
    strays = [
        f"{name}:{node.lineno}"
        for name in python_files("service", "client", "simulator")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "middleware"
    ]
    assert strays == []


def test_no_line_of_the_service_excuses_itself_from_these_rules() -> None:
    """No `noqa` in service/ switches off the rules on banned calls, catch-alls, size or shape."""
    rules = ("TID251", "BLE001", "C901", "PLR09", "PLW0603", "PLC0415", "noqa\n")
    strays = [
        f"{name}:{number}"
        for name in python_files("service", "client", "simulator")
        for number, line in enumerate(source(name).splitlines(keepends=True), start=1)
        if "# noqa" in line and any(rule in line for rule in rules)
    ]
    assert strays == []
