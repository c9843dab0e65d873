"""Engines: they move batches to workers and outcomes back, and know nothing else."""

from executor.engines.engine import Engine, Setup, engine_named

__all__ = ["Engine", "Setup", "engine_named"]
