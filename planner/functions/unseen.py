"""Advice on code that `cache_version="code"` can't see: a change of it leaves old results in the cache."""

from __future__ import annotations

from collections.abc import Iterator

from promissory.planner.errors import Where
from promissory.planner.functions.reach import reach_of
from promissory.planner.plan.advice import Advice
from promissory.planner.plan.plan import Plan


def unseen(plan: Plan) -> Iterator[Advice]:
    """Give what the code versions of a plan's cached calls don't see.

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
        if entity.policy.cache and entity.policy.cache_version == "code":
            code = entity.function.__code__
            for one in reach_of(entity.function).beyond:
                message = f'{entity.name}: cache_version="code" does not see this: {one}'
                yield Advice(message, Where(code.co_filename, code.co_firstlineno))
