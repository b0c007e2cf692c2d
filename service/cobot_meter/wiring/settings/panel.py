"""Whom a consensus asks where its request names nobody."""

from __future__ import annotations

from cobot_meter.domain.consensus.panel import LEAST_MEMBERS, MOST_MEMBERS, named_twice
from cobot_meter.domain.routing.virtual import OURS
from cobot_meter.wiring.settings.values import Values

NAME = "PANEL_MODELS"
NOBODY = "none"
# Three makers, so that they do not all miss the same.
DEFAULT = ("anthropic/claude-haiku-4.5", "google/gemini-2.5-flash", "openai/gpt-5-mini")


def read_panel_models(values: Values) -> tuple[str, ...]:
    """The operator's panel; empty where every request has to name its own."""
    said = values.words(NAME)
    if not said:
        return DEFAULT
    if said == (NOBODY,):
        return ()
    sound = LEAST_MEMBERS <= len(said) <= MOST_MEMBERS and named_twice(said) is None
    if not sound or any(one.startswith(OURS) for one in said):
        wanted = (
            f"{LEAST_MEMBERS} to {MOST_MEMBERS} model ids, each once and separated by commas, or "
            f"{NOBODY}"
        )
        values.refuse(NAME, ",".join(said), wanted)
    return said
