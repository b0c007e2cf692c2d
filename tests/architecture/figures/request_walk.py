"""The way of one argument through the house, read from the syntax and the annotations.

Followed are the argument, its parts, and what a function of ours makes of either without being
awaited: whatever is awaited is somebody's answer, and what is put into a new object is followed no
further. Functions are entered in the order in which they are written; of one that was entered with
the same arguments before, only the visit counts. A port is entered and not passed, since who stands
behind it is wiring's. Must not know: what the service does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.architecture.source_tree import Function, python_files, tree

PACKAGES = {"cobot_meter": "service"}  # and the folder that each is in


@dataclass(frozen=True)
class Place:
    """A class or a function by its file and its name there."""

    file: str
    name: str


@dataclass
class Way:
    """Where it went: `rooms` are files in the order in which they were entered."""

    rooms: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    @property
    def returns(self) -> int:
        """How often it came back to a room that it had left."""
        return len(self.rooms) - len(set(self.rooms))

    def enter(self, file: str) -> None:
        """Calls within a room are one stay."""
        if self.rooms[-1:] != [file]:
            self.rooms.append(file)


class House:
    """What every name of the service's files means, as far as annotations say it."""

    def __init__(self, *folders: str) -> None:
        """Reads the files below `folders`."""
        self._classes: dict[Place, ast.ClassDef] = {}
        self._functions: dict[Place, Function] = {}
        self._imports: dict[str, dict[str, Place]] = {}
        for file in python_files(*folders):
            self._imports[file] = dict(_imported(tree(file)))
            for node in tree(file).body:
                if isinstance(node, ast.ClassDef):
                    self._classes[Place(file, node.name)] = node
                    for method in node.body:
                        if isinstance(method, Function):
                            self._functions[Place(file, f"{node.name}.{method.name}")] = method
                elif isinstance(node, Function):
                    self._functions[Place(file, node.name)] = node

    def function(self, place: Place | None) -> Function | None:
        """Its definition; None for what is no function of ours."""
        return self._functions.get(place) if place else None

    def named(self, file: str, name: str) -> Place | None:
        """What a file calls by a name of its own or an imported one."""
        own = Place(file, name)
        found = own if own in self._classes or own in self._functions else None
        return found or self._imports[file].get(name)

    def annotated(self, file: str, annotation: ast.expr | None) -> Place | None:
        """The first class of ours that an annotation names."""
        for node in ast.walk(annotation) if annotation else ():
            if isinstance(node, ast.Name) and (found := self.named(file, node.id)):
                return found if found in self._classes else None
        return None

    def member(self, owner: Place | None, name: str) -> Place | None:
        """The class of an attribute, or the method of that name."""
        if owner is None or owner not in self._classes:
            return None
        method = Place(owner.file, f"{owner.name}.{name}")
        if method in self._functions:
            return method
        return self.annotated(owner.file, self._annotation(owner, name))

    def _annotation(self, owner: Place, name: str) -> ast.expr | None:
        """How a field is annotated, or the argument of `__init__` that it is taken from."""
        made = self._functions.get(Place(owner.file, f"{owner.name}.__init__"))
        for node in self._classes[owner].body:
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
                return node.annotation
        for node in made.body if made else ():
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"self.{name}":
                taken = ast.unparse(node.value)
                return next((a.annotation for a in _arguments(made) if a.arg == taken), None)
        return None


class Walk:
    """One trip. `way` is what it has seen."""

    def __init__(self, house: House) -> None:
        """Nothing is seen yet."""
        self._house = house
        self._passed: set[tuple[Place, frozenset[str]]] = set()
        self.way = Way()

    def enter(self, place: Place, mine: frozenset[str]) -> None:
        """A function in which the arguments `mine` are the request or parts of it."""
        function = self._house.function(place)
        if function is None:
            return
        self.way.enter(place.file)
        self.way.names |= mine - {"self", "cls"}
        if (place, mine) in self._passed:
            return
        self._passed.add((place, mine))
        kinds = {
            argument.arg: self._house.annotated(place.file, argument.annotation)
            for argument in _arguments(function)
        }
        owner, _, method = place.name.rpartition(".")
        if method and owner:
            kinds["self"] = Place(place.file, owner)
        visit = _Visit(self, self._house, place.file, kinds, set(mine))
        for statement in function.body:
            visit.visit(statement)


class _Visit(ast.NodeVisitor):
    """One function: its statements as they are written, nested functions where they stand."""

    def __init__(
        self,
        walk: Walk,
        house: House,
        file: str,
        kinds: dict[str, Place | None],
        mine: set[str],
    ) -> None:
        self._walk, self._house, self._file = walk, house, file
        self._kinds, self._mine = kinds, mine

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._bind(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target, node.value)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self._bind(node.target, node.iter)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        self._bind(node.target, node.iter)
        for condition in node.ifs:
            self.visit(condition)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        callee = self._meaning(node.func)
        function = self._house.function(callee)
        if callee is None or function is None:
            return
        taken = [one.arg for one in _arguments(function)]
        handed: set[str] = set()
        if isinstance(node.func, ast.Attribute) and taken[:1] in (["self"], ["cls"]):
            handed |= {taken[0]} if self._is_mine(node.func.value) else set()
            taken = taken[1:]
        positional = zip(taken, node.args, strict=False)  # defaults may follow, and keywords
        handed |= {name for name, one in positional if self._is_mine(one)}
        handed |= {one.arg for one in node.keywords if one.arg and self._is_mine(one.value)}
        if handed:
            self._walk.enter(callee, frozenset(handed))

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        kind = self._kind(value)
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                self._kinds[node.id] = kind
                if self._is_mine(value):
                    self._mine.add(node.id)
                    self._walk.way.names.add(node.id)

    def _is_mine(self, value: ast.expr) -> bool:
        """A name of the request, a part of it, or what a function of ours made of either."""
        parts: list[ast.expr] = []
        match value:
            case ast.Name(id=name):
                return name in self._mine
            case ast.Attribute(value=part) | ast.Subscript(value=part) | ast.Starred(value=part):
                parts = [part]
            case ast.Lambda(body=part):
                parts = [part]
            case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
                pass
            case ast.IfExp(body=part, orelse=other):
                parts = [part, other]
            case ast.Call():
                parts = self._made_of(value)
        return any(map(self._is_mine, parts))

    def _made_of(self, call: ast.Call) -> list[ast.expr]:
        """The owner of the method that is called, and what a function of ours is given."""
        owner = [call.func.value] if isinstance(call.func, ast.Attribute) else []
        if self._house.function(self._meaning(call.func)) is None:
            return owner
        return [*owner, *call.args, *(one.value for one in call.keywords)]

    def _kind(self, value: ast.expr) -> Place | None:
        """The class of what an expression gives."""
        bare = value.value if isinstance(value, ast.Await) else value
        if not isinstance(bare, ast.Call):
            return self._meaning(bare)
        callee = self._meaning(bare.func)
        function = self._house.function(callee)
        if callee is None or function is None:
            return callee
        return self._house.annotated(callee.file, function.returns)

    def _meaning(self, node: ast.expr) -> Place | None:
        match node:
            case ast.Name(id=name):
                return self._kinds.get(name) or self._house.named(self._file, name)
            case ast.Attribute(value=owner, attr=name):
                return self._house.member(self._kind(owner), name)
            case _:
                return None


def _arguments(function: Function | None) -> list[ast.arg]:
    if function is None:
        return []
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _imported(module: ast.Module) -> Iterator[tuple[str, Place]]:
    for node in module.body:
        package, _, rest = (getattr(node, "module", None) or "").partition(".")
        if isinstance(node, ast.ImportFrom) and package in PACKAGES:
            file = f"{PACKAGES[package]}/{package}/{rest.replace('.', '/')}.py"
            for alias in node.names:
                yield alias.asname or alias.name, Place(file, alias.name)
