"""Engines: they move batches to workers and outcomes back, and know nothing else."""
