"""From Python functions to a plan. Imports `typesys`, and nothing of `executor`."""

from typing import TYPE_CHECKING, Final

if __name__ != "promissory.planner":
    raise ImportError("import promissory.planner: this folder is a part of the package promissory, and not one by itself", name=__name__)

from promissory._lazy import lazily

if TYPE_CHECKING:
    from promissory.planner.branch import conditional as conditional
    from promissory.planner.compiling import compile as compile
    from promissory.planner.context import Context as Context
    from promissory.planner.context import current_context as current_context
    from promissory.planner.dynamic import Dynamic as Dynamic
    from promissory.planner.dynamic import dynamic as dynamic
    from promissory.planner.dynamic import expand as expand
    from promissory.planner.failure_policy import FailurePolicy as FailurePolicy
    from promissory.planner.gate import approve as approve
    from promissory.planner.gate import sleep as sleep
    from promissory.planner.gate import wait_for_input as wait_for_input
    from promissory.planner.mapping import flatten as flatten
    from promissory.planner.mapping import map_task as map_task
    from promissory.planner.mapping import unmapped as unmapped
    from promissory.planner.merge import merge as merge
    from promissory.planner.node_failure import NodeFailure as NodeFailure
    from promissory.planner.plan import Interface as Interface
    from promissory.planner.plan import Plan as Plan
    from promissory.planner.policy import Resources as Resources
    from promissory.planner.promise import Promise as Promise
    from promissory.planner.promise import promise as promise
    from promissory.planner.signals import Loop as Loop
    from promissory.planner.signals import Retry as Retry
    from promissory.planner.signals import Skip as Skip
    from promissory.planner.task import Task as Task
    from promissory.planner.task import task as task
    from promissory.planner.triggers import at_least as at_least
    from promissory.planner.workflow import Workflow as Workflow
    from promissory.planner.workflow import WorkflowFunction as WorkflowFunction
    from promissory.planner.workflow import workflow as workflow

_WHERE: Final = {
    "Context": "promissory.planner.context",
    "Dynamic": "promissory.planner.dynamic",
    "FailurePolicy": "promissory.planner.failure_policy",
    "Interface": "promissory.planner.plan",
    "Loop": "promissory.planner.signals",
    "NodeFailure": "promissory.planner.node_failure",
    "Plan": "promissory.planner.plan",
    "Promise": "promissory.planner.promise",
    "Resources": "promissory.planner.policy",
    "Retry": "promissory.planner.signals",
    "Skip": "promissory.planner.signals",
    "Task": "promissory.planner.task",
    "Workflow": "promissory.planner.workflow",
    "WorkflowFunction": "promissory.planner.workflow",
    "approve": "promissory.planner.gate",
    "at_least": "promissory.planner.triggers",
    "compile": "promissory.planner.compiling",
    "conditional": "promissory.planner.branch",
    "current_context": "promissory.planner.context",
    "dynamic": "promissory.planner.dynamic",
    "expand": "promissory.planner.dynamic",
    "flatten": "promissory.planner.mapping",
    "map_task": "promissory.planner.mapping",
    "merge": "promissory.planner.merge",
    "promise": "promissory.planner.promise",
    "sleep": "promissory.planner.gate",
    "task": "promissory.planner.task",
    "unmapped": "promissory.planner.mapping",
    "wait_for_input": "promissory.planner.gate",
    "workflow": "promissory.planner.workflow",
}

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

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(globals(), _WHERE)
