"""`compile`: the plan of anything that can be run."""

from __future__ import annotations

from typing import Any

from promissory.planner.entities.dynamic import Dynamic
from promissory.planner.entities.runner import compile_call
from promissory.planner.entities.task import Task
from promissory.planner.entities.workflow import Workflow, WorkflowFunction
from promissory.planner.errors import CompileError, user_line
from promissory.planner.plan.plan import Plan


def compile(target: WorkflowFunction[..., Any] | Workflow | Dynamic[..., Any] | Task[..., Any]) -> Plan:
    """Compile a workflow or dynamic (the same as its `.compile()`), or one call of a task.

    >>> from promissory import compile, task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> print(compile(inc))
    plan inc(x: int) -> int
      inc : int = task inc(x=x)
      return inc
    """
    if isinstance(target, Task):
        return compile_call(target)
    if not isinstance(target, WorkflowFunction | Workflow | Dynamic):
        raise CompileError(
            f"{target!r} is no workflow",
            where=user_line(),
            way_out="decorate the function with @workflow, @dynamic or @task",
        )
    return target.compile()
