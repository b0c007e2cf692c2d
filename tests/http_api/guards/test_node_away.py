"""While the node is away: new asks cost nobody anything, and what is paid is handed out."""

from __future__ import annotations

from pathlib import Path

from cobot_meter.adapters.lightning.dev_node.signing import NodeFaults
from tests.http_api.face_rig import ASK, ask_of, open_face


async def test_new_asks_get_503_and_paid_ones_their_completion(tmp_path: Path) -> None:
    """No run, no escrow and no reservation for the new one; the same bytes for the paid one."""
    async with open_face(tmp_path) as rig:
        bought, token = await rig.buy()
        rig.node.set_faults(NodeFaults(down=True))
        await rig.service.node_watch.look()
        refused = await rig.ask(ask_of("Something new"))
        assert (refused.status, refused.error["code"]) == (503, "node_unavailable")
        assert refused.header("retry-after") == "5"
        again = await rig.ask(ASK, token=token)
        assert (again.status, again.body) == (200, bought.body)
        assert rig.upstream.posts == len(rig.escrows) == 1
        assert (await rig.get("/readyz")).status == 503
        rig.node.set_faults(NodeFaults())
        await rig.service.node_watch.look()
        assert (await rig.ask(ask_of("Something new"))).status == 402


async def test_an_invoice_that_was_not_made_shuts_the_gate_at_once(tmp_path: Path) -> None:
    """The node went unnoticed: one ask was run in vain, and the next one is not run at all."""
    async with open_face(tmp_path) as rig:
        rig.node.set_faults(NodeFaults(down=True))
        unlucky = await rig.ask(ASK)
        assert (unlucky.status, unlucky.error["code"]) == (503, "node_unavailable")
        refused = await rig.ask(ask_of("Something new"))
        assert "nothing was run" in refused.error["message"]
        assert rig.upstream.posts == 1
        rig.node.set_faults(NodeFaults())
        await rig.service.node_watch.look()
        assert (await rig.ask(ask_of("Something new"))).status == 402
