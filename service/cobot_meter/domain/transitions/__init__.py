"""Everything that is ever written: an entry of the journal with what it makes true."""
