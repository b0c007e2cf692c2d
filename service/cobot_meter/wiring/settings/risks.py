"""Settings that are well-formed, and together give money or secrets away.

Each has a word. A start with one of them is refused, unless the operator says that word in
COBOT_METER_ACCEPTED_RISKS: what is done on purpose costs one line, what happens by accident costs
nothing but a sentence.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.settings.addresses import Address
from cobot_meter.wiring.settings.node import MAINNET
from cobot_meter.wiring.settings.values import (
    Secret,
    Values,
    host_of,
    is_encrypted,
    is_every_address,
    is_loopback,
)

ACCEPTED = "ACCEPTED_RISKS"
PLAY_MONEY = "play-money"
SIMULATED_ANSWERS = "simulated-answers"
PLAIN_UPSTREAM = "plain-upstream"
PLAIN_RATE = "plain-rate"
ANY_PROXY = "any-proxy"
NO_PUBLIC_URL = "no-public-url"
OPEN_CONTROL = "open-control"
OPEN_WALLET = "open-wallet"
WORDS = (
    PLAY_MONEY,
    SIMULATED_ANSWERS,
    PLAIN_UPSTREAM,
    PLAIN_RATE,
    ANY_PROXY,
    NO_PUBLIC_URL,
    OPEN_CONTROL,
    OPEN_WALLET,
)
# What OpenRouter gives out; a key that some stand-in takes has no such shape.
_REAL_KEY = re.compile(r"sk-or-v1-[0-9a-f]{64}")
# A private network has at most this size (10.0.0.0/8, fc00::/7): more is everybody.
_BITS_LEAST = {4: 8, 6: 7}
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Risk:
    """`word` accepts it; `sentence` says what is dangerous and what to do instead."""

    word: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What of the settings can be dangerous together: money, keys and open doors."""

    network: str
    simulated: bool
    upstream_url: str
    api_key: Secret
    rate_sources: Mapping[str, str]
    trusted_proxies: tuple[str, ...]
    public_url: str
    simulator_listen: Address
    wallet_listen: Address


def read_accepted(values: Values) -> frozenset[str]:
    """The words that the operator has said. Raises SettingInvalid for one that means nothing."""
    said = values.words(ACCEPTED)
    for word in said:
        if word not in WORDS:
            values.refuse(ACCEPTED, word, f"words of {', '.join(WORDS)}")
    return frozenset(said)


def refuse_risks(risks: Iterable[Risk], *, accepted: frozenset[str]) -> None:
    """Raises SettingInvalid with the first risk that was not accepted."""
    for risk in risks:
        if risk.word not in accepted:
            message = f"{risk.sentence}, or say COBOT_METER_{ACCEPTED}={risk.word}"
            raise SettingInvalid(message)


def risks_of(reach: Reach) -> tuple[Risk, ...]:
    """Every risk that is run, accepted or not."""
    return (*_money_risks(reach), *_wire_risks(reach), *_open_doors(reach))


def _money_risks(reach: Reach) -> Iterator[Risk]:
    network = reach.network
    if network == MAINNET and reach.simulated:
        yield Risk(
            SIMULATED_ANSWERS,
            "COBOT_METER_UPSTREAM=simulator sells made-up answers, and "
            f"COBOT_METER_NETWORK={MAINNET} takes real sats for them: set "
            "COBOT_METER_UPSTREAM=openrouter",
        )
    if network != MAINNET and not reach.simulated and _spends(reach):
        yield Risk(
            PLAY_MONEY,
            f"COBOT_METER_UPSTREAM=openrouter spends real money at {host_of(reach.upstream_url)}, "
            f"and on COBOT_METER_NETWORK={network} it is paid with money that is worth nothing: "
            f"connect an lnd on {MAINNET}",
        )


def _spends(reach: Reach) -> bool:
    real_key = _REAL_KEY.fullmatch(reach.api_key.reveal()) is not None
    return real_key or not is_loopback(host_of(reach.upstream_url))


def _wire_risks(reach: Reach) -> Iterator[Risk]:
    url = reach.upstream_url
    if not reach.simulated and _is_readable(url):
        yield Risk(
            PLAIN_UPSTREAM,
            "COBOT_METER_UPSTREAM_URL begins with http://, so that everybody on the way to "
            f"{host_of(url)} reads the key and every prompt: use https://",
        )
    readable = [name for name, at in reach.rate_sources.items() if _is_readable(at)]
    if reach.network == MAINNET and readable:
        yield Risk(
            PLAIN_RATE,
            f"COBOT_METER_RATE_SOURCES asks {', '.join(readable)} over http://, so that whoever "
            f"is on the way sets the price of real sats on {MAINNET}: use https://",
        )
    if _is_everybody(reach.trusted_proxies):
        yield Risk(
            ANY_PROXY,
            "COBOT_METER_TRUSTED_PROXIES trusts nearly every address, so that any caller writes "
            "its own X-Forwarded-For and no limit by address holds: name your proxies only",
        )


def _open_doors(reach: Reach) -> Iterator[Risk]:
    host = host_of(reach.public_url)
    if is_every_address(host):
        yield Risk(
            NO_PUBLIC_URL,
            f"links for callers would say http://{host}, where nobody can be called: set "
            "COBOT_METER_PUBLIC_URL to the address that callers use",
        )
    simulator, wallet = reach.simulator_listen, reach.wallet_listen
    if not is_loopback(simulator.host):
        yield Risk(
            OPEN_CONTROL,
            f"COBOT_METER_SIMULATOR_LISTEN={simulator.host}:{simulator.port} lets strangers use "
            "the simulator's /control: listen on 127.0.0.1",
        )
    if not is_loopback(wallet.host):
        yield Risk(
            OPEN_WALLET,
            f"COBOT_METER_NODE_LISTEN={wallet.host}:{wallet.port} lets strangers pay with the "
            "development wallet: listen on 127.0.0.1",
        )


def _is_readable(url: str) -> bool:
    return not is_encrypted(url) and not is_loopback(host_of(url))


def _is_everybody(named: Iterable[str]) -> bool:
    """Also when halves of the world are named one by one, or IPv4 inside IPv6."""
    networks = [_plain(ipaddress.ip_network(one)) for one in named]
    four = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    six = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    joined: list[_Network] = [
        *ipaddress.collapse_addresses(four),
        *ipaddress.collapse_addresses(six),
    ]
    return any(one.prefixlen < _BITS_LEAST[one.version] for one in joined)


def _plain(network: _Network) -> _Network:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        address = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(address or 0), network.prefixlen - _MAPPED.prefixlen))
    return network
