"""One word for one thing: the glossary is the law for names."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

from tests.architecture.source_tree import HAND_WRITTEN, python_files, source, tree

EMPTY_NAMES = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
GLOSSARY = "docs/glossary.md"


def banned_words() -> dict[str, str]:
    """Each word the glossary bans, with the term that takes its place."""
    rows = [line.split("|") for line in source(GLOSSARY).splitlines() if line.startswith("| **")]
    return {word: row[1].strip(" *") for row in rows for word in re.findall(r"`(\w+)`", row[3])}


def words(identifier: str) -> set[str]:
    """The words of a snake_case or CamelCase identifier, in lower case."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier).lower().split("_"))


def identifiers(module: ast.Module) -> set[str]:
    """Every name that `module` gives: classes, functions, arguments, variables, fields."""
    given: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            given.add(node.name)
        elif isinstance(node, ast.arg):
            given.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            given.add(node.id)
    return given


def test_no_module_has_an_empty_name() -> None:
    """No file or folder is called utils, helpers, manager or the like."""
    empty = [
        name
        for name in python_files(*HAND_WRITTEN)
        if EMPTY_NAMES & set(PurePosixPath(name).with_suffix("").parts)
    ]
    assert empty == []


def test_the_glossary_bans_words() -> None:
    """The table is read as it is written: the third column bans, the first is used instead."""
    banned = banned_words()
    assert banned["customer"] == "caller"
    assert len(banned) > 10  # so that a broken reader is noticed


def test_no_banned_synonym_is_used() -> None:
    """No identifier of service/ uses a word that the glossary replaces by another."""
    banned = banned_words()
    found = [
        f"{name}: {identifier} (say {banned[word]})"
        for name in python_files("service", "client", "simulator")
        for identifier in sorted(identifiers(tree(name)))
        for word in sorted(words(identifier) & banned.keys())
    ]
    assert found == []


def imported(name: str) -> set[str]:
    """Whatever a file imports from somewhere, by its own name there."""
    found = (node for node in ast.walk(tree(name)) if isinstance(node, ast.ImportFrom))
    return {alias.name for node in found for alias in node.names}


def test_no_flow_asks_for_a_whole_node() -> None:
    """Each takes the parts of the port that it uses, so that its signature says what it can do."""
    files = python_files("service/cobot_meter/flows", "service/cobot_meter/background")
    assert not [name for name in files if "LightningNode" in imported(name)]
    assert [name for name in files if "InvoiceLookup" in imported(name)]


def flows_by_file() -> dict[str, str]:
    """Each class of flows/ that has a file of its name, with that name."""
    return {
        node.name: name
        for file in python_files("service/cobot_meter/flows")
        for node in tree(file).body
        if isinstance(node, ast.ClassDef)
        if (name := PurePosixPath(file).stem) == snake(node.name)
    }


def snake(name: str) -> str:
    """`SettleInvoice` as `settle_invoice`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def held(name: str) -> set[tuple[str, str]]:
    """What the fields and constructors of a file hold, each with its class."""
    classes = [node for node in ast.walk(tree(name)) if isinstance(node, ast.ClassDef)]
    fields = [
        (ast.unparse(node.target), ast.unparse(node.annotation))
        for one in classes
        for node in one.body
        if isinstance(node, ast.AnnAssign)
    ]
    taken = [
        (argument.arg, ast.unparse(argument.annotation))
        for one in classes
        for node in one.body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.annotation is not None
    ]
    return {(called, kind.removesuffix(" | None")) for called, kind in (*fields, *taken)}


def test_a_flow_has_one_name() -> None:
    """Its class is called as its file, and so is every attribute that holds it."""
    flows = flows_by_file()
    assert {"AskCompletion", "DriveEscrow", "RecordEvent", "SettleInvoice"} <= flows.keys()
    both = [(file, *one) for file in python_files("service") for one in sorted(held(file))]
    assert (
        "service/cobot_meter/background/escrow_runner.py",
        "drive_escrow",
        "DriveEscrow",
    ) in both
    found = {
        f"{file}: {called}: {kind}"
        for file, called, kind in both
        if kind in flows and called != flows[kind]
    }
    assert found == set()


UPSTREAMS = ("openrouter", "ollama")


def said(module: ast.Module) -> set[str]:
    """Every identifier and every text of `module` in lower case, its docstrings left out."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = {
        node.value.lower()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    }
    names = {node.id.lower() for node in ast.walk(module) if isinstance(node, ast.Name)}
    return texts | names | {name.lower() for name in identifiers(module)}


def test_no_flow_names_an_upstream() -> None:
    """Which upstreams there are is wiring's; flows go by what a model or an account says."""
    floors = ("domain", "ports", "flows", "background")
    found = [
        name
        for name in python_files(*(f"service/cobot_meter/{floor}" for floor in floors))
        if any(upstream in one for one in said(tree(name)) for upstream in UPSTREAMS)
    ]
    assert found == []


def test_what_all_adapters_share_names_no_upstream() -> None:
    """What one upstream's errors and answers mean stands in that upstream's folder."""
    folder = PurePosixPath("service/cobot_meter/adapters/upstreams")
    shared = [name for name in python_files(str(folder)) if PurePosixPath(name).parent == folder]
    assert len(shared) > 5
    found = [
        name
        for name in shared
        if any(upstream in one for one in said(tree(name)) for upstream in UPSTREAMS)
    ]
    assert found == []
