"""From a plan to results: scheduler, journal, engines, store, and the command line."""

from executor.api import attach, rerun, resume, run, start
from executor.handle import Run
from executor.store import Store

__all__ = ["Run", "Store", "attach", "rerun", "resume", "run", "start"]
