"""Settings of a local Ollama: where it is, and what its models cost."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from cobot_meter.adapters.upstreams.ollama.wire import local_model
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.wiring.settings.values import Values, host_of, is_loopback, url_fault

# Its name among our upstreams: what its models, its generations and its meter begin with.
LOCAL = "ollama"
TOKENS_PER_PRICE = 1_000_000
CONTEXT_MIN = 2_048
_URL = "OLLAMA_URL"
_MODELS = "OLLAMA_MODELS"
_WORDS = 4
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(:[A-Za-z0-9._-]{1,63})?")
_CONTEXT = re.compile(r"[1-9][0-9]{2,7}")
# USD for a million tokens: six decimals are whole pico-USD for one token.
_TARIFF = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6})?")
# Ollama sends these on to machines that are not ours, where a cut answer may cost somebody money.
_ELSEWHERE = ("-cloud", ":cloud")
_ADDRESS = "the address of your Ollama, such as http://127.0.0.1:11434"
_WANTED = (
    "models such as `llama3.2:3b 8192 0.02 0.04` (a name without a slash, context in tokens, USD "
    "for a million tokens of prompt and of answer), separated by commas"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """`base_url` is empty, and there are no `models`, unless an Ollama is named.

    `on_this_machine` says that its address is one of loopback, and that it is asked there alone.
    """

    base_url: str = ""
    models: tuple[Model, ...] = ()
    on_this_machine: bool = False


def read_local(values: Values, *, one_process: bool) -> LocalSettings:
    """The local models that are set, if any.

    Raises SettingInvalid for half a setting, a wrong one, or books that several may write.
    """
    url, rows = values.optional(_URL).rstrip("/"), values.words(_MODELS)
    if not url and not rows:
        return LocalSettings()
    values.required(_URL, _ADDRESS)
    values.required(_MODELS, _WANTED)
    if not _is_root(url):
        message = f"{values.full(_URL)} must be {_ADDRESS}, with nothing after the port"
        raise SettingInvalid(message)  # without what was given: a password may stand in it
    if not one_process:
        message = (
            f"{values.full(_URL)} goes with books in the data directory only: its meter is a file "
            f"of one process, and with {values.full('DATABASE_URL')} there may be several"
        )
        raise SettingInvalid(message)
    here = is_loopback(host_of(url))
    models = tuple(replace(_model(values, row), on_this_machine=here) for row in rows)
    if len({model.model_id for model in models}) < len(models):
        values.refuse(_MODELS, ", ".join(rows), "names that differ")
    return LocalSettings(base_url=url, models=models, on_this_machine=here)


def _model(values: Values, row: str) -> Model:
    words = row.split()
    if len(words) != _WORDS:
        values.refuse(_MODELS, row, _WANTED)
    name, context, prompt, completion = words
    well = _NAME.fullmatch(name) and _CONTEXT.fullmatch(context) and int(context) >= CONTEXT_MIN
    if not well or not all(_TARIFF.fullmatch(tariff) for tariff in (prompt, completion)):
        values.refuse(_MODELS, row, _WANTED)
    if name.endswith(_ELSEWHERE):
        values.refuse(_MODELS, row, "models that run on your own machine")
    price = ModelPrice(prompt_pusd=_pusd(prompt), completion_pusd=_pusd(completion))
    return local_model(name, upstream=LOCAL, context_length=int(context), price=price)


def _pusd(tariff: str) -> int:
    """Pico-USD for one token."""
    return pusd_from_text(tariff) // TOKENS_PER_PRICE


def _is_root(url: str) -> bool:
    return url_fault(url) is None and urlsplit(url).path in {"", "/"}
