"""The author's functions: signature, identity, how they travel."""
