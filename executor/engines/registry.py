"""Engines by name."""

from __future__ import annotations

import os

from promissory.executor.engines.engine import Engine
from promissory.executor.errors import EngineError


def engine_named(engine: str | Engine) -> Engine:
    """The engine of a name (`inline`, `threads`, `processes`), or the engine itself.

    Raises `EngineError` for a name that no engine has, and for an engine that can't run here.
    """
    if not isinstance(engine, str):
        return engine
    if engine == "inline":
        from promissory.executor.engines.inline import Inline

        return Inline()
    if engine == "threads":
        from promissory.executor.engines.threads import Threads

        return Threads()
    if engine == "processes":
        if os.name != "posix":
            raise EngineError(
                "worker processes are not supported on this system yet; "
                "use threads (engine='threads', --engine threads)"
            )
        from promissory.executor.engines.processes.host import python
        from promissory.executor.engines.processes.pool import Processes

        python()  # before anything of a run is written
        return Processes()
    raise EngineError(f"there is no engine {engine!r}; there are: inline, threads, processes")
