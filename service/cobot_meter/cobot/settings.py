"""What an owner says in `cobot.yml` under `meter-seller`; bad settings get a sentence.

Must not know: the service, or the agent.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cobot_meter.cobot.agent import Peer

SECTION = "meter-seller"
MSAT_PER_SAT = 1_000
SAT_MAX = 100_000_000
DEFAULT_MODEL = "openai/gpt-5-mini"
# Lines of its own owner and its own clock: nobody there could be billed.
OWN_CHANNELS = frozenset({"stdin", "cron"})
REFUSAL = "I take no more paid work today. Please ask again tomorrow."


class BadSetting(ValueError):
    """A setting that cannot be used; the sentence says what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """The agent's own fee, on top of what the models cost; `minimum_msat` is the least bill."""

    fee_msat: int
    minimum_msat: int
    skills: Mapping[str, int] = field(default_factory=dict)

    def fee_of(self, message: str) -> int:
        """The fee for this message: that of the skill that its first word names, else the fee."""
        first = message.split(maxsplit=1)[:1]
        return self.skills.get(first[0].strip(":,.").lower(), self.fee_msat) if first else 0

    def least_msat(self, message: str) -> int:
        """What a bill for it is at least."""
        return max(self.fee_of(message), self.minimum_msat)

    def lines(self) -> str:
        """The list, for whoever asks."""
        named = [f"{name}: {_sat(fee)} and the models" for name, fee in sorted(self.skills.items())]
        every = f"everything else: {_sat(self.fee_msat)} and the models"
        return "\n".join([*named, every, f"the least bill: {_sat(self.minimum_msat)}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SellerSettings:
    """Everything a cobot's owner decides about selling."""

    url: str
    api_key: str = field(repr=False)
    public_url: str
    model: str
    max_tokens: int
    prices: PriceList
    ceiling_msat: int
    unpaid_day_msat: int
    at_once: int
    expires_in_s: int
    poll_s: float
    patience_s: int
    trusted: frozenset[str]
    tools: frozenset[str]
    refusal: str
    folder: Path

    def is_friend(self, peer: Peer) -> bool:
        """Whether this peer is served as ever, without a bill."""
        if peer.channel_type in OWN_CHANNELS:
            return True
        return peer.name in self.trusted or f"{peer.channel_type}:*" in self.trusted


def read_settings(config: Mapping[str, Any]) -> SellerSettings:
    """The settings in the whole `cobot.yml`. Raises BadSetting."""
    section = config.get(SECTION)
    if not isinstance(section, Mapping):
        raise BadSetting(f"cobot.yml has no section `{SECTION}:` with at least url and api_key")
    unknown = sorted(set(map(str, section)) - _KNOWN)
    if unknown:
        raise BadSetting(
            f"{SECTION}.{unknown[0]} is no setting; there are {', '.join(_KNOWN_TOLD)}"
        )
    told = _Section(section)
    url = _url(told, "url")
    return SellerSettings(
        url=url,
        api_key=_api_key(told),
        public_url=_url(told, "public_url") if section.get("public_url") else url,
        model=told.text("model", _friends_model(config)),
        max_tokens=told.whole("max_tokens", 2_048, most=1_000_000),
        prices=PriceList(
            fee_msat=told.sat("fee_sat", 10),
            minimum_msat=told.sat("minimum_sat", 1),
            skills=_skills(section.get("skills", {})),
        ),
        ceiling_msat=told.sat("ceiling_sat", 200, least=1),
        unpaid_day_msat=told.sat("unpaid_day_sat", 1_000),
        at_once=told.whole("at_once", 4, most=100),
        expires_in_s=told.whole("expires_in_s", 3_600, least=60, most=21_600),
        poll_s=told.whole("poll_ms", 2_000, least=50, most=600_000) / 1_000,
        patience_s=told.whole("patience_s", 120, most=3_600),
        trusted=told.names("trusted", _is_peer, "peers as channel:name, such as filedrop:alice"),
        tools=told.names("tools", bool, "names of tools"),
        refusal=told.text("refusal", REFUSAL),
        folder=Path(told.text("folder", "~/.cobot/meter-seller")).expanduser(),
    )


_KNOWN_TOLD = (
    "url",
    "api_key",
    "public_url",
    "model",
    "max_tokens",
    "fee_sat",
    "minimum_sat",
    "skills",
    "ceiling_sat",
    "unpaid_day_sat",
    "at_once",
    "expires_in_s",
    "poll_ms",
    "patience_s",
    "trusted",
    "tools",
    "refusal",
    "folder",
)
_KNOWN = frozenset(_KNOWN_TOLD)


class _Section:
    """The section, read member by member."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._section = section

    def text(self, name: str, otherwise: str) -> str:
        value = self._section.get(name, otherwise)
        if not isinstance(value, str) or not value.strip():
            raise BadSetting(f"{SECTION}.{name} must be a text, not {value!r}")
        return value.strip()

    def whole(self, name: str, otherwise: int, *, least: int = 1, most: int) -> int:
        value = self._section.get(name, otherwise)
        if type(value) is not int or not least <= value <= most:
            raise BadSetting(f"{SECTION}.{name} must be a whole number from {least} to {most:,}")
        return value

    def sat(self, name: str, otherwise: int, *, least: int = 0) -> int:
        return self.whole(name, otherwise, least=least, most=SAT_MAX) * MSAT_PER_SAT

    def names(self, name: str, fits: Callable[[str], bool], what: str) -> frozenset[str]:
        value = self._section.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise BadSetting(f"{SECTION}.{name} must be a list of {what}")
        if not all(fits(one) for one in value):
            raise BadSetting(f"{SECTION}.{name} must be a list of {what}")
        return frozenset(value)


def _api_key(told: _Section) -> str:
    key = os.path.expandvars(told.text("api_key", " "))
    if key.startswith("$"):
        raise BadSetting(f"{SECTION}.api_key names {key}, which the environment does not have")
    if not key.isascii() or any(letter.isspace() for letter in key):
        raise BadSetting(f"{SECTION}.api_key has characters that no key has")
    return key


def _url(told: _Section, name: str) -> str:
    url = told.text(name, " ").rstrip("/").removesuffix("/v1")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadSetting(f"{SECTION}.{name} must be a URL such as http://127.0.0.1:8402/v1")
    return url


def _friends_model(config: Mapping[str, Any]) -> str:
    """The model that the agent asks for its friends, if its provider has one."""
    provider = config.get(str(config.get("provider", "ppq")))
    model = provider.get("model") if isinstance(provider, Mapping) else None
    return model if isinstance(model, str) and model else DEFAULT_MODEL


def _is_peer(name: str) -> bool:
    channel, colon, sender = name.partition(":")
    return bool(channel and colon and sender)


def _skills(value: object) -> Mapping[str, int]:
    what = f"{SECTION}.skills must say whole sat by word, such as {{translate: 50}}"
    if not isinstance(value, Mapping):
        raise BadSetting(what)
    for name, fee in value.items():
        if not isinstance(name, str) or type(fee) is not int or not 0 <= fee <= SAT_MAX:
            raise BadSetting(what)
    return {name.lower(): fee * MSAT_PER_SAT for name, fee in value.items()}


def _sat(msat: int) -> str:
    return f"{msat // MSAT_PER_SAT:,} sat"
