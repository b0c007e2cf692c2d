"""Settings, read once from the environment and handed out in small frozen sections.

A missing, wrong or unknown variable stops the start with one line. Must not know: the parts that
are built from it. `docs/settings.md` explains every variable; a test holds it to `setting_names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cobot_meter.background.run_turns import RunBounds
from cobot_meter.domain.callers import ADDRESS_BPS_MAX, NEWCOMERS_BPS_MAX, CapTerms, ExposureTerms
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.money import AMOUNT_MAX, MSAT_PER_SAT
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.domain.topup.record import TopupBounds
from cobot_meter.flows.answer.recent_answers import BYTES_MAX as RECENT_BYTES_MAX
from cobot_meter.http_api.http.body_room import BYTES_MAX
from cobot_meter.wiring.logs import AUTO, FORMATS
from cobot_meter.wiring.settings.addresses import Address, read_address, read_address_or_off
from cobot_meter.wiring.settings.database import DatabaseSettings, read_database
from cobot_meter.wiring.settings.local import LocalSettings, read_local
from cobot_meter.wiring.settings.node import NodeSettings, read_node
from cobot_meter.wiring.settings.panel import read_panel_models
from cobot_meter.wiring.settings.privacy import PrivacySettings, read_privacy
from cobot_meter.wiring.settings.rate import RateSettings, read_rate
from cobot_meter.wiring.settings.risks import Reach, Risk, read_accepted, refuse_risks, risks_of
from cobot_meter.wiring.settings.values import FILE, Secret, Values

PREFIX = "COBOT_METER_"
UPSTREAM_KEY = "OPENROUTER_API_KEY"
API_PATH = "/api/v1"
BODY_KEYS = "body-keys"
SAT_MAX = AMOUNT_MAX // MSAT_PER_SAT
EVERY_S = 0.01  # what is done oftener would be nothing but that


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSettings:
    """The HTTP face."""

    listen: Address
    public_url: str
    body_bytes_max: int
    bodies_bytes_max: int
    trusted_proxies: tuple[str, ...]
    connections_max: int
    address_connections_max: int
    first_wait_s: float
    identical_wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """The gateway: the built-in simulator, or OpenRouter with a key; and a local one beside it."""

    simulated: bool
    simulator_listen: Address
    simulator_lag_s: float
    simulator_latency_s: float
    base_url: str
    api_key: Secret
    timeout_s: float
    models: frozenset[str]
    fallback_models: tuple[str, ...]
    panel_models: tuple[str, ...]
    account_interval_s: float
    reserve_pusd: int
    local: LocalSettings
    privacy: PrivacySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Bounds of the process itself."""

    log_level: str
    log_format: str
    drain_s: float
    bounds: RunBounds
    due_interval_s: float
    sweep_interval_s: float
    compare_interval_s: float
    catalogue_interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSettings:
    """How sales on credit are kept and confirmed.

    Up to `recent_answers_bytes` of answers stay in memory for two minutes instead of being stored;
    of those that said what they cost, one in `confirm_one_in` is looked up at the upstream.
    """

    confirm_one_in: int
    recent_answers_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Where the operator reads figures; `listen` None: nowhere.

    Where the address was `chosen` it has to be free; the one that nobody chose may be another
    replica's on this machine, and no figures are better than no sales.
    """

    listen: Address | None
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything; each part is given its own section only."""

    data_dir: Path
    body_keys_dir: Path
    database: DatabaseSettings
    face: FaceSettings
    metrics: MetricsSettings
    upstream: UpstreamSettings
    node: NodeSettings
    prices: PriceTerms
    exposure: ExposureTerms
    topups: TopupBounds
    credit: CreditSettings
    rate: RateSettings
    accepted_risks: frozenset[str]
    routing_table: Path | None
    bench_key: Secret
    benchmarks_price_msat: int | None
    run: RunSettings

    @property
    def risks(self) -> tuple[Risk, ...]:
        """What is dangerous in them together; `read_settings` lets pass what was accepted."""
        upstream = self.upstream
        return risks_of(
            Reach(
                network=self.node.network,
                simulated=upstream.simulated,
                upstream_url=upstream.base_url,
                api_key=upstream.api_key,
                rate_sources=self.rate.sources,
                trusted_proxies=self.face.trusted_proxies,
                public_url=self.face.public_url,
                simulator_listen=upstream.simulator_listen,
                wallet_listen=self.node.listen,
            )
        )

    def with_simulator_at(self, address: Address) -> Settings:
        """These settings, with the embedded simulator at the address where it really listens.

        The upstream's base URL is then below `address`.
        """
        upstream = replace(self.upstream, base_url=f"{address.url}{API_PATH}")
        return replace(self, upstream=upstream)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings. Raises SettingInvalid with one sentence that names the variable."""
    values = Values(environ, prefix=PREFIX)
    settings = _settings(values)
    values.refuse_unknown()
    refuse_risks(settings.risks, accepted=settings.accepted_risks)
    return settings


def setting_names() -> frozenset[str]:
    """Every variable there is, without the upstream's key."""
    values = Values({}, prefix=PREFIX)
    _settings(values)
    return values.known


def _settings(values: Values) -> Settings:
    node, database = read_node(values), read_database(values)
    data_dir = values.path("DATA_DIR", ".cobot-meter")
    topups = _topups(values)
    return Settings(
        data_dir=data_dir,
        body_keys_dir=values.path("BODY_KEYS_DIR", str(data_dir / BODY_KEYS)),
        database=database,
        face=_face(values),
        metrics=MetricsSettings(
            listen=read_address_or_off(values, "METRICS_LISTEN", "127.0.0.1:8405"),
            chosen=values.given("METRICS_LISTEN"),
        ),
        upstream=_upstream(values, one_process=not database.url),
        node=node,
        prices=PriceTerms(
            credit_fee_bps=values.integer("CREDIT_FEE_BPS", 550, at_most=100_000),
            markup_bps=values.integer("MARKUP_BPS", 1_000, at_most=100_000),
            safety_bps=values.integer("SAFETY_BPS", 500, at_most=100_000),
        ),
        exposure=_exposure(values),
        topups=topups,
        credit=_credit(values, one_process=not database.url),
        rate=read_rate(values, node.network),
        accepted_risks=read_accepted(values),
        routing_table=values.maybe_path("ROUTING_TABLE"),
        bench_key=values.secret("BENCH_KEY"),
        benchmarks_price_msat=_benchmarks_price(values, topups),
        run=_run(values),
    )


def _face(values: Values) -> FaceSettings:
    listen = read_address(values, "LISTEN", "127.0.0.1:8402")
    return FaceSettings(
        listen=listen,
        public_url=values.url("PUBLIC_URL", listen.url),
        body_bytes_max=values.integer("BODY_BYTES_MAX", 1_048_576, at_least=1_024),
        bodies_bytes_max=values.integer("BODIES_BYTES_MAX", BYTES_MAX, at_least=1_024),
        trusted_proxies=values.networks("TRUSTED_PROXIES"),
        connections_max=values.integer("CONNECTIONS_MAX", 2_048, at_least=16, at_most=100_000),
        address_connections_max=values.integer(
            "ADDRESS_CONNECTIONS_MAX", 64, at_least=1, at_most=100_000
        ),
        first_wait_s=values.seconds("FIRST_WAIT_S", "600"),
        identical_wait_s=values.seconds("IDENTICAL_WAIT_S", "20"),
    )


def _upstream(values: Values, *, one_process: bool) -> UpstreamSettings:
    simulated = values.choice("UPSTREAM", "simulator", ("simulator", "openrouter")) == "simulator"
    key = Secret("simulated") if simulated else values.secret(UPSTREAM_KEY, prefixed=False)
    if not key:
        message = (
            f"{UPSTREAM_KEY} is missing: set it (or {UPSTREAM_KEY}{FILE}), or leave "
            f"{PREFIX}UPSTREAM=simulator to try things out without spending"
        )
        raise SettingInvalid(message)
    listen = read_address(values, "SIMULATOR_LISTEN", "127.0.0.1:8403")
    default_url = f"{listen.url}{API_PATH}" if simulated else "https://openrouter.ai/api/v1"
    local = read_local(values, one_process=one_process)
    return UpstreamSettings(
        simulated=simulated,
        simulator_listen=listen,
        simulator_lag_s=values.seconds("SIMULATOR_LAG_S", "0.3"),
        simulator_latency_s=values.seconds("SIMULATOR_LATENCY_S", "0.2"),
        base_url=values.url("UPSTREAM_URL", default_url),
        api_key=key,
        timeout_s=values.seconds("UPSTREAM_TIMEOUT_S", "300", at_least=0.1),
        models=frozenset(values.words("MODELS")),
        fallback_models=values.words("FALLBACK_MODELS"),
        panel_models=read_panel_models(values),
        account_interval_s=values.seconds("UPSTREAM_ACCOUNT_INTERVAL_S", "60", at_least=EVERY_S),
        reserve_pusd=values.pusd("UPSTREAM_RESERVE_USD", "0.10"),
        local=local,
        privacy=read_privacy(values, local),
    )


def _exposure(values: Values) -> ExposureTerms:
    for name in ("ADDRESS_DAY_SAT", "NEWCOMERS_DAY_USD", "PROVEN_DAY_USD"):
        values.retired(name, "UNPAID_DAY_USD", "the others are shares of that one day")
    terms = ExposureTerms.shares_of(
        values.pusd("UNPAID_DAY_USD", "1.00"),
        cap=CapTerms(
            newcomer_msat=values.sat_as_msat("NEWCOMER_CAP_SAT", 200),
            max_msat=values.sat_as_msat("CAP_MAX_SAT", 100_000),
        ),
        newcomer_until_msat=values.sat_as_msat("NEWCOMER_UNTIL_SAT", 200),
        newcomers_bps=values.integer(
            "NEWCOMERS_SHARE_BPS", NEWCOMERS_BPS_MAX, at_most=NEWCOMERS_BPS_MAX
        ),
        address_bps=values.integer("ADDRESS_SHARE_BPS", ADDRESS_BPS_MAX, at_most=ADDRESS_BPS_MAX),
        ask_least_pusd=values.pusd("ASK_LEAST_USD", "0.0001"),
    )
    return replace(
        terms,
        key_losses_day_pusd=values.pusd("BROKEN_PER_KEY_DAY_USD", "1.00"),
        overrun_request_pusd=values.pusd("OVERRUN_REQUEST_USD", "0.25"),
        overrun_day_pusd=values.pusd("OVERRUN_DAY_USD", "1.00"),
    )


def _topups(values: Values) -> TopupBounds:
    bounds = TopupBounds(
        least_msat=_sats(values, "TOPUP_LEAST_SAT", 10),
        most_msat=_sats(values, "TOPUP_MOST_SAT", 1_000_000),
    )
    if bounds.least_msat > bounds.most_msat:
        message = (
            f"{PREFIX}TOPUP_LEAST_SAT is more than {PREFIX}TOPUP_MOST_SAT, so no top-up would fit: "
            "correct one of them"
        )
        raise SettingInvalid(message)
    return bounds


def _benchmarks_price(values: Values, topups: TopupBounds) -> int | None:
    """What a day's edition costs; None where no price is set, and none is offered."""
    price_msat = values.sat_as_msat("BENCHMARKS_PRICE_SAT", 0)
    if price_msat > topups.most_msat:
        message = (
            f"{PREFIX}BENCHMARKS_PRICE_SAT is more than {PREFIX}TOPUP_MOST_SAT, so nobody could "
            "pay it: correct one of them"
        )
        raise SettingInvalid(message)
    return price_msat if values.given("BENCHMARKS_PRICE_SAT") else None


def _credit(values: Values, *, one_process: bool) -> CreditSettings:
    """Where several processes share the books, a retry may come to another one: all is stored."""
    return CreditSettings(
        confirm_one_in=values.integer("CONFIRM_ONE_IN", 1, at_least=1, at_most=10_000),
        recent_answers_bytes=values.integer(
            "RECENT_ANSWERS_BYTES", RECENT_BYTES_MAX if one_process else 0
        ),
    )


def _sats(values: Values, name: str, default: int) -> int:
    return values.integer(name, default, at_least=1, at_most=SAT_MAX) * MSAT_PER_SAT


def _run(values: Values) -> RunSettings:
    levels = ("debug", "info", "warning", "error")
    return RunSettings(
        log_level=values.choice("LOG_LEVEL", "info", levels),
        log_format=values.choice("LOG_FORMAT", AUTO, FORMATS),
        drain_s=values.seconds("DRAIN_S", "30"),
        bounds=RunBounds(
            runs_max=values.integer("RUNS_MAX", 1_024, at_least=1, at_most=100_000),
            kept_bps=values.integer("RUNS_KEPT_BPS", 2_500, at_most=9_000),
            address_max=values.integer("ADDRESS_RUNS_MAX", 256, at_least=1, at_most=100_000),
            waiting_max=values.integer("RUNS_WAITING_MAX", 1_024, at_most=100_000),
        ),
        due_interval_s=values.seconds("DUE_INTERVAL_S", "1", at_least=EVERY_S),
        sweep_interval_s=values.seconds("SWEEP_INTERVAL_S", "30", at_least=EVERY_S),
        compare_interval_s=values.seconds("COMPARE_INTERVAL_S", "60", at_least=EVERY_S),
        catalogue_interval_s=values.seconds("CATALOGUE_INTERVAL_S", "300", at_least=EVERY_S),
    )
