"""The page itself: what each model did, at which price, how it stands, and what moved.

There is no single score: who needs one weighs these figures for its own work. Every text that was
not written here is escaped. Must not know: sockets, or where records are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from cobot_meter.domain.benchmarks.model_watch import LEARNING_DAYS, WatchState
from cobot_meter.domain.benchmarks.movements import Measure, Movement
from cobot_meter.domain.benchmarks.overview import Overview
from cobot_meter.domain.benchmarks.statistics.proportions import PPM
from cobot_meter.domain.benchmarks.summary import ModelSummary
from cobot_meter.operator_api.benchmarks.charts import interval_bar, scatter, sparkline
from cobot_meter.operator_api.benchmarks.style import STYLE
from cobot_meter.operator_api.benchmarks.wording import (
    duration,
    effect,
    figure,
    moment,
    percent,
    probability,
    short_moment,
    thousand_cost,
)

JSON_PATH = "/operator/benchmarks.json"
_NOTHING = (
    '<section class="empty"><p>Nothing has been measured yet: '
    "<code>cobot-meter bench run --models …</code> asks the first questions, and what comes of "
    "them is shown here.</p></section>"
)
_RANKS_NOBODY = (
    "Quality has a 95 % interval (Wilson): two models whose intervals overlap are not ranked by "
    "it. Costs are what the upstream charged, times are p50 / p95."
)
_OF_THE_OPEN = (
    "Every model may have learnt these items, so they rank nobody: each is held against itself."
)
_HEADS = (
    ("left", "Model"),
    ("left", "Right, with its interval"),
    ("", "Per 1,000 tasks"),
    ("", "First byte"),
    ("", "Whole answer"),
    ("", "Errors"),
    ("", "Items"),
    ("", "Last run (UTC)"),
)


def benchmarks_page(found: Overview) -> bytes:
    """The whole document."""
    body = "".join(_sections(found)) if found.models or found.public else _NOTHING
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Benchmarks of models</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>Benchmarks of models</h1>{_head(found)}"
        f'<a href="{JSON_PATH}">Raw JSON</a></header>{body}'
        "<footer>No score adds these up: weigh them for your own work. Shares are of distinct "
        "prompts; errors say nothing of quality.</footer></main></body></html>"
    ).encode()


def _head(found: Overview) -> str:
    return (
        f'<p class="dim">the last {found.days} days, {found.records:,} records, as of '
        f"{moment(found.at_ms)} UTC</p>"
    )


def _sections(found: Overview) -> Iterable[str]:
    yield _moved(found)
    if found.models:
        yield (
            "<section><h2>What each model did</h2>"
            f'<p class="note">{_RANKS_NOBODY}</p>{_table(found.models)}</section>'
        )
        yield (
            "<section><h2>Cost and quality</h2>"
            '<p class="note">The line joins the models that no other one beats: none is as good '
            "for less. Bars are intervals of 95 %.</p>"
            f"{scatter(found.models)}</section>"
        )
    if found.watched:
        yield _watch(found.watched)
    if found.public:
        yield (
            "<section><h2>Items that lie in the open</h2>"
            f'<p class="note">{_OF_THE_OPEN}</p>{_table(found.public)}</section>'
        )


def _table(models: Sequence[ModelSummary]) -> str:
    heads = "".join(f'<th class="{kind}" scope="col">{words}</th>' for kind, words in _HEADS)
    rows = "".join(map(_row, models))
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(one: ModelSummary) -> str:
    share = one.right * PPM // one.judged if one.judged else 0
    quality = (
        f'<div class="quality"><b>{percent(share)}</b>{interval_bar(one)}</div>'
        if one.judged
        else '<span class="dim">no answer yet</span>'
    )
    errors = percent(one.errors * PPM // one.asked) if one.errors else "none"
    name = f"at {escape(one.provider)}" if one.provider else escape(one.model)
    cells = (
        ("left name", name),
        ("left", quality),
        ("", thousand_cost(one.cost_pusd) if one.judged else ""),
        ("", _times(one.first_text.p50_ms, one.first_text.p95_ms) if one.judged else ""),
        ("", _times(one.whole.p50_ms, one.whole.p95_ms) if one.judged else ""),
        ("", errors),
        ("", f"{one.judged:,}"),
        ("", short_moment(one.last_ms)),
    )
    kind = ' class="provider"' if one.provider else ""
    told = "".join(f'<td class="{css}">{said}</td>' for css, said in cells)
    return f"<tr{kind}>{told}</tr>"


def _times(p50_ms: int, p95_ms: int) -> str:
    return f"{duration(p50_ms)} <small>/ {duration(p95_ms)}</small>"


def _moved(found: Overview) -> str:
    title = "<h2>What moved since last week</h2>"
    note = (
        '<p class="note">The last 7 days against the 28 before: quality by exact McNemar over '
        "pairs of items, times by Mann-Whitney, all corrected by Holm; said where p is at most "
        "0.05 and the step matters.</p>"
    )
    if not found.moved:
        asked = len(found.movements)
        said = (
            f'<p><span class="pill good">Nothing moved</span> <span class="dim">'
            f"in {asked} comparisons</span></p>"
            if asked
            else '<p><span class="pill plain">Not yet</span> <span class="dim">two weeks of '
            "records are needed to compare</span></p>"
        )
        return f"<section>{title}{note}{said}</section>"
    rows = "".join(map(_movement, found.moved))
    heads = "".join(
        f'<th class="{css}" scope="col">{words}</th>'
        for css, words in (
            *(("left", "Model"), ("left", "What"), ("", "Before"), ("", "Now"), ("", "Step")),
            *(("", "Chance (Holm)"), ("", "Behind it")),
        )
    )
    return (
        f'<section>{title}{note}<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _movement(one: Movement) -> str:
    worse = (one.effect_ppm < 0) == (one.measure is Measure.QUALITY)
    behind = "answers" if one.measure is Measure.LATENCY else "pairs"
    return (
        f'<tr><td class="left name">{_whose(one.model, one.provider)}</td>'
        f'<td class="left">{one.measure}</td><td>{figure(one, one.before)}</td>'
        f"<td>{figure(one, one.after)}</td>"
        f'<td><span class="pill {"bad" if worse else "good"}">{effect(one)}</span></td>'
        f"<td>{probability(one.p_ppb)}</td><td>{one.count:,} {behind}</td></tr>"
    )


def _whose(model: str, provider: str) -> str:
    return f"{escape(model)} <small>at {escape(provider)}</small>" if provider else escape(model)


def _watch(watched: Sequence[WatchState]) -> str:
    heads = "".join(
        f'<th class="{css}" scope="col">{words}</th>'
        for css, words in (
            *(("left", "Model"), ("", "Days"), ("", "Usual")),
            *(("left", "CUSUM, dashed where it rings"), ("left", "Stands")),
        )
    )
    return (
        "<section><h2>Daily watch</h2>"
        '<p class="note">Sixty items a day: what speaks for a fall by ten points adds up, and good '
        "days take it back.</p>"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(map(_state, watched))}</tbody></table></div></section>"
    )


def _stands(one: WatchState) -> Iterable[str]:
    if one.fell:
        yield '<span class="pill bad">quality fell</span>'
    if one.latency is not None and one.latency.moved:
        kind, words = ("bad", "slower") if one.latency.effect_ppm > 0 else ("good", "faster")
        yield f'<span class="pill {kind}">{words}: {effect(one.latency)}</span>'


def _state(one: WatchState) -> str:
    if one.learning:
        stands = f'<span class="pill plain">learning, day {one.days} of {LEARNING_DAYS}</span>'
    elif one.moved:
        stands = " ".join(_stands(one))
    else:
        stands = '<span class="pill good">as usual</span>'
    name = f"at {escape(one.provider)}" if one.provider else escape(one.model)
    kind = ' class="provider"' if one.provider else ""
    usual, spark = ("", "") if one.learning else (percent(one.usual_ppm), sparkline(one))
    return (
        f'<tr{kind}><td class="left name">{name}</td><td>{one.days}</td><td>{usual}</td>'
        f'<td class="left">{spark}</td><td class="left">{stands}</td></tr>'
    )
