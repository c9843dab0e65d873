"""The kinds of nodes, one file each: how a node begins, what may be told of it, and what a snapshot keeps of it."""
