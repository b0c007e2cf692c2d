"""Who hosts a model: each endpoint with its own price, limits, habits and tag.

The first endpoint of a model is its top provider, at the model's own price; others are dearer or
smaller; tiers (`openai/priority`, `openai/flex`) run only for those who ask for them. Must not
know: requests.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from openrouter_simulator.routing.models import SimulatedModel
from openrouter_simulator.routing.prices import Prices

PRIORITY = "priority"
FLEX = "flex"
_DOWN = -5
_UPTIME_PERCENT = 99.7
_TIER_FACTORS = {PRIORITY: Decimal(2), FLEX: Decimal("0.5")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A provider, as the host of any model. `pace` is its tokens a second."""

    name: str
    factor: Decimal = Decimal(1)
    share: int = 1
    quantization: str = "unknown"
    trains: bool = False
    keeps_nothing: bool = True
    stops: bool = True
    bare: bool = False
    pace: int = 60
    delay_ms: int = 500

    @property
    def slug(self) -> str:
        """The name as `provider.order` and others take it."""
        return self.name.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model at a host, in a tier."""

    model: SimulatedModel
    host: Host
    tier: str = ""

    @property
    def provider(self) -> str:
        """The name shown as `provider`."""
        return self.host.name

    @property
    def tag(self) -> str:
        """`deepinfra`, `novita/fp8`, `openai/priority`."""
        if self.tier:
            return f"{self.host.slug}/{self.tier}"
        exact = self.host.quantization == "unknown"
        return self.host.slug if exact else f"{self.host.slug}/{self.host.quantization}"

    @property
    def factor(self) -> Decimal:
        """Its price over the model's."""
        return self.host.factor * _TIER_FACTORS.get(self.tier, Decimal(1))

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together."""
        return self.model.context_length // self.host.share

    @property
    def max_out(self) -> int:
        """Tokens of an answer."""
        return self.model.max_out // self.host.share

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it supports; the rest is dropped in silence."""
        left_out = ("seed", "response_format") if self.host.bare else ()
        return tuple(name for name in self.model.parameters if name not in left_out)

    def named(self, names: Collection[str]) -> bool:
        """Whether a list of provider slugs, names or tags means this endpoint."""
        if not names:
            return False
        mine = {self.tag, self.host.slug, self.host.name.lower()}
        return any(name.lower() in mine for name in names)

    def prices_at(self, now_ms: int, *, prompt_tokens: int = 0) -> Prices:
        """The prices in force."""
        return self.model.prices_at(now_ms, prompt_tokens=prompt_tokens).times(self.factor)

    def document(self, now_ms: int, *, down: bool, measured: bool) -> dict[str, object]:
        """The entry of `…/endpoints`; latency and throughput only for those with a key."""
        pace, delay_ms = self.host.pace, self.host.delay_ms
        uptime = 0.0 if down else _UPTIME_PERCENT
        return {
            "name": f"{self.provider} | {self.model.slug}",
            "model_id": self.model.model_id,
            "model_name": self.model.model_id.partition("/")[2],
            "provider_name": self.provider,
            "tag": self.tag,
            "quantization": self.host.quantization,
            "context_length": self.context_length,
            "max_completion_tokens": self.max_out,
            "max_prompt_tokens": None,
            "pricing": self.model.pricing(now_ms, factor=self.factor),
            "supported_parameters": sorted(self.parameters),
            "supports_tool_choice": dict.fromkeys(_CHOICES, "tool_choice" in self.parameters),
            "supports_implicit_caching": self.model.cache_read is not None,
            "status": _DOWN if down else 0,
            "uptime_last_5m": uptime,
            "uptime_last_30m": uptime,
            "uptime_last_1d": _UPTIME_PERCENT,
            "latency_last_30m": _spread(delay_ms) if measured else None,
            "throughput_last_30m": _spread(pace) if measured else None,
        }


_CHOICES = ("auto", "function", "none", "required")


def endpoints_of(model: SimulatedModel) -> tuple[Endpoint, ...]:
    """Every endpoint of a model, the top provider first; a router has none."""
    if model.router:
        return ()
    top = Host(name=model.provider, stops=model.cancellable)
    hosts = (top,) if model.free else (top, *_OTHERS.get(model.author, ()))
    plain = tuple(Endpoint(model=model, host=host) for host in hosts)
    if model.author != "openai":
        return plain
    return (*plain, *(Endpoint(model=model, host=top, tier=tier) for tier in _TIER_FACTORS))


def endpoints_document(
    model: SimulatedModel, now_ms: int, *, outages: Collection[str], measured: bool
) -> dict[str, object]:
    """The body of `GET /models/{author}/{slug}/endpoints`."""
    told = model.document(now_ms)
    keys = ("id", "name", "created", "description", "architecture")
    rows = [
        endpoint.document(now_ms, down=endpoint.named(outages), measured=measured)
        for endpoint in endpoints_of(model)
    ]
    return {"data": {**{key: told[key] for key in keys}, "endpoints": rows}}


def _spread(middle: int) -> dict[str, int]:
    return {"p50": middle, "p75": middle * 3 // 2, "p90": middle * 2, "p99": middle * 5}


_OTHERS: dict[str, tuple[Host, ...]] = {
    "anthropic": (
        Host(name="Google Vertex", delay_ms=700, pace=55),
        Host(name="Amazon Bedrock", factor=Decimal("1.1"), stops=False, delay_ms=900, pace=45),
    ),
    "deepseek": (
        Host(name="Novita", factor=Decimal("1.25"), share=2, quantization="fp8", pace=40),
        Host(name="Fireworks", factor=Decimal("2.5"), pace=180, delay_ms=250),
    ),
    "google": (Host(name="Google AI Studio", stops=False, trains=True, keeps_nothing=False),),
    "meta-llama": (
        Host(name="Together", factor=Decimal("1.5"), share=2, quantization="fp8", pace=90),
        Host(name="Groq", factor=Decimal(2), stops=False, bare=True, pace=400, delay_ms=120),
    ),
    "mistralai": (
        Host(name="Nebius", factor=Decimal("1.5"), share=2, stops=False, bare=True, pace=35),
    ),
    "openai": (Host(name="Azure", factor=Decimal("1.1"), keeps_nothing=False, delay_ms=800),),
    "qwen": (
        Host(name="DeepInfra", factor=Decimal("1.2"), quantization="fp4", trains=True, pace=30),
        Host(name="Novita", factor=Decimal("1.5"), share=2, quantization="fp8", pace=50),
    ),
}
