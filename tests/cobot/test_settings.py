"""What an owner writes in cobot.yml, and what bad settings get."""

from __future__ import annotations

from typing import Any

import pytest

from cobot_meter.cobot.settings import SECTION, BadSetting, read_settings
from tests.cobot.shop import peer

LEAST = {"url": "http://127.0.0.1:8402/v1", "api_key": "sk-cobot-1"}


def test_a_url_and_a_key_are_enough() -> None:
    """Everything else has a default, and the model is that of the agent's own provider."""
    config = {SECTION: LEAST, "provider": "ppq", "ppq": {"model": "openai/gpt-5-nano"}}
    settings = read_settings(config)
    assert settings.url == settings.public_url == "http://127.0.0.1:8402"
    assert settings.model == "openai/gpt-5-nano"
    assert settings.tools == frozenset()
    assert "sk-cobot-1" not in repr(settings)


def test_a_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`${NAME}` is read at the start, as elsewhere in cobot.yml."""
    monkeypatch.setenv("SELLER_KEY", "sk-cobot-2")
    settings = read_settings({SECTION: {**LEAST, "api_key": "${SELLER_KEY}"}})
    assert settings.api_key == "sk-cobot-2"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"api_key": "${NOT_THERE_AT_ALL}"}, "the environment does not have"),
        ({"api_key": ""}, "api_key must be a text"),
        ({"api_key": "sk with blanks"}, "no key has"),
        ({"url": "127.0.0.1:8402"}, "must be a URL"),
        ({"fee_sat": 1.5}, "fee_sat must be a whole number"),
        ({"ceiling_sat": 0}, "ceiling_sat must be a whole number from 1"),
        ({"at_once": True}, "at_once must be a whole number"),
        ({"trusted": "filedrop:alice"}, "trusted must be a list of peers"),
        ({"trusted": ["alice"]}, "channel:name"),
        ({"tools": [1]}, "tools must be a list"),
        ({"skills": {"translate": "50"}}, "skills must say whole sat"),
        ({"skills": []}, "skills must say whole sat"),
        ({"fee": 10}, "meter-seller.fee is no setting"),
    ],
)
def test_a_bad_setting_gets_a_sentence(wrong: dict[str, Any], said: str) -> None:
    """It names the setting and what to write."""
    with pytest.raises(BadSetting, match=said):
        read_settings({SECTION: {**LEAST, **wrong}})


def test_without_its_section_it_does_not_start() -> None:
    """An agent that would serve strangers for nothing says what is missing."""
    with pytest.raises(BadSetting, match="no section"):
        read_settings({})


def test_friends_are_named_with_their_channel() -> None:
    """A name on one channel is nobody on another; the agent's own lines are never billed."""
    settings = read_settings({SECTION: {**LEAST, "trusted": ["filedrop:alice", "nostr:*"]}})
    assert settings.is_friend(peer("alice"))
    assert not settings.is_friend(peer("alice", "telegram"))
    assert not settings.is_friend(peer("bob"))
    assert settings.is_friend(peer("npub1", "nostr"))
    assert settings.is_friend(peer("stdin", "stdin"))
