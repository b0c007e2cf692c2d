"""Ollama's errors are read by a table of its own: what another upstream means says nothing here."""

from __future__ import annotations

import pytest

from cobot_meter.adapters.upstreams.ollama.taxonomy import ERRORS
from cobot_meter.adapters.upstreams.openrouter import taxonomy as openrouter
from cobot_meter.domain.errors import UpstreamFaultKind as K

# What OpenRouter says in ways of its own, with the status that Ollama would be read by.
ANOTHERS: list[tuple[dict[str, object], int, K, K]] = [
    ({"availability": {"code": "no_endpoints"}}, 503, K.NOT_FOUND, K.OVERLOADED),
    ({"metadata": {"limit_source": "openrouter_credits"}}, 400, K.PAYMENT, K.BAD_REQUEST),
    ({"metadata": {"reasons": ["violence"]}}, 403, K.MODERATION, K.AUTH),
    ({"error_type": "content_policy_violation"}, 400, K.MODERATION, K.BAD_REQUEST),
    ({"message": "insufficient credits"}, 400, K.PAYMENT, K.BAD_REQUEST),
]


@pytest.mark.parametrize(("error", "status", "there", "here"), ANOTHERS)
def test_another_upstreams_words_mean_nothing_here(
    error: dict[str, object], status: int, there: K, here: K
) -> None:
    """The status decides, as it does for whoever has no word for it."""
    assert openrouter.ERRORS.kind(error, status) is there
    assert ERRORS.kind(error, status) is here


def test_a_prompt_that_is_too_long_is_known_by_its_words() -> None:
    """Ollama says it with a 400 and no type of its own."""
    said = {"message": "the input exceeds the available context window"}
    assert ERRORS.kind(said, 400) is K.CONTEXT_LENGTH


def test_what_may_have_run_is_told_by_the_status() -> None:
    """`availability` is OpenRouter's word that nothing ran; here a 503 is a 503."""
    error = {"availability": {"code": "no_endpoints", "retry_after": 4}}
    assert ERRORS.may_have_run(error, 503)
    assert not openrouter.ERRORS.may_have_run(error, 503)
    assert ERRORS.retry_after_s(error, header=None, date=None) is None
    assert ERRORS.retry_after_s(error, header="7", date=None) == 7
