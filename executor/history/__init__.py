"""A run read back from its journal: its state, for going on; its nodes, for people."""
