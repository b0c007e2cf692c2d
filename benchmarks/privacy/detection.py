"""What the privacy detector finds of recorded documents and generated keys, and what that takes.

The data are other people's and stay where they are: `--data DIR`, or `COBOT_BENCH_DATA`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from benchmarks.privacy.keys import generated
from benchmarks.privacy.recorded import Document, documents, prompts
from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, table
from cobot_meter.domain.privacy.detector import Detector
from cobot_meter.domain.privacy.secret_rules import read_rules

NAME = "privacy"
RECALL_MIN, PRECISION_MIN, KEYS_MIN, SCAN_MS_MAX = 98, 90, 95, 2
SCANNED_CHARS = 8 * 1_024
SCANS = 400
TURNS = 3
# Measured on 2026-11-22 over the same documents, on two shared cores; recall and precision of the
# two sets, and µs for a document. A detector of the own hand is the first thing one would write.
PEERS = (
    ("five regexes, Luhn and the shape of a telephone number", "98.3 / 83.1", "97.5 / 95.1", "23"),
    ("Presidio, 12 pattern recognizers, score 0.3", "83.9 / 98.4", "92.2 / 99.5", "1,317 – 1,413"),
    ("Presidio, the same, score 0", "92.0 / 98.5", "93.8 / 99.5", "954 – 1,000"),
)
# Of the same day: 222 rules of gitleaks under Python's `re`, behind their keywords.
GITLEAKS = (
    "gitleaks' rules under Python's `re`, the keys that its own rules' tests spell out",
    "63 (a lower bound)",
    "0 of 1,022",
    "253",
)


def measure(size: Size, data: Path) -> str:
    """The tables and the bars of this benchmark; a smaller size looks at fewer prompts."""
    rules = files("cobot_meter.domain.privacy").joinpath("secret_rules.toml").read_text()
    detector = Detector(read_rules(rules), monotonic_ms=lambda: time.monotonic_ns() // 10**6)
    scores = {name: _score(detector, documents(data, name)) for name in ("v2", "large")}
    keys = [bool(detector.signals(text)) for _, text in generated()]
    every = 1 if size.thorough else 50
    clean = {name: told[::every] for name, told in prompts(data).items()}
    alarms = {
        name: sum(bool(detector.signals(text)) for text in told) for name, told in clean.items()
    }
    wall, cpu = _times(detector, [text for told in clean.values() for text in told])
    found = [
        bar
        for name, score in scores.items()
        for bar in (
            _percent(f"presidio-research {name}, documents found", score.recall, RECALL_MIN),
            _percent(f"presidio-research {name}, precision", score.precision, PRECISION_MIN),
        )
    ]
    found += [
        _percent("generated keys found", 100 * sum(keys) / len(keys), KEYS_MIN),
        Bar(what="false alarms", value=sum(alarms.values()), limit=0, unit="", digits=0),
        Bar(what="a scan of 8 KiB, p99 of CPU", value=_at(cpu, 99), limit=SCAN_MS_MAX, unit="ms"),
        Bar(what="the same by the clock", value=_at(wall, 99), limit=SCAN_MS_MAX, unit="ms"),
    ]
    return "\n\n".join((_documents(scores), _keys(keys, clean, alarms, wall), bars(found)))


class _Score:
    """What was found of one set."""

    def __init__(self, detector: Detector, told: Sequence[Document]) -> None:
        began = time.process_time_ns()
        found = [(one, bool(detector.signals(one.text))) for one in told]
        self.us = (time.process_time_ns() - began) // (1_000 * len(told))
        right = sum(hit for one, hit in found if one.structured)
        self.recall = 100 * right / sum(one.structured for one in told)
        self.precision = 100 * right / sum(hit for _, hit in found)
        self.names = sum(one.names_only for one in told)
        self.names_found = sum(hit for one, hit in found if one.names_only)


def _score(detector: Detector, told: Sequence[Document]) -> _Score:
    detector.signals(told[0].text)  # whatever is made once is made here
    return _Score(detector, told)


def _documents(scores: dict[str, _Score]) -> str:
    ours = (
        "**ours**",
        *(f"{score.recall:.1f} / {score.precision:.1f}" for score in scores.values()),
        " – ".join(str(score.us) for score in scores.values()),
    )
    names = (
        "of these, documents with names and places only: ours",
        *(f"{score.names_found} of {score.names}" for score in scores.values()),
        "",
    )
    columns = ("documents with structured data: recall / precision, %", "v2", "large", "µs")
    return table(columns, (ours, *PEERS, names))


def _keys(
    keys: Sequence[bool], clean: dict[str, list[str]], alarms: dict[str, int], wall: Sequence[float]
) -> str:
    count = sum(map(len, clean.values()))
    ours = (
        "**ours**, 300 generated keys",
        f"{100 * sum(keys) / len(keys):.1f}",
        f"{sum(alarms.values())} of {count:,}",
        f"{1_000 * _at(wall, 50):.0f} (8 KiB)",
    )
    sets = ", ".join(f"{len(told):,} of {name}" for name, told in clean.items())
    columns = ("keys", "found, %", "false alarms", "µs a prompt")
    return f"{table(columns, (ours, GITLEAKS))}\n\nPrompts: {sets}."


def _times(detector: Detector, told: Sequence[str]) -> tuple[list[float], list[float]]:
    """Milliseconds of each scan by the clock and of CPU, in ascending order.

    Of three scans of a text the quickest counts: others work on the same cores.
    """
    wall, cpu = [], []
    for text in _windows("\n".join(told)):
        turns = [_time(detector, text) for _ in range(TURNS)]
        wall.append(min(clock for clock, _ in turns))
        cpu.append(min(worked for _, worked in turns))
    return sorted(wall), sorted(cpu)


def _time(detector: Detector, text: str) -> tuple[float, float]:
    began, worked = time.perf_counter_ns(), time.thread_time_ns()
    detector.signals(text)
    worked = time.thread_time_ns() - worked
    return (time.perf_counter_ns() - began) / 1e6, worked / 1e6


def _windows(text: str) -> Iterator[str]:
    step = max((len(text) - SCANNED_CHARS) // SCANS, 1)
    for at in range(SCANS):
        yield text[at * step : at * step + SCANNED_CHARS]


def _at(times: Sequence[float], percent: int) -> float:
    return times[min(len(times) * percent // 100, len(times) - 1)]


def _percent(what: str, value: float, limit: float) -> Bar:
    return Bar(what=what, value=value, limit=limit, at_most=False, unit="%", digits=1)
