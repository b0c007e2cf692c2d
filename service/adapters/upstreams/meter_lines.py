"""The lines of a meter: what runs began, what they cost, and what old ones came to.

One JSON object a line. A run that began and has no cost line cost nothing. Must not know: files,
or who writes when. A last line that is not whole was being written when the process ended: it is
passed over, because nothing was sold on it. Any other line that cannot be read is damage.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

import orjson

from service.domain import outside
from service.domain.completions import GenerationCost
from service.domain.money import AMOUNT_MAX, TOTAL_MAX, usd_text

_END = b"\n"
_DAMAGE = "not a line of a meter"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredRun:
    """One run; `cost_pusd` is None while no line says it. `sha256` is that of its last line."""

    generation_id: str
    model: str
    at_ms: int
    sha256: str
    cost_pusd: int | None = None

    def record(self, provider: str) -> GenerationCost:
        """What a look-up answers, once it is certain that no cost line will follow."""
        cost_pusd = self.cost_pusd or 0
        return GenerationCost(
            generation_id=self.generation_id,
            total_cost=usd_text(cost_pusd),
            cost_pusd=cost_pusd,
            provider=provider,
            model=self.model,
            record_sha256=self.sha256,
            final=True,
        )


@dataclass(slots=True, kw_only=True)
class MeterBook:
    """All that a meter says; `whole_bytes` are good, what follows them is a torn line."""

    total_pusd: int = 0
    folded_pusd: int = 0
    newest_ms: int = 0
    whole_bytes: int = 0
    runs: dict[str, MeteredRun] = field(default_factory=dict)

    def take(self, line: bytes) -> None:
        """Add one line, without its end. Raises ValueError when it is none of ours."""
        document = orjson.loads(line)
        match document:
            case {"folded_pusd": folded}:
                folded_pusd = _let_in(folded, most=TOTAL_MAX)
                self.folded_pusd += folded_pusd
                self.total_pusd += folded_pusd
            case {"started": str(generation_id), "model": str(model), "at_ms": at_ms}:
                self._keep(_run(generation_id, model, at_ms, line))
            case {
                "ended": str(generation_id),
                "model": str(model),
                "at_ms": at_ms,
                "cost_pusd": cost,
            }:
                cost_pusd = _let_in(cost, most=AMOUNT_MAX)
                self._keep(replace(_run(generation_id, model, at_ms, line), cost_pusd=cost_pusd))
                self.total_pusd += cost_pusd
            case _:
                raise ValueError(_DAMAGE)

    def _keep(self, run: MeteredRun) -> None:
        known = self.runs.get(run.generation_id)
        if known is not None and (known.cost_pusd is not None or run.cost_pusd is None):
            message = f"{run.generation_id[:80]} is there twice"
            raise ValueError(message)
        self.runs[run.generation_id] = run
        self.newest_ms = max(self.newest_ms, run.at_ms)


def read_book(data: bytes) -> MeterBook:
    """The book. Raises ValueError that names the line which is damaged."""
    book = MeterBook()
    *lines, _ = data.split(_END)
    for number, line in enumerate(lines, start=1):
        try:
            book.take(line)
        except ValueError as fault:
            message = f"line {number} is damaged ({fault})"
            raise ValueError(message) from fault
        book.whole_bytes += len(line) + 1
    return book


def started_line(generation_id: str, *, model: str, at_ms: int) -> bytes:
    """Written before a run is sent."""
    return _line({"started": generation_id, "model": model, "at_ms": at_ms})


def ended_line(
    generation_id: str, *, model: str, at_ms: int, cost_pusd: int, tokens: tuple[int, int]
) -> bytes:
    """Written once its whole answer is here; `tokens` are those of prompt and answer."""
    prompt_tokens, completion_tokens = tokens
    return _line(
        {
            "ended": generation_id,
            "model": model,
            "at_ms": at_ms,
            "cost_pusd": cost_pusd,
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
        }
    )


def folded(data: bytes, *, before_ms: int, kept: frozenset[str]) -> bytes:
    """The same total in fewer lines: runs that ended before `before_ms` are one sum.

    All lines of a run stay together; those of `kept` stay whatever their age. Raises ValueError.
    """
    book = read_book(data)
    stays = {
        run.generation_id
        for run in book.runs.values()
        if run.at_ms >= before_ms or run.generation_id in kept
    }
    gone_pusd = sum(
        run.cost_pusd or 0 for run in book.runs.values() if run.generation_id not in stays
    )
    lines = data[: book.whole_bytes].split(_END)[:-1]
    rest = [line + _END for line in lines if _generation_of(line) in stays]
    return _line({"folded_pusd": book.folded_pusd + gone_pusd}) + b"".join(rest)


def _generation_of(line: bytes) -> str | None:
    document = orjson.loads(line)
    named = document.get("started") or document.get("ended")
    return named if isinstance(named, str) else None


def _run(generation_id: str, model: str, at_ms: object, line: bytes) -> MeteredRun:
    if outside.identifier(generation_id) is None:
        raise ValueError(_DAMAGE)
    return MeteredRun(
        generation_id=generation_id,
        model=outside.maybe_text(model),
        at_ms=_let_in(at_ms, most=outside.TIME_MAX_MS),
        sha256=sha256(line).hexdigest(),
    )


def _let_in(said: object, *, most: int) -> int:
    """A number that a meter of ours can have written. Raises ValueError."""
    let_in = outside.count(said, most=most) if isinstance(said, int) else None
    if let_in is None:
        raise ValueError(_DAMAGE)
    return let_in


def _line(document: dict[str, object]) -> bytes:
    return orjson.dumps(document) + _END
