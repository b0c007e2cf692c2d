"""Writes `docs/errors.md` from the error table, so that the two cannot differ.

After a change of an error run `python -m tests.http_api.http.errors_page > docs/errors.md`; a test
compares the file with what is written here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from cobot_meter.domain import errors
from cobot_meter.domain.budgets import faults as of_budgets
from cobot_meter.http_api.http.error_table import RETRY_AFTER_MAX_S, error_response, row_of
from tests.http_api.http.every_error import EXHAUSTED, REACHING, RESERVED, made

HEAD = f"""\
# Errors: what each says, and who should ask again

*Written by `python -m tests.http_api.http.errors_page`; do not edit.* Every error of the paid
route and of those beside it is OpenAI's object: `error.message` (one sentence that says what to
do), `error.type`, `error.code`, `error.param`. Programs should look at `code`, which is stable.

## By which rules agents repeat

Agents repeat by themselves, each by rules of its own, and a repeat of a completion may be a second
bill. So:

- **Final** is 400 wherever it can be: that status alone stops every agent that was tried.
  `x-should-retry: false` is on every answer that no repeat can help; OpenAI's and Anthropic's SDKs
  and Claude Code obey it, Codex, opencode, Cline, pi and aider do not.
- `server_error` stands in no body that is final: opencode repeats whatever has that word, at any
  status.
- **`Retry-After`** is on 429 and 503 alone, where a repeat runs nothing twice: it finds the run
  under way, or nothing was run. It is never on a 502, of which nobody may know whether the
  upstream charged for it; and never of more than {RETRY_AFTER_MAX_S} s: some agents sleep for
  whatever they are told, before anything else that is said.
- 402 is for payment, 404 for what is not there. Some agents repeat both a few times; that costs
  nothing, and after a top-up the repeat succeeds.
- The same request gets the same error for 60 s, without another run.

## The table

| status | `error.code` | `error.type` | may be repeated | `Retry-After` | when |
|---|---|---|---|---|---|
"""
TAIL = """
`upstream_refused` has three rows: 400 where the upstream refuses the request itself (its 400, 404,
413, 422), 503 where it is busy or unwell (408, 425, 429, 5xx), and 502 for everything else, which
the operator has to mend. In all three nothing ran.

## In the middle of a stream

Once the first word is out the status is 200, whatever follows. An answer that breaks off ends with
a chunk that has `error`, as in the table, **and** the finish reason `error`; after it there is no
`[DONE]`, and nothing is charged. It never just ends: a stream without a finish reason, or with
`error` as one and no `error` object, is asked for again by opencode four to eight times a second.
What was said until then is the service's loss. One key may cause so much of that a day
(`COBOT_METER_BROKEN_PER_KEY_DAY_USD`), and is then refused with 400 `broken_answers_limit`.

## On a key: the same request again

| | |
|---|---|
| while it runs | joins the run and reads the answer from its start, as a stream or whole |
| within two minutes of an answer that was not read to its end | that answer again, at no price |
| after an answer that was handed over whole | a new request, at once |
| with an `Idempotency-Key` | the same answer for a day |
"""


def page() -> str:
    """The whole document."""
    return HEAD + "".join(sorted(lines(), key=_by_status)) + TAIL


def lines() -> Iterator[str]:
    """A line for each class that a caller may be told of."""
    for kind in REACHING:
        if _shares_a_code(kind):
            continue
        for error in variants(kind):
            yield line(error)


def variants(kind: type[errors.CobotMeterError]) -> Iterator[errors.CobotMeterError]:
    """One error of the class, or one for each of its rows."""
    if kind is errors.UpstreamRefused:
        for status in (400, 429, 401):
            yield errors.UpstreamRefused("A sentence.", status=status)
    elif kind is of_budgets.BudgetExhausted:
        for shortfall in (EXHAUSTED, RESERVED):
            yield of_budgets.BudgetExhausted("A sentence.", shortfall=shortfall)
    else:
        yield made(kind)


def line(error: errors.CobotMeterError) -> str:
    """One line of the table."""
    row = row_of(error)
    told = dict(error_response(error).headers)
    again = "no" if told.get(b"x-should-retry") == b"false" else "yes"
    after = told.get(b"retry-after", b"").decode()
    when = (type(error).__doc__ or "").split("\n")[0].rstrip(".")
    cells = (str(row.status), f"`{error.code}`", f"`{row.type}`", again, after or "-", when)
    return f"| {' | '.join(cells)} |\n"


def _shares_a_code(kind: type[errors.CobotMeterError]) -> bool:
    """Kinds of what is broken here, or was first elsewhere, are one to whoever reads them."""
    return issubclass(kind, errors.Broken | errors.Conflict) and kind not in {
        errors.Broken,
        errors.Conflict,
    }


def _by_status(text: str) -> tuple[str, str]:
    cells = text.split(" | ")
    return cells[0], cells[1]


if __name__ == "__main__":
    sys.stdout.write(page())
