"""Where the network looked, and whether to believe it."""
