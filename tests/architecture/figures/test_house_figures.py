"""The figures by which the house is measured, said at the end of every test run.

Folders, constructors, states and stored fields are counted where their rules stand: `test_sizes`
and `tests/adapters/storage/test_row_specs`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable

from tests.architecture.figures.request_walk import House, Place, Walk
from tests.architecture.source_tree import HAND_WRITTEN, dotted, python_files, tree
from tests.conftest import COUNTED

Record = Callable[[str, object], None]

DISTRIBUTIONS = {
    "service": "cobot_meter",
    "client": "cobot_pay",
    "simulator": "openrouter_simulator",
}
FLOWS = "service/cobot_meter/flows"
WIRING = "service/cobot_meter/wiring/flows.py"
# A test of one flow builds it and what that stands on; more is the wiring, written once more.
BUILT_BY_A_TEST = 5
PAID_ROUTE = Place("service/cobot_meter/http_api/chat/route.py", "ChatRoute.__call__")
# The bars, and what the same walk found before subjects had folders and a run was no sale.
NAMES_BAR, NAMES_BEFORE = 50, 107
RETURNS_BAR, RETURNS_BEFORE = 20, 76
# The rooms of docs/map.md in which a request is read, and those to which it is handed on.
ON_THE_WAY = {
    "http_api/identity.py",
    "http_api/chat/request.py",
    "flows/sale/ask_completion.py",
    "flows/sale/open_escrow.py",
    "flows/offer/quote_request.py",
}


def twice(*folders: str) -> dict[str, list[str]]:
    """Each class name that is given more than once in these folders, with its files."""
    given: dict[str, list[str]] = defaultdict(list)
    for name in python_files(*folders):
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.ClassDef):
                given[node.name].append(f"{name}:{node.lineno}")
    return {name: places for name, places in given.items() if len(places) > 1}


def called(name: str) -> set[str]:
    """The last word of everything that a file calls."""
    calls = (node for node in ast.walk(tree(name)) if isinstance(node, ast.Call))
    return {dotted(call.func).rpartition(".")[2] for call in calls}


def test_no_class_name_is_used_twice_in_a_distribution(record_property: Record) -> None:
    """Whoever reads one of the three meets a class name once, whatever the others call theirs."""
    over_all = twice(*DISTRIBUTIONS)
    found = {folder: twice(folder) for folder in DISTRIBUTIONS}
    count = sum(map(len, found.values()))
    record_property(
        COUNTED, f"class names used twice: {count}; over three distributions {len(over_all)}"
    )
    assert found == {folder: {} for folder in DISTRIBUTIONS}
    assert over_all  # so that a broken reader is noticed: the client and the simulator both ask


def test_no_module_of_ours_is_named_by_a_text(record_property: Record) -> None:
    """Whatever calls `import_module` names modules of other people."""
    loading = [name for name in python_files(*DISTRIBUTIONS) if "import_module" in called(name)]
    ours = [
        f"{name}: {node.value}"
        for name in loading
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.partition(".")[0] in DISTRIBUTIONS.values()
    ]
    record_property(COUNTED, f"`import_module` of our own: {len(ours)}")
    assert loading
    assert ours == []


def test_the_wiring_of_flows_is_written_once(record_property: Record) -> None:
    """One file puts the flows together, for the service and for every test of a whole one."""
    classes = {
        node.name
        for name in python_files(FLOWS)
        for node in tree(name).body
        if isinstance(node, ast.ClassDef)
    }
    wired = classes & called(WIRING)
    files = [
        name for name in python_files(*HAND_WRITTEN) if len(wired & called(name)) > BUILT_BY_A_TEST
    ]
    record_property(COUNTED, f"files that wire the flows: {len(files)} ({len(wired)} flows)")
    assert files == [WIRING]


def test_the_way_of_a_paid_request_is_no_longer_than_it_was(record_property: Record) -> None:
    """The request, followed by its annotations, goes where the map says, and by no more turns.

    The bars of the house are lower than what is asserted here; both are said.
    """
    walk = Walk(House("service"))
    walk.enter(PAID_ROUTE, frozenset({"request"}))
    way = walk.way
    record_property(
        COUNTED,
        f"{len(way.rooms)} stays in {len(set(way.rooms))} rooms; returns to a room left before: "
        f"{way.returns} (bar {RETURNS_BAR}, before {RETURNS_BEFORE}); names: {len(way.names)} "
        f"(bar {NAMES_BAR}, before {NAMES_BEFORE})",
    )
    assert {f"service/cobot_meter/{room}" for room in ON_THE_WAY} <= set(way.rooms)
    assert {"request", "asked", "chat", "ask", "key"} <= way.names
    assert way.returns <= RETURNS_BEFORE
    assert len(way.names) <= NAMES_BEFORE
