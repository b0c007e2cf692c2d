"""What a chat request asks for, read from its body and counted in tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from openrouter_simulator.error_answers import refused
from openrouter_simulator.routing.models import KNOWN_PARAMETERS
from openrouter_simulator.shapes.forms import TEXT, Form, form_of

BYTES_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 1_000
_CHOICES_MAX = 128
_MODELS_MAX = 32
_EFFORTS = {
    "max": 95,
    "xhigh": 95,
    "high": 80,
    "medium": 50,
    "low": 20,
    "minimal": 10,
    "none": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A chat request. `max_tokens` None: none was asked for; `thinking_percent` is of it."""

    models: tuple[str, ...]
    prompt: str
    prompt_bytes: int
    message_count: int
    image_count: int
    max_tokens: int | None
    choices: int
    stream: bool
    user: str | None
    thinking_percent: int | None
    thinking_max: int | None
    thinking_hidden: bool
    searches: bool
    parameters: frozenset[str]
    service_tier: str
    form: Form = TEXT
    routing_shown: bool = False

    @property
    def prompt_tokens(self) -> int:
        """Native tokens of the prompt: a quarter of its bytes, the template's own, the images'."""
        texts = tokens_of(self.prompt_bytes) + _TOKENS_PER_MESSAGE * self.message_count
        return texts + _TOKENS_PER_IMAGE * self.image_count


def ask_from(document: Mapping[str, object], *, routing_shown: bool = False) -> Ask:
    """The ask of a request body. Raises OrderRefused with OpenRouter's words."""
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refused(400, 'Input required: specify "prompt" or "messages"')
    texts = [_text_of(message) for message in messages]
    beside = [document[name] for name in ("tools", "response_format") if document.get(name)]
    user = document.get("user")
    percent, most, hidden = _thinking(document)
    return Ask(
        models=_models(document),
        prompt=texts[-1],
        prompt_bytes=sum(len(text.encode(errors="replace")) for text in texts)
        + sum(len(orjson.dumps(part)) for part in beside),
        message_count=len(messages),
        image_count=sum(_images_of(message) for message in messages),
        max_tokens=_max_tokens(document),
        choices=_choices(document.get("n")),
        stream=document.get("stream") is True,
        user=user if isinstance(user, str) else None,
        thinking_percent=percent,
        thinking_max=most,
        thinking_hidden=hidden,
        searches=_searches(document),
        parameters=KNOWN_PARAMETERS & document.keys(),
        service_tier=str(document.get("service_tier") or ""),
        form=form_of(document, prompt=texts[-1]),
        routing_shown=routing_shown,
    )


def tokens_of(size_bytes: int) -> int:
    """Tokens of a text of this size."""
    return -(-size_bytes // BYTES_PER_TOKEN)


def _models(document: Mapping[str, object]) -> tuple[str, ...]:
    listed = document.get("models") or []
    if not isinstance(listed, list) or len(listed) > _MODELS_MAX:
        raise refused(400, f"models must be a list of at most {_MODELS_MAX} model ids")
    first = [document["model"]] if document.get("model") is not None else []
    names = [name for name in (*first, *listed) if isinstance(name, str)]
    if not names or len(names) < len(first) + len(listed):
        raise refused(400, f"{document.get('model')} is not a valid model ID")
    return tuple(dict.fromkeys(names))


def _max_tokens(document: Mapping[str, object]) -> int | None:
    asked = document.get("max_tokens", document.get("max_completion_tokens"))
    if asked is None:
        return None
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
        raise refused(400, "max_tokens must be a number of at least 1")
    return asked


def _choices(asked: object) -> int:
    if asked is None:
        return 1
    if not isinstance(asked, int) or isinstance(asked, bool) or not 1 <= asked <= _CHOICES_MAX:
        raise refused(400, f"n must be between 1 and {_CHOICES_MAX}")
    return asked


def _thinking(document: Mapping[str, object]) -> tuple[int | None, int | None, bool]:
    """Share of max_tokens in percent, tokens at most, whether it is hidden."""
    asked = document.get("reasoning")
    wanted = asked if isinstance(asked, dict) else {}
    effort = wanted.get("effort", document.get("reasoning_effort"))
    if effort is not None and effort not in _EFFORTS:
        raise refused(400, f"reasoning.effort must be one of {', '.join(_EFFORTS)}")
    most = wanted.get("max_tokens")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise refused(400, "reasoning.max_tokens must be a number of at least 1")
    percent = None if effort is None else _EFFORTS[str(effort)]
    if percent is None and (wanted.get("enabled") is True or most is not None):
        percent = _EFFORTS["medium"]
    if wanted.get("enabled") is False:
        percent = 0
    hidden = wanted.get("exclude") is True or document.get("include_reasoning") is False
    return percent, most, hidden


def _searches(document: Mapping[str, object]) -> bool:
    plugins = [part.get("id") for part in _objects(document.get("plugins"))]
    tools = [part.get("type") for part in _objects(document.get("tools"))]
    return "web" in plugins or "openrouter:web_search" in tools


def _objects(value: object) -> Iterable[Mapping[str, object]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _text_of(message: object) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in _objects(content) if "text" in part)


def _images_of(message: object) -> int:
    content = message.get("content") if isinstance(message, dict) else None
    return sum(1 for part in _objects(content) if part.get("type") == "image_url")
