"""The development node's HTTP face: paying as a wallet does, and the switchboard."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from cobot_meter.adapters.lightning.dev_node.http import MAX_BODY_OCTETS, dev_node_face
from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.signing import NO_FAULTS
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice, InvoiceOrder
from tests.adapters.lightning.dev_node.dev_node_rig import ALIAS, DevNodeRig
from tests.contracts.lightning_node_rig import new_order, next_event


def _client(node: DevNode, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=dev_node_face(node), client=(peer, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://wallet")


@pytest.fixture
async def wallet(node: DevNode) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the face."""
    async with _client(node) as client:
        yield client


@pytest.fixture
def order() -> InvoiceOrder:
    """What the service wants paid."""
    return new_order(amount_msat=21_000)


@pytest.fixture
async def invoice(node: DevNode, order: InvoiceOrder) -> Invoice:
    """An open invoice of the node."""
    return await node.add_invoice(order)


def _code(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    assert error["message"]
    return answer.status_code, error["code"]


async def test_paying_returns_the_preimage(
    wallet: httpx.AsyncClient, order: InvoiceOrder, invoice: Invoice
) -> None:
    """`POST /pay` answers as a wallet would, and the invoice is settled."""
    answer = await wallet.post("/pay", json={"payment_request": invoice.payment_request})
    assert answer.status_code == 200
    assert answer.json() == {
        "payment_preimage": order.preimage.hex(),
        "payment_hash": order.payment_hash,
        "amount_msat": 21_000,
        "fee_msat": 0,
    }
    assert (await wallet.get(f"/invoices/{order.payment_hash}")).json()["state"] == "SETTLED"


async def test_paying_more_than_asked(wallet: httpx.AsyncClient, invoice: Invoice) -> None:
    """`amount_msat` may be more than the invoice asks for."""
    body = {"payment_request": invoice.payment_request, "amount_msat": 30_000}
    assert (await wallet.post("/pay", json=body)).json()["amount_msat"] == 30_000
    shown = (await wallet.get(f"/invoices/{invoice.payment_hash}")).json()
    assert (shown["amount_msat"], shown["amount_paid_msat"]) == (21_000, 30_000)


async def test_a_paid_invoice_is_answered_with_its_payment_again(
    rig: DevNodeRig, wallet: httpx.AsyncClient, invoice: Invoice
) -> None:
    """Paid once however it is asked and written, and looked up by its hash; unpaid is 404."""
    looked_up = f"/payments/{invoice.payment_hash}"
    assert _code(await wallet.get(looked_up)) == (404, "payment_unknown")
    first = await wallet.post("/pay", json={**_request(invoice), "amount_msat": 30_000})
    for written in (
        invoice.payment_request,
        invoice.payment_request.upper(),
        f" lightning:{invoice.payment_request}\n",
        f"LIGHTNING:{invoice.payment_request.upper()}",
    ):
        again = await wallet.post("/pay", json={"payment_request": written})
        assert (again.status_code, again.json()) == (200, first.json())
    assert (await wallet.get(looked_up)).json() == first.json()
    assert first.json()["amount_msat"] == 30_000
    shown = await rig.node.look_up(invoice.payment_hash)
    assert shown is not None
    assert (shown.amount_paid_msat, shown.settle_index) == (30_000, 1)
    await rig.take_down()
    assert _code(await wallet.get(looked_up)) == (503, "node_unreachable")


async def test_every_refusal_has_its_status(
    rig: DevNodeRig, wallet: httpx.AsyncClient, invoice: Invoice
) -> None:
    """Underpaid 422, expired 410, unknown 404, not an invoice 400, down 503; paid is no refusal."""

    async def pay(payment_request: str, **more: object) -> tuple[int, str]:
        body = {"payment_request": payment_request, **more}
        return _code(await wallet.post("/pay", json=body))

    assert await pay(invoice.payment_request, amount_msat=20_999) == (422, "amount_too_low")
    assert await pay(invoice.payment_request, amount_msat=0) == (400, "amount_invalid")
    assert await pay(invoice.payment_request[:-1]) == (400, "invoice_invalid")
    await wallet.post("/pay", json={"payment_request": invoice.payment_request})
    held = await wallet.post("/control/hold-payment", json=_request(invoice))
    assert _code(held) == (409, "invoice_already_paid")
    expiring = await rig.node.add_invoice(new_order(expiry_s=60))
    rig.clock.advance(60)
    assert await pay(expiring.payment_request) == (410, "invoice_canceled")
    other = DevNodeRig(rig.path.parent / "other")
    foreign = await other.node.add_invoice(new_order())
    other.node.close()
    assert await pay(foreign.payment_request) == (404, "invoice_unknown")
    await rig.take_down()
    assert await pay(expiring.payment_request) == (503, "node_unreachable")
    answer = await wallet.get("/info")
    assert _code(answer) == (503, NodeUnavailable.code)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"payment_request": 7}',
        b'{"payment_request": ""}',
        b'{"payment_request": "lnbcrt1", "amount_msat": "21000"}',
        b'{"payment_request": "lnbcrt1", "amount_msat": 1.5}',
        b'{"payment_request": "lnbcrt1", "amount_msat": true}',
        b'"' + b"x" * MAX_BODY_OCTETS + b'"',
    ],
)
async def test_bad_bodies_are_400(wallet: httpx.AsyncClient, content: bytes) -> None:
    """What is not a JSON object with the right fields, or too large, is refused in JSON."""
    assert _code(await wallet.post("/pay", content=content)) == (400, "invalid_request")


async def test_the_preimage_is_shown_to_nobody_else(
    wallet: httpx.AsyncClient, order: InvoiceOrder, invoice: Invoice
) -> None:
    """No refusal and no route that tells of invoices contains it, before the payment or after."""
    secret = order.preimage.hex()
    shown = [
        await wallet.get(f"/invoices/{invoice.payment_hash}"),
        await wallet.get("/info"),
        await wallet.post(
            "/pay", json={"payment_request": invoice.payment_request, "amount_msat": 1}
        ),
    ]
    await wallet.post("/pay", json={"payment_request": invoice.payment_request})
    shown.append(await wallet.get(f"/invoices/{invoice.payment_hash}"))
    assert all(secret not in answer.text for answer in shown)


async def test_info_and_invoices(
    wallet: httpx.AsyncClient, node: DevNode, invoice: Invoice
) -> None:
    """Who the node is, what an invoice looks like, and what an unknown one gets."""
    identity = await node.identity()
    assert (await wallet.get("/info")).json() == {
        "pubkey": identity.pubkey,
        "network": "regtest",
        "alias": ALIAS,
    }
    assert (await wallet.get(f"/invoices/{invoice.payment_hash}")).json() == {
        "payment_hash": invoice.payment_hash,
        "payment_request": invoice.payment_request,
        "amount_msat": 21_000,
        "state": "OPEN",
        "created_at_s": invoice.created_at_s,
        "expires_at_s": invoice.expires_at_s,
        "amount_paid_msat": 0,
        "settle_index": 0,
    }
    assert _code(await wallet.get(f"/invoices/{'00' * 32}")) == (404, "invoice_unknown")


async def test_unknown_routes_answer_in_json(wallet: httpx.AsyncClient) -> None:
    """An unknown path is 404 and a wrong method 405, in the same shape as every error."""
    assert _code(await wallet.get("/nothing")) == (404, "no_such_route")
    assert _code(await wallet.get("/pay")) == (405, "no_such_route")


async def test_the_switchboard(wallet: httpx.AsyncClient, node: DevNode) -> None:
    """Faults are changed by name, shown, and reset."""
    changed = await wallet.post("/control/faults", json={"down": True, "lost_add_replies": 2})
    assert changed.json()["down"] is True
    assert node.faults.lost_add_replies == 2
    assert (await wallet.get("/control/faults")).json() == changed.json()
    refused = await wallet.post("/control/faults", json={"nonsense": 1})
    assert _code(refused) == (400, "invalid_request")
    assert (await wallet.delete("/control/faults")).json()["down"] is False
    assert node.faults == NO_FAULTS


async def test_payments_can_be_held_from_outside(
    wallet: httpx.AsyncClient, invoice: Invoice
) -> None:
    """A payment can be brought under way and given back over HTTP."""
    held = await wallet.post(
        "/control/hold-payment", json={"payment_request": invoice.payment_request}
    )
    assert held.json()["state"] == "ACCEPTED"
    body = {"payment_hash": invoice.payment_hash}
    assert (await wallet.post("/control/give-back-payment", json=body)).json()["state"] == "OPEN"
    again = await wallet.post("/control/give-back-payment", json=body)
    assert _code(again) == (404, "invoice_unknown")


async def test_streams_can_be_broken_from_outside(wallet: httpx.AsyncClient, node: DevNode) -> None:
    """`POST /control/break-streams` ends what listens now."""
    stream = node.settled_invoices(0)
    assert (await wallet.post("/control/break-streams")).json() == {}
    with pytest.raises(NodeUnavailable):
        await next_event(stream)


@pytest.mark.parametrize(
    ("peer", "status"),
    [("127.0.0.1", 200), ("127.8.8.8", 200), ("::1", 200), ("10.0.0.7", 403), ("host", 403)],
)
async def test_only_this_machine_is_answered(node: DevNode, peer: str, status: int) -> None:
    """Peers elsewhere get 403 unless the face was told to answer everybody."""
    async with _client(node, peer) as client:
        assert (await client.get("/info")).status_code == status
    app = dev_node_face(node, loopback_only=False)
    transport = httpx.ASGITransport(app=app, client=(peer, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet") as client:
        assert (await client.get("/info")).status_code == 200


def _request(invoice: Invoice) -> dict[str, object]:
    """What a wallet posts to pay it."""
    return {"payment_request": invoice.payment_request}
