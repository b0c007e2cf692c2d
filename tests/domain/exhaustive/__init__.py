"""Everything that can happen to one or two escrows, searched exhaustively."""
