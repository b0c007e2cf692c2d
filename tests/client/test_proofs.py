"""What was paid is found by invoice and by origin, and held within bounds."""

from __future__ import annotations

from cobot_pay.budget import Reservation
from cobot_pay.proofs import PROOFS_MAX, Attempt, Proof, Proofs, Standing


def attempt(number: int, origin: str = "https://b.example:") -> Attempt:
    """One payment at an origin."""
    return Attempt(
        payment_hash=f"{number:064x}",
        origin=origin,
        macaroon=f"mac{number}",
        reservation=Reservation(number=number, amount_msat=1),
    )


def test_the_oldest_proofs_make_room() -> None:
    """Beyond the bound the oldest proof is forgotten; payments of unknown outcome never are."""
    proofs = Proofs()
    proofs.unknown(attempt(0))
    for number in range(1, PROOFS_MAX + 2):
        proofs.paid(attempt(number), preimage="AA")
    assert proofs.look(attempt(0).payment_hash) is Standing.UNKNOWN
    assert proofs.look(attempt(1).payment_hash) is Standing.NEW
    assert proofs.look(attempt(2).payment_hash) == Proof(
        origin="https://b.example:", authorization="L402 mac2:aa"
    )


def test_the_newest_of_each_origin_is_found() -> None:
    """Origins are kept apart, and proofs that opened nothing can be left out."""
    proofs = Proofs()
    proofs.paid(attempt(1), preimage="aa")
    proofs.paid(attempt(2), preimage="aa")
    proofs.paid(attempt(3, "https://c.example:"), preimage="aa")
    origin = "https://b.example:"
    assert proofs.of_origin(origin) == "L402 mac2:aa"
    assert proofs.of_origin(origin, but=["L402 mac2:aa"]) == "L402 mac1:aa"
    assert proofs.of_origin("https://d.example:") is None


def test_only_the_first_to_claim_pays() -> None:
    """A claimed invoice is in flight to everybody else, until it is paid or certainly was not."""
    proofs, one = Proofs(), attempt(1)
    assert proofs.look(one.payment_hash) is Standing.NEW
    assert proofs.claim(one.payment_hash) is Standing.NEW
    assert proofs.claim(one.payment_hash) is Standing.IN_FLIGHT
    proofs.unpaid(one.payment_hash)
    assert proofs.claim(one.payment_hash) is Standing.NEW
    proofs.paid(one, preimage="aa")
    assert proofs.claim(one.payment_hash) == Proof(origin=one.origin, authorization="L402 mac1:aa")
