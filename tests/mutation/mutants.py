"""Makes mutants: one small change of meaning each, at a place drawn by a seed.

A mutant is kept as the offsets of one expression or statement and the text that takes its place,
so that everything else of the file, comments too, stays as it was.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_COMPARED: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<"),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
_COUNTED: dict[type[ast.operator], tuple[str, ...]] = {
    ast.Add: ("-",),
    ast.Sub: ("+",),
    ast.Mult: ("+",),
    ast.FloorDiv: ("*",),
    ast.Mod: ("*",),
    ast.Pow: ("*",),
    ast.BitOr: ("&",),
    ast.BitAnd: ("|",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`old` at `line` of `path` becomes `new`; `start` and `end` are offsets in bytes."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        """One line of a report."""
        old, new = (text[:100] for text in self.change)
        return f"{self.path}:{self.line}: {old}  →  {new}"

    @property
    def change(self) -> tuple[str, str]:
        """What becomes what, each on one line."""
        return " ".join(self.old.split()), " ".join(self.new.split())

    @property
    def name(self) -> str:
        """What stays the same while lines above it come and go."""
        return " | ".join((self.path, *self.change))

    def applied(self, source: bytes) -> bytes:
        """The file with this change in it."""
        return source[: self.start] + self.new.encode() + source[self.end :]


def drawn(root: Path, paths: Sequence[str], *, number: int, seed: int) -> list[Mutant]:
    """`number` different mutants of these files, the same for the same seed and sources.

    Each has a lot of its own, by what it changes: an edit elsewhere, or a file that moves, leaves
    the draw as it was, so that what lived can be tried again after its test is written.
    """
    met: Counter[tuple[str, str]] = Counter()
    lots: list[tuple[bytes, Mutant]] = []
    for mutant in (mutant for path in paths for mutant in mutants_of(root, path)):
        change = mutant.change
        met[change] += 1
        lot = hashlib.sha256("\0".join((str(seed), str(met[change]), *change)).encode())
        lots.append((lot.digest(), mutant))
    lots.sort(key=lambda drawn: drawn[0])
    return [mutant for _, mutant in lots[:number]]


def mutants_of(root: Path, path: str) -> list[Mutant]:
    """Every mutant of one file, in the order of its lines."""
    source = (root / path).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[tuple[int, int, str], Mutant] = {}
    for node, new in _changes(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        old = source[start:end].decode()
        if old != new:
            mutant = Mutant(path=path, line=node.lineno, start=start, end=end, old=old, new=new)
            found.setdefault((start, end, new), mutant)
    return [found[place] for place in sorted(found)]


Changed = ast.expr | ast.stmt


def _changes(module: ast.Module) -> Iterator[tuple[Changed, str]]:
    """What could be changed, with the text of the change; never in annotations or docstrings."""
    for node in _running(module):
        yield from _of_signs(node)
        yield from _of_conditions(node)
        yield from _of_values(node)
        yield from _of_steps(node)


def _of_signs(node: ast.AST) -> Iterator[tuple[Changed, str]]:
    match node:
        case ast.Compare(ops=[operator], left=left, comparators=[right]):
            for sign in _COMPARED[type(operator)]:
                yield node, f"({ast.unparse(left)} {sign} {ast.unparse(right)})"
        case ast.BinOp():
            for sign in _COUNTED.get(type(node.op), ()):
                yield node, f"({ast.unparse(node.left)} {sign} {ast.unparse(node.right)})"
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node, f"({ast.unparse(node.operand)})"
        case _:
            pass


def _of_conditions(node: ast.AST) -> Iterator[tuple[Changed, str]]:
    match node:
        case ast.BoolOp():
            own, other = (" and ", " or ") if isinstance(node.op, ast.And) else (" or ", " and ")
            parts = [f"({ast.unparse(value)})" for value in node.values]
            yield node, f"({other.join(parts)})"
            for left_out in range(len(parts)):
                yield node, f"({own.join(parts[:left_out] + parts[left_out + 1 :])})"
        case ast.IfExp():
            yield node, f"({ast.unparse(node.body)})"
            yield node, f"({ast.unparse(node.orelse)})"
        case ast.If(test=test):
            yield test, "True"
            yield test, "False"
        case _:
            pass


def _of_values(node: ast.AST) -> Iterator[tuple[Changed, str]]:
    match node:
        case ast.Constant(value=bool() as value):
            yield node, str(not value)
        case ast.Constant(value=int() as value):
            yield node, str(value + 1)
        case ast.Call(func=ast.Name(id="min" | "max" as which)):
            yield node, ast.unparse(node).replace(which, "max" if which == "min" else "min", 1)
        case ast.keyword(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield value, "None"
        case _:
            pass


def _of_steps(node: ast.AST) -> Iterator[tuple[Changed, str]]:
    match node:
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield node, "return None"
        case ast.Raise() | ast.Expr(value=ast.Call() | ast.Await()) | ast.Continue():
            yield node, "pass"
        case _:
            pass


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: not annotations, docstrings, messages of errors or class headers."""
    for name, field in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params", "bases", "decorator_list"}:
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not _is_text(child):
                yield child
                yield from _running(child)


def _is_text(node: ast.AST) -> bool:
    """A docstring or a sentence: to change a word of it is no fault that costs money."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())) | ast.JoinedStr():
            return True
        case ast.Assign(targets=[ast.Name(id="message")]):
            return True
        case _:
            return False
