"""Engines: they move batches to workers and outcomes back, and know nothing else."""

from promissory.executor.engines.engine import Batch, Engine, Setup
from promissory.executor.engines.registry import engine_named

__all__ = ["Batch", "Engine", "Setup", "engine_named"]
