"""The development node: play money with the manners of lnd."""
