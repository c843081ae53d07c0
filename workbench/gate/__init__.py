"""The risk gate: in front of every path to a venue, the same in a backtest and in a live engine."""
