"""An lnd that is none."""
