"""Typed Python workflows that compile to a plan, grow at run time, and survive any crash.

>>> from promissory import task, workflow
>>> @task
... def inc(x: int) -> int:
...     return x + 1
>>> @workflow
... def twice(x: int) -> int:
...     return inc(inc(x))
>>> twice(x=1)
3

Each name is imported when it is first asked for (PEP 562), because a worker process imports this package before
anything else and needs next to nothing of it.
"""

import os
from typing import TYPE_CHECKING

from promissory._lazy import lazily
from promissory._names import FACE
from promissory._version import VERSION as __version__

if TYPE_CHECKING:
    from promissory.executor.api import attach as attach
    from promissory.executor.api import rerun as rerun
    from promissory.executor.api import resume as resume
    from promissory.executor.api import run as run
    from promissory.executor.api import start as start
    from promissory.executor.api import submit as submit
    from promissory.executor.engines.processes.spare import end_idle_workers as end_idle_workers
    from promissory.executor.execution.run import Run as Run
    from promissory.executor.history.run_events import RunEvent as RunEvent
    from promissory.executor.store.store import Store as Store
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
    from promissory.typesys.directories import Directory as Directory
    from promissory.typesys.files import File as File
    from promissory.typesys.infer import Opaque as Opaque
    from promissory.typesys.infer import type_of as type_of
    from promissory.typesys.registration import register_codec as register_codec
    from promissory.typesys.secret import Secret as Secret
    from promissory.typesys.stated import Shape as Shape
    from promissory.typesys.types import Type as Type

__all__ = [
    "Context",
    "Cron",
    "Cycle",
    "CycleFunction",
    "Directory",
    "Dynamic",
    "FailurePolicy",
    "File",
    "Interface",
    "Loop",
    "NodeFailure",
    "Opaque",
    "Plan",
    "Promise",
    "Resources",
    "Retry",
    "Run",
    "RunEvent",
    "Secret",
    "Shape",
    "Skip",
    "Store",
    "Task",
    "Type",
    "Workflow",
    "WorkflowFunction",
    "__version__",
    "approve",
    "at_least",
    "attach",
    "compile",
    "conditional",
    "current_context",
    "cycle",
    "dynamic",
    "end_idle_workers",
    "every",
    "expand",
    "flatten",
    "map_task",
    "merge",
    "once",
    "prev",
    "promise",
    "register_codec",
    "rerun",
    "resume",
    "run",
    "sleep",
    "start",
    "submit",
    "task",
    "type_of",
    "unmapped",
    "until",
    "value",
    "wait_for_input",
    "workflow",
]

if os.path.isfile(os.path.join(os.path.dirname(__file__), "planner")):
    raise ImportError(
        f"{os.path.dirname(__file__)} was checked out without symbolic links, and its packages are behind such "
        "links. Have git make them: "
        "git config core.symlinks true && git checkout -- promissory (on Windows in developer mode)"
    )

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(globals(), FACE)
