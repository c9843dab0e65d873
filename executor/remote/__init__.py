"""Submitted runs: who claims them from the queues of a store, and carries them out."""
