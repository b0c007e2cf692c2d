"""`lnd bake`: the line that makes the macaroon this service needs. `lnd adopt`: another node.

Baking asks nobody and changes nothing: the operator types the line where lnd is. Must not know:
gRPC, or what adopting closes.
"""

from __future__ import annotations

from typing import Annotated

import typer

from cobot_meter.adapters.lightning.lnd.macaroon import BAKE_URIS
from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.operator_client import operate
from cobot_meter.cli.terminal import run, terminal_of

ROOT_KEY_ID = 8402
SAVED_AS = "cobot-meter.macaroon"
WHAT_TO_DO = """
Type it where lnd runs: the macaroon makes, looks up, settles and cancels invoices; it cannot spend.
Then, where this service runs:

  chmod 600 {path}
  export COBOT_METER_NODE=lnd COBOT_METER_NETWORK=mainnet
  export COBOT_METER_LND_ADDRESS=127.0.0.1:10009
  export COBOT_METER_LND_TLS_CERT=/path/to/tls.cert
  export COBOT_METER_LND_MACAROON={path}
  cobot-meter doctor

To take its rights away later: lncli deletemacaroonid {root_key_id}"""


def bake(
    context: typer.Context,
    path: Annotated[str, typer.Option("--save-to", help="Where lncli writes it.")] = SAVED_AS,
    ip_address: Annotated[str, typer.Option(help="Only calls from here.")] = "",
    root_key_id: Annotated[int, typer.Option(min=1, help="To revoke it by.")] = ROOT_KEY_ID,
) -> None:
    """Print the lncli line that makes the least macaroon, and what to do with it."""
    terminal = terminal_of(context)
    rights = [f"uri:{path}" for path in BAKE_URIS]
    limits = [f"--ip_address={ip_address}"] if ip_address else []
    options = [f"--save_to={path}", f"--root_key_id={root_key_id}", *limits]
    line = " \\\n  ".join(("lncli bakemacaroon", *options, *rights))
    terminal.out.print(line, soft_wrap=True, highlight=False, markup=False)
    said = WHAT_TO_DO.format(path=path, root_key_id=root_key_id)
    terminal.out.print(said, soft_wrap=True, highlight=False, markup=False)


def adopt(context: typer.Context, as_json: AsJson = False) -> None:
    """Go on with the node that is there now; what was open on the one before is closed."""
    terminal = terminal_of(context)
    said = dict(run(operate(terminal.settings(), "adopt_node")))
    if as_json:
        terminal.write_json(said)
        return
    node, left = f"{said['pubkey']} on {said['network']}", said["left_pubkey"]
    if left is None:
        terminal.out.print(f"the books belong to {node}; nothing had to be closed")
        return
    terminal.out.print(f"the books belong to {node} now, and no more to {left}", soft_wrap=True)
    terminal.out.print(
        f"closed as unpaid: {said['escrows_closed']} escrows, {said['topups_closed']} top-ups; "
        f"to be invoiced by the new node: {said['invoices_anew']}"
    )
