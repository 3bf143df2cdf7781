"""Labels to be put right: which are doubtful, and what speaks against them."""
