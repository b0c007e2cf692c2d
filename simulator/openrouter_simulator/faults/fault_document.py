"""Writes the table of faults for `docs/simulator.md` from the table that the simulator obeys.

After changing a fault run `python -m openrouter_simulator.faults.fault_document`, and put what it
prints between the marks in the document; a test compares the two.
"""

from __future__ import annotations

import sys

from openrouter_simulator.faults.fault_table import FAULTS, Fault, Strikes

_HEAD = "| name | decides | charged | generations | what |\n|---|---|---|--:|---|\n"
_SAID = {
    Strikes.STATUS: "`status`: refused before a run, with an error status",
    Strikes.BEFORE_HEADERS: "`before_headers`: nothing, or an error, where the answer should begin",
    Strikes.AFTER_HEADERS: "`after_headers`: the headers, or what comes right after them",
    Strikes.MID_STREAM: "`mid_stream`: the answer itself",
    Strikes.USAGE: "`usage`: what is told of tokens and cost, and the bill",
    Strikes.RECORD: "`record`: the record of the generation, or its look-up",
}


def fault_tables() -> str:
    """A heading and a table for each moment a fault can strike."""
    return "\n".join(f"### {_SAID[strikes]}\n\n{_HEAD}{_rows(strikes)}" for strikes in Strikes)


def _rows(strikes: Strikes) -> str:
    rows = (FAULTS[name] for name in sorted(FAULTS) if FAULTS[name].strikes is strikes)
    return "".join(f"{_row(fault)}\n" for fault in rows)


def _row(fault: Fault) -> str:
    notes = "; streams only" if fault.stream_only else ""
    status = f"{fault.status}, " if fault.status != _OK else ""
    charged = "yes" if fault.charged else "no"
    what = f"{status}{fault.what}{notes}".replace("|", "\\|")
    return f"| `{fault.name}` | {fault.decides} | {charged} | {fault.generations} | {what} |"


_OK = 200


if __name__ == "__main__":
    sys.stdout.write(fault_tables())
