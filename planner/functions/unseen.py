"""Advice on what does not count: code that `cache_version="code"` can not see, so that a change of it leaves old
results in the cache, and captured values without bytes, which count by their class."""

from __future__ import annotations

from collections.abc import Iterator

from promissory.planner.errors import Where
from promissory.planner.functions.reach import reach_of
from promissory.planner.plan.advice import Advice
from promissory.planner.plan.plan import Plan


def unseen(plan: Plan) -> Iterator[Advice]:
    """Give what the code versions of a plan's cached calls don't see, and what its tasks captured without bytes.

    >>> import sched
    >>> from promissory import task, workflow
    >>> plan = sched.scheduler()
    >>> @task(cache=True, cache_version="code")
    ... def waits(n: int) -> int:
    ...     return n + len(plan.queue)
    >>> @workflow
    ... def wf(n: int) -> int:
    ...     return waits(n)
    >>> [one.message for one in unseen(wf.compile())]
    ['waits: cache_version="code" does not see this: ...:waits uses plan, a sched.scheduler, which counts ...']
    """
    for entity in plan.origin.entities:
        code = entity.function.__code__
        where = Where(code.co_filename, code.co_firstlineno)
        for captured in entity.identity.by_class:
            message = f"{entity.name}: it captured {captured}, which counts by its class: two of one class are the same"
            yield Advice(message, where)
        if entity.policy.cache and entity.policy.cache_version == "code":
            for one in reach_of(entity.function).beyond:
                yield Advice(f'{entity.name}: cache_version="code" does not see this: {one}', where)
