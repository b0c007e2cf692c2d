"""The files of the repository as the architecture tests see them. Must not know: any rule."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HAND_WRITTEN = ("service", "client", "simulator", "tests", "benchmarks", "deploy", "examples")
GENERATED = ("_pb2.py", "_pb2_grpc.py")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def project_files() -> tuple[str, ...]:
    """Every file git tracks or would track, relative to the root, without the deleted ones."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout
    return tuple(sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()}))


def python_files(*folders: str) -> list[str]:
    """The hand-written Python files under `folders`, relative to the root."""
    return [
        name
        for name in project_files()
        if name.endswith(".py") and not name.endswith(GENERATED) and _is_under(name, folders)
    ]


def _is_under(name: str, folders: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)


@functools.cache
def source(name: str) -> str:
    """The text of the file `name`."""
    return (ROOT / name).read_text(encoding="utf-8")


@functools.cache
def tree(name: str) -> ast.Module:
    """The syntax tree of the Python file `name`."""
    return ast.parse(source(name), filename=name)


def functions(name: str) -> Iterator[Function]:
    """Every function and method of the Python file `name`, nested ones too."""
    for node in ast.walk(tree(name)):
        if isinstance(node, Function):
            yield node


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of names, and the empty string for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""
