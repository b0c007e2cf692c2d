"""Whether the place that a finding names stands in what was submitted: its file, lines and quote.

A model that invents a place is caught by reading, without asking anybody. What is not found is
said of the finding and costs it its rank, and never the finding itself: the claim may be true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cobot_meter.domain.consensus.alike import lines_of
from cobot_meter.domain.consensus.findings import PanelFinding

# A line that names a file of a diff, or one that says which lines of it follow.
_OF_DIFF = re.compile(
    r"^(?:(?:\+\+\+|---) (?:[ab]/)?(?P<file>\S+)"
    r"|@@ -(?P<old>\d{1,8})(?:,(?P<olds>\d{1,8}))? \+(?P<new>\d{1,8})(?:,(?P<news>\d{1,8}))? @@)",
    re.MULTILINE | re.ASCII,
)
_LEFT_OUT = re.compile(r"\.\.\.|…")
_MARK = re.compile(r"^[+ -]", re.MULTILINE)
_SPACES = re.compile(r"\s+")


class Shown(NamedTuple):
    """Lines of a file that a diff shows, as they were before it or are after it."""

    file: str
    first: int
    last: int


class Submitted:
    """The text that a panel was asked about, made ready once for all findings."""

    def __init__(self, said: str) -> None:
        """`said` is all that the caller wrote."""
        self._said = said
        self._lines = said.count("\n") + 1
        self._shown = tuple(_shown(said))
        # A quote of a diff may have its marks, or not.
        self._quotable = (_one_line(said), _one_line(_MARK.sub("", said)))

    def not_found(self, finding: PanelFinding) -> tuple[str, ...]:
        """Which of `file`, `lines` and `quote` the finding names and nobody submitted."""
        missing = {
            "file": bool(finding.file) and not self._has_file(finding.file),
            "lines": not self._has_lines(finding),
            "quote": not self._has_quote(finding.evidence_quote),
        }
        return tuple(name for name, is_missing in missing.items() if is_missing)

    def _has_file(self, file: str) -> bool:
        """By its name: the folders before it depend on from where a model counts them."""
        return _name_of(file) in self._said

    def _has_lines(self, finding: PanelFinding) -> bool:
        """Whether the diff of its file shows one of them; of any other text, whether it is so long.

        Of a file that the diff does not have, nothing is said here.
        """
        lines = lines_of(finding)
        if lines is None:
            return True
        if not self._shown:
            return lines[0] <= self._lines
        name = _name_of(finding.file)
        shown = [one for one in self._shown if not name or _name_of(one.file) == name]
        near = any(one.first <= lines[1] and lines[0] <= one.last for one in shown)
        return near or not shown

    def _has_quote(self, quote: str) -> bool:
        """Whatever its white space; parts around an ellipsis are found one after the other."""
        parts = [part for one in _LEFT_OUT.split(quote) if (part := _one_line(one))]
        whole = _one_line(quote)
        return any(whole in said or _in_order(parts, said) for said in self._quotable)


def _in_order(parts: Sequence[str], said: str) -> bool:
    at = 0
    for part in parts:
        found = said.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _one_line(said: str) -> str:
    return _SPACES.sub(" ", said).strip()


def _name_of(file: str) -> str:
    return file.rpartition("/")[2]


def _shown(said: str) -> Iterator[Shown]:
    """What a unified diff shows, where it is one."""
    file = ""
    for found in _OF_DIFF.finditer(said):
        if found["file"]:
            file = file if found["file"] == "/dev/null" else found["file"]
            continue
        for side in ("old", "new"):
            first, lines = int(found[side]), int(found[f"{side}s"] or 1)
            yield Shown(file, first, first + max(lines - 1, 0))
