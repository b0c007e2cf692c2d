"""The simulated book in a file, so that a restarted simulator remembers what it charged.

One JSON line a charge, flushed to the system; a torn last line was never answered and is dropped.
Must not know: HTTP, or when a charge is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import orjson

from openrouter_simulator.book.credit_book import Generation

_AMOUNTS = ("total_cost", "upstream_inference_cost", "cache_discount")


class BookFile:
    """Every charge of one simulated account."""

    def __init__(self, path: Path) -> None:
        """Nothing is read or written yet."""
        self._path = path

    def charges(self) -> Iterator[Generation]:
        """What was charged before, oldest first."""
        if not self._path.exists():
            return
        for line in self._path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                document = orjson.loads(line)
                said = {name: document.get(name) for name in _AMOUNTS}
                amounts = {name: Decimal(text) for name, text in said.items() if text is not None}
                tried = tuple(document.get("tried", ()))
                yield Generation(**{**document, **amounts, "tried": tried})

    def append(self, generation: Generation) -> None:
        """Remember one charge."""
        document = dataclasses.asdict(generation)
        said = {name: document[name] for name in _AMOUNTS}
        amounts = {name: format(usd, "f") for name, usd in said.items() if usd is not None}
        with self._path.open("ab") as file:
            file.write(orjson.dumps({**document, **amounts}) + b"\n")

    def clear(self) -> None:
        """Forget all."""
        self._path.unlink(missing_ok=True)
