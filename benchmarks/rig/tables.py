"""What is printed: tables in Markdown, so that they can be kept as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

SIGNIFICANT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar, and where the measured value stands: `at_most` or `at_least` the limit."""

    what: str
    value: float
    limit: float
    at_most: bool = True
    unit: str = "×"
    digits: int = 2

    @property
    def met(self) -> bool:
        """Whether it is met."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def row(self) -> tuple[str, str, str, str]:
        """What, bar, measured, verdict."""
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if self.met else "MISSED"
        bar = f"{sign} {self.limit:.{SIGNIFICANT}g} {self.unit}"
        return (self.what, bar, f"{self.value:.{self.digits}f} {self.unit}", verdict)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; the first is text, the others are figures."""
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def text(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join((first, *rest)) + " |"

    return "\n".join((text(lines[0]), text(rule), *map(text, lines[1:])))


def bars(found: Sequence[Bar]) -> str:
    """The bars of one benchmark."""
    return table(("bar", "wanted", "measured", ""), [bar.row() for bar in found])


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, and the lowest and highest in brackets."""
    low, high = min(values), max(values)
    return f"{median(values):,.{digits}f} [{low:,.{digits}f} – {high:,.{digits}f}]"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """One ratio for each round: both sides of it were measured within seconds of each other."""
    return [one / other for one, other in zip(above, below, strict=True)]
