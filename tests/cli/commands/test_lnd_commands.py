"""`lnd bake` prints a line that can be typed as it is; `doctor` has a row for every check."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from cobot_meter.adapters.lightning.lnd.macaroon import BAKE_URIS
from cobot_meter.adapters.lightning.lnd.stubs import staterpc
from tests.cli.shop import CommandLine, command_line_in
from tests.fakes.lnd.lnd_server import FakeLnd

FAILED = 1


def test_the_line_to_bake_names_the_least_rights(nothing: CommandLine) -> None:
    """A shell reads it as one command with the rights, a key id of its own and where to save."""
    shown = nothing.run("lnd", "bake", "--save-to", "ours.macaroon", "--root-key-id", "7")
    assert shown.exit_code == 0
    line = shown.stdout.split("\n\n")[0].replace("\\\n", " ")
    command = shlex.split(line.partition("\nType it")[0])
    assert command[:2] == ["lncli", "bakemacaroon"]
    assert {"--save_to=ours.macaroon", "--root_key_id=7"} <= set(command)
    assert [word for word in command if word.startswith("uri:")] == [f"uri:{u}" for u in BAKE_URIS]
    assert "lncli deletemacaroonid 7" in shown.stdout


async def test_doctor_has_a_row_for_every_check_of_lnd(tmp_path: Path) -> None:
    """All are well; with a locked wallet that row says what to type, and the exit code is 1."""
    lnd = FakeLnd(tmp_path)
    await lnd.start()
    try:
        access = lnd.access()
        settings = {
            **command_line_in(tmp_path / "data").environ,
            "COBOT_METER_NODE": "lnd",
            "COBOT_METER_LND_ADDRESS": access.address,
            "COBOT_METER_LND_TLS_CERT": str(access.tls_cert_path),
            "COBOT_METER_LND_MACAROON": str(access.macaroon_path),
        }
        commands = CommandLine(settings)
        well = await asyncio.to_thread(commands.read, "doctor")
        rows = {row["name"]: row["well"] for row in well if row["name"].startswith("node: ")}
        names = "reachable wallet macaroon version synced network inbound rights spending"
        assert rows == dict.fromkeys([f"node: {name}" for name in names.split()], True)
        lnd.faults.state = staterpc.LOCKED
        shown = await asyncio.to_thread(commands.run, "doctor")
        assert shown.exit_code == FAILED
        assert "lncli unlock" in " ".join(shown.stdout.split())
    finally:
        await lnd.stop()
