"""An lnd of the regtest network: its process, its calls, what it says of itself."""
