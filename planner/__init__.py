"""From Python functions to a plan. Imports `typesys`, and nothing of `executor`."""

from typing import Any

from planner.branch import conditional
from planner.context import Context, current_context
from planner.dynamic import Dynamic, dynamic, expand
from planner.errors import CompileError, user_line
from planner.failure_policy import FailurePolicy
from planner.gate import approve, sleep, wait_for_input
from planner.mapping import flatten, map_task, unmapped
from planner.merge import merge
from planner.node_failure import NodeFailure
from planner.plan import Interface, Plan
from planner.policy import Resources
from planner.promise import Promise, promise
from planner.signals import Loop, Retry, Skip
from planner.task import Task, task
from planner.triggers import at_least
from planner.workflow import Workflow, WorkflowFunction, workflow


def compile(target: WorkflowFunction[..., Any] | Workflow | Dynamic[..., Any] | Task[..., Any]) -> Plan:
    """The plan of a workflow or dynamic (the same as its `.compile()`), or a plan of one call of a task.

    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> print(compile(inc))
    plan inc(x: int) -> int
      inc : int = task inc(x=x)
      return inc
    """
    from planner.runner import compile_call

    if isinstance(target, Task):
        return compile_call(target)
    if not isinstance(target, WorkflowFunction | Workflow | Dynamic):
        raise CompileError(
            f"{target!r} is no workflow", where=user_line(), way_out="decorate the function with @workflow, @dynamic or @task"
        )
    return target.compile()


__all__ = [
    "Context",
    "Dynamic",
    "FailurePolicy",
    "Interface",
    "Loop",
    "NodeFailure",
    "Plan",
    "Promise",
    "Resources",
    "Retry",
    "Skip",
    "Task",
    "Workflow",
    "WorkflowFunction",
    "approve",
    "at_least",
    "compile",
    "conditional",
    "current_context",
    "dynamic",
    "expand",
    "flatten",
    "map_task",
    "merge",
    "promise",
    "sleep",
    "task",
    "unmapped",
    "wait_for_input",
    "workflow",
]
