"""One executor's work on one run, from its first key to its last."""
