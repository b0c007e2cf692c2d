"""The development node's state file: what survives, what is dropped, what stops the start."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from cobot_meter.adapters.lightning.dev_node.log import Canceled, DevNodeLog
from cobot_meter.adapters.lightning.dev_node.snapshot import DevNodeSnapshot
from cobot_meter.domain.errors import NodeUnavailable, SettingInvalid
from cobot_meter.domain.invoices import InvoiceState
from tests.adapters.lightning.dev_node.dev_node_rig import ALIAS, DevNodeRig, open_dev_node
from tests.contracts.lightning_node_rig import new_order, settled

FACT = Canceled(payment_hash="00" * 32)


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


async def test_a_torn_last_line_is_dropped(rig: DevNodeRig) -> None:
    """A line cut short by a kill, at any place, is forgotten; the next one is written cleanly."""
    paid = await settled(rig)
    whole = rig.path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for length in (1, len(last) // 2, len(last) - 1):
        _append(rig.path, last[:length])
        await rig.restart()
        assert rig.path.read_bytes() == whole
        assert await rig.node.look_up(paid.payment_hash) == paid
    later = await settled(rig)
    await rig.restart()
    assert await rig.node.look_up(later.payment_hash) == later


async def test_a_file_torn_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    """A kill while the very first line was written leaves a file that a new node begins."""
    path = tmp_path / "state.jsonl"
    path.write_bytes(b'{"fact":"born","netw')
    rig = DevNodeRig(tmp_path)
    assert (await rig.node.add_invoice(new_order())).state is InvoiceState.OPEN
    rig.node.close()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"not json", "damaged"),
        (b"[]", "damaged"),
        (b'{"payment_hash":"00"}', "damaged"),
        (b'{"fact":"blessed","payment_hash":"00"}', "damaged"),
        (b'{"fact":"canceled"}', "damaged"),
        (b'{"fact":"canceled","payment_hash":"00","more":1}', "damaged"),
        (b'{"fact":"canceled","payment_hash":7}', "odd"),
        (b'{"fact":"accepted","payment_hash":"00","at_ms":true}', "odd"),
        (b'{"fact":"accepted","payment_hash":"00","at_ms":-1}', "odd"),
        (b'{"fact":"accepted","payment_hash":"00","at_ms":9223372036854775807}', "odd"),
        (b'{"fact":"canceled","payment_hash":"0\\u00000"}', "odd"),
        (b'{"fact":"canceled","payment_hash":"00"}', "does not hold"),
        (b'{"fact":"born","network":"regtest","key":"11"}', "two nodes"),
    ],
)
async def test_a_damaged_file_stops_the_start(rig: DevNodeRig, line: bytes, said: str) -> None:
    """A whole line that makes no sense stops the start, which says why and lets go of the file."""
    rig.node.close()
    sound = rig.path.read_bytes()
    _append(rig.path, line + b"\n")
    with pytest.raises(SettingInvalid, match=said):
        open_dev_node(rig.path, rig.clock)
    rig.path.write_bytes(sound)
    rig.node = open_dev_node(rig.path, rig.clock)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"fact": "born", "network": "mainnet", "key": "11" * 32}, "refuses to start on 'mainnet'"),
        ({"fact": "born", "network": "regtest", "key": "no key"}, "no usable key"),
        ({"fact": "canceled", "payment_hash": "00"}, "not the state of a development node"),
    ],
)
def test_a_state_that_is_not_ours_stops_the_start(
    rig: DevNodeRig, content: dict[str, str], said: str
) -> None:
    """A state of mainnet, without a key, or of something else is refused."""
    path = rig.path.with_name("other.jsonl")
    path.write_bytes(orjson.dumps(content) + b"\n")
    with pytest.raises(SettingInvalid, match=said):
        open_dev_node(path, rig.clock)


async def test_a_stored_mainnet_invoice_stops_the_start(rig: DevNodeRig) -> None:
    """Even one invoice that asks for real bitcoin in the file is one too many."""
    await rig.node.add_invoice(new_order())
    rig.node.close()
    sound = rig.path.read_bytes()
    rig.path.write_bytes(sound.replace(b"lnbcrt", b"lnbc"))
    with pytest.raises(SettingInvalid, match="not on regtest"):
        open_dev_node(rig.path, rig.clock)
    rig.path.write_bytes(sound)
    rig.node = open_dev_node(rig.path, rig.clock)


def test_the_key_is_for_its_owner_alone(rig: DevNodeRig) -> None:
    """Nobody else on the machine can read the file."""
    assert rig.path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A path that cannot be opened stops the start in one line."""
    with pytest.raises(SettingInvalid, match="cannot keep"):
        DevNodeLog(path=tmp_path)


def test_a_full_disk_leaves_no_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write is taken back and said; the next whole one follows where it should."""
    log = DevNodeLog(path=tmp_path / "state.jsonl")
    log.append(FACT)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:9]))
    with pytest.raises(NodeUnavailable, match="full"):
        log.append(FACT)

    def failing(file: int, line: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(NodeUnavailable, match="No space"):
        log.append(FACT)
    monkeypatch.undo()
    log.append(FACT)
    log.close()
    again = DevNodeLog(path=tmp_path / "state.jsonl")
    assert again.facts == [FACT, FACT]
    again.close()


async def test_an_unwritten_change_did_not_happen(
    rig: DevNodeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the state cannot be written the call fails and the invoice is as it was."""
    invoice = await rig.node.add_invoice(new_order())
    monkeypatch.setattr(os, "write", lambda *_: 0)
    with pytest.raises(NodeUnavailable):
        await rig.node.pay(invoice.payment_request)
    monkeypatch.undo()
    assert await rig.node.look_up(invoice.payment_hash) == invoice


async def test_a_snapshot_reads_beside_the_running_node(rig: DevNodeRig) -> None:
    """It sees identity, states and the list while the node runs, and changes nothing."""
    first, second = await settled(rig), await settled(rig)
    unpaid = await rig.node.add_invoice(new_order())
    _append(rig.path, b'{"fact":"sett')
    before = rig.path.read_bytes()
    snapshot = DevNodeSnapshot(path=rig.path, alias=ALIAS)
    assert await snapshot.identity() == await rig.node.identity()
    for invoice in (first, second, unpaid):
        assert await snapshot.look_up(invoice.payment_hash) == invoice
    assert await snapshot.look_up("00" * 32) is None
    listed = [one.invoice async for one in snapshot.listed_invoices(0)]
    assert listed == [first, second, unpaid]
    assert rig.path.read_bytes() == before


def test_a_snapshot_of_nothing(tmp_path: Path) -> None:
    """Where no node has run there is nothing to look at."""
    with pytest.raises(SettingInvalid, match="not the state"):
        DevNodeSnapshot(path=tmp_path / "none.jsonl", alias=ALIAS)
