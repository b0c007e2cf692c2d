"""BOLT 11: what a Lightning invoice says, as values.

Must not know: nodes, escrows or what an invoice pays for. `bolt11_writing` signs one,
`bolt11_reading` reads and verifies one.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX_OF_NETWORK = {
    "mainnet": "bc",
    "testnet": "tb",
    "testnet4": "tb",
    "signet": "tbs",
    "regtest": "bcrt",
}
NETWORK_OF_PREFIX = {"bc": "mainnet", "tb": "testnet", "tbs": "signet", "bcrt": "regtest"}
DEFAULT_EXPIRY_S = 3600
DEFAULT_MIN_FINAL_CLTV = 18
VAR_ONION_REQUIRED = 8
PAYMENT_SECRET_REQUIRED = 14
BASIC_MPP_OPTIONAL = 17
MAX_AMOUNT_MSAT = 21_000_000 * 100_000_000_000

MSAT_OF_UNIT = {"": 100_000_000_000, "m": 100_000_000, "u": 100_000, "n": 100}
PICO_PER_MSAT = 10  # the unit `p` is a tenth of a millisatoshi

TIMESTAMP_WORDS = 7
SIGNATURE_WORDS = 104


class FieldType:
    """The tagged fields we know, by the value of their Bech32 letter."""

    PAYMENT_HASH = 1
    FEATURES = 5
    EXPIRY = 6
    DESCRIPTION = 13
    PAYMENT_SECRET = 16
    PAYEE = 19
    DESCRIPTION_HASH = 23
    MIN_FINAL_CLTV = 24
    METADATA = 27


class Bolt11Invalid(ValueError):
    """Text that is not an invoice anybody should pay, or terms that no invoice can carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bolt11Terms:
    """What an invoice says, without who signed it.

    Hashes and secrets are 64 lower-case hex digits. `amount_msat` None leaves the amount to the
    payer. Exactly one of `description` and `description_hash` is set. `features` are bit numbers.
    """

    prefix: str
    payment_hash: str
    payment_secret: str
    timestamp_s: int
    amount_msat: int | None = None
    description: str | None = None
    description_hash: str | None = None
    expiry_s: int = DEFAULT_EXPIRY_S
    min_final_cltv: int = DEFAULT_MIN_FINAL_CLTV
    features: frozenset[int] = frozenset({VAR_ONION_REQUIRED, PAYMENT_SECRET_REQUIRED})
    metadata: str | None = None

    @property
    def network(self) -> str:
        """`mainnet`, `testnet` (testnet4 too: they share a prefix), `signet` or `regtest`."""
        return NETWORK_OF_PREFIX[self.prefix]

    @property
    def expires_at_s(self) -> int:
        """Unix second after which nobody should pay."""
        return self.timestamp_s + self.expiry_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Bolt11(Bolt11Terms):
    """A decoded invoice whose signature holds. `payee_pubkey` is 66 lower-case hex digits."""

    payee_pubkey: str


def signed_octets(data: int, count: int) -> bytes:
    """`count` words of data as octets, padded with zero bits: what is signed after the prefix."""
    padding = -5 * count % 8
    return (data << padding).to_bytes((5 * count + padding) // 8, "big")
