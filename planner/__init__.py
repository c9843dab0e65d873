"""The planner: from Python functions to a plan. It imports `typesys`, and nothing of `executor`."""

from typing import TYPE_CHECKING, Final

if __name__ != "promissory.planner":
    raise ImportError(
        "import promissory.planner: this folder is a part of the package promissory, and not one by itself",
        name=__name__,
    )

from promissory._lazy import lazily

if TYPE_CHECKING:
    from promissory.planner.body.context import Context as Context
    from promissory.planner.body.context import current_context as current_context
    from promissory.planner.body.cycle import Cycle as Cycle
    from promissory.planner.body.points import Cron as Cron
    from promissory.planner.body.signals import Loop as Loop
    from promissory.planner.body.signals import Retry as Retry
    from promissory.planner.body.signals import Skip as Skip
    from promissory.planner.entities.compiling import compile as compile
    from promissory.planner.entities.cycle import CycleFunction as CycleFunction
    from promissory.planner.entities.cycle import cycle as cycle
    from promissory.planner.entities.dynamic import Dynamic as Dynamic
    from promissory.planner.entities.dynamic import dynamic as dynamic
    from promissory.planner.entities.dynamic import expand as expand
    from promissory.planner.entities.task import Task as Task
    from promissory.planner.entities.task import task as task
    from promissory.planner.entities.workflow import Workflow as Workflow
    from promissory.planner.entities.workflow import WorkflowFunction as WorkflowFunction
    from promissory.planner.entities.workflow import workflow as workflow
    from promissory.planner.nodes.awaiting import value as value
    from promissory.planner.nodes.branch import conditional as conditional
    from promissory.planner.nodes.cycle import every as every
    from promissory.planner.nodes.cycle import once as once
    from promissory.planner.nodes.cycle import prev as prev
    from promissory.planner.nodes.cycle import until as until
    from promissory.planner.nodes.gate import approve as approve
    from promissory.planner.nodes.gate import sleep as sleep
    from promissory.planner.nodes.gate import wait_for_input as wait_for_input
    from promissory.planner.nodes.mapping import flatten as flatten
    from promissory.planner.nodes.mapping import map_task as map_task
    from promissory.planner.nodes.mapping import unmapped as unmapped
    from promissory.planner.nodes.merge import merge as merge
    from promissory.planner.plan.failure_policy import FailurePolicy as FailurePolicy
    from promissory.planner.plan.model import Interface as Interface
    from promissory.planner.plan.node_failure import NodeFailure as NodeFailure
    from promissory.planner.plan.plan import Plan as Plan
    from promissory.planner.plan.policy import Resources as Resources
    from promissory.planner.plan.triggers import at_least as at_least
    from promissory.planner.tracing.promise import Promise as Promise
    from promissory.planner.tracing.promise import promise as promise

_WHERE: Final = {
    "Context": "promissory.planner.body.context",
    "Cron": "promissory.planner.body.points",
    "Cycle": "promissory.planner.body.cycle",
    "CycleFunction": "promissory.planner.entities.cycle",
    "Dynamic": "promissory.planner.entities.dynamic",
    "FailurePolicy": "promissory.planner.plan.failure_policy",
    "Interface": "promissory.planner.plan.model",
    "Loop": "promissory.planner.body.signals",
    "NodeFailure": "promissory.planner.plan.node_failure",
    "Plan": "promissory.planner.plan.plan",
    "Promise": "promissory.planner.tracing.promise",
    "Resources": "promissory.planner.plan.policy",
    "Retry": "promissory.planner.body.signals",
    "Skip": "promissory.planner.body.signals",
    "Task": "promissory.planner.entities.task",
    "Workflow": "promissory.planner.entities.workflow",
    "WorkflowFunction": "promissory.planner.entities.workflow",
    "approve": "promissory.planner.nodes.gate",
    "at_least": "promissory.planner.plan.triggers",
    "compile": "promissory.planner.entities.compiling",
    "conditional": "promissory.planner.nodes.branch",
    "current_context": "promissory.planner.body.context",
    "cycle": "promissory.planner.entities.cycle",
    "dynamic": "promissory.planner.entities.dynamic",
    "every": "promissory.planner.nodes.cycle",
    "expand": "promissory.planner.entities.dynamic",
    "flatten": "promissory.planner.nodes.mapping",
    "map_task": "promissory.planner.nodes.mapping",
    "merge": "promissory.planner.nodes.merge",
    "once": "promissory.planner.nodes.cycle",
    "prev": "promissory.planner.nodes.cycle",
    "promise": "promissory.planner.tracing.promise",
    "sleep": "promissory.planner.nodes.gate",
    "task": "promissory.planner.entities.task",
    "unmapped": "promissory.planner.nodes.mapping",
    "until": "promissory.planner.nodes.cycle",
    "value": "promissory.planner.nodes.awaiting",
    "wait_for_input": "promissory.planner.nodes.gate",
    "workflow": "promissory.planner.entities.workflow",
}

__all__ = [
    "Context",
    "Cron",
    "Cycle",
    "CycleFunction",
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
    "cycle",
    "dynamic",
    "every",
    "expand",
    "flatten",
    "map_task",
    "merge",
    "once",
    "prev",
    "promise",
    "sleep",
    "task",
    "unmapped",
    "until",
    "value",
    "wait_for_input",
    "workflow",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(globals(), _WHERE)
