"""What a node says of itself, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

MSAT_PER_SAT = 1_000
COMMITMENT_WEIGHT = 1_124  # with two anchors and no payment under way
ANCHORS_SAT = 660


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What became of a payment. `preimage` and `payment_hash` are 64 hex digits.

    `failure` is empty when it went through, and else lnd's reason or its refusal.
    """

    succeeded: bool
    payment_hash: str = ""
    preimage: str = ""
    amount_msat: int = 0
    fee_msat: int = 0
    parts: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel as its owner sees it. The opener pays for the commitment out of its side."""

    channel_point: str
    peer: str
    active: bool
    opened_by_us: bool
    capacity_sat: int
    fee_sat_per_kw: int
    htlcs: int

    @property
    def set_aside_msat(self) -> int:
        """What the opener has set aside for the commitment, while no payment is under way.

        LND's own `commit_fee` will not do: it adds what rounding to whole satoshis takes away.
        """
        fee_sat = self.fee_sat_per_kw * COMMITMENT_WEIGHT // 1_000
        return (fee_sat + ANCHORS_SAT) * MSAT_PER_SAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """What a node holds. Off-chain amounts are to the msat, over all channels.

    `set_aside_msat` is what this node, as the opener, keeps for closing its channels: it moves
    with the fee rate and is no loss.
    """

    local_msat: int
    remote_msat: int
    unsettled_local_msat: int
    unsettled_remote_msat: int
    set_aside_msat: int
    wallet_sat: int

    @property
    def held_msat(self) -> int:
        """What is ours off the chain: it changes by payments and routing fees alone."""
        return self.local_msat + self.set_aside_msat
