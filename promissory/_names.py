"""The places of public names: the one table behind `promissory`, `promissory.errors` and the names that are written
down.

Classes and functions of this package stand in plans, journals and pickles under their public names
(`promissory:NodeFailure`, `promissory.errors:TaskTypeError`), so that files may move. A name that was published is
never to mean something else.
"""

from typing import Any, Final

FACE: Final = {
    "Context": "promissory.planner.body.context",
    "Cron": "promissory.planner.body.points",
    "Cycle": "promissory.planner.body.cycle",
    "CycleFunction": "promissory.planner.entities.cycle",
    "Directory": "promissory.typesys.directories",
    "Dynamic": "promissory.planner.entities.dynamic",
    "FailurePolicy": "promissory.planner.plan.failure_policy",
    "File": "promissory.typesys.files",
    "Interface": "promissory.planner.plan.model",
    "Loop": "promissory.planner.body.signals",
    "NodeFailure": "promissory.planner.plan.node_failure",
    "Opaque": "promissory.typesys.infer",
    "Plan": "promissory.planner.plan.plan",
    "Promise": "promissory.planner.tracing.promise",
    "Resources": "promissory.planner.plan.policy",
    "Retry": "promissory.planner.body.signals",
    "Run": "promissory.executor.execution.run",
    "RunEvent": "promissory.executor.history.run_events",
    "Secret": "promissory.typesys.secret",
    "Shape": "promissory.typesys.stated",
    "Skip": "promissory.planner.body.signals",
    "Store": "promissory.executor.store.store",
    "Task": "promissory.planner.entities.task",
    "Type": "promissory.typesys.types",
    "Workflow": "promissory.planner.entities.workflow",
    "WorkflowFunction": "promissory.planner.entities.workflow",
    "approve": "promissory.planner.nodes.gate",
    "at_least": "promissory.planner.plan.triggers",
    "attach": "promissory.executor.api",
    "compile": "promissory.planner.entities.compiling",
    "conditional": "promissory.planner.nodes.branch",
    "current_context": "promissory.planner.body.context",
    "cycle": "promissory.planner.entities.cycle",
    "dynamic": "promissory.planner.entities.dynamic",
    "end_idle_workers": "promissory.executor.engines.processes.spare",
    "every": "promissory.planner.nodes.cycle",
    "expand": "promissory.planner.entities.dynamic",
    "flatten": "promissory.planner.nodes.mapping",
    "map_task": "promissory.planner.nodes.mapping",
    "merge": "promissory.planner.nodes.merge",
    "once": "promissory.planner.nodes.cycle",
    "prev": "promissory.planner.nodes.cycle",
    "promise": "promissory.planner.tracing.promise",
    "register_codec": "promissory.typesys.registration",
    "rerun": "promissory.executor.api",
    "resume": "promissory.executor.api",
    "run": "promissory.executor.api",
    "sleep": "promissory.planner.nodes.gate",
    "start": "promissory.executor.api",
    "submit": "promissory.executor.api",
    "task": "promissory.planner.entities.task",
    "type_of": "promissory.typesys.infer",
    "unmapped": "promissory.planner.nodes.mapping",
    "until": "promissory.planner.nodes.cycle",
    "value": "promissory.planner.nodes.awaiting",
    "wait_for_input": "promissory.planner.nodes.gate",
    "workflow": "promissory.planner.entities.workflow",
}

ERRORS: Final = {
    "AnnotationError": "promissory.typesys.errors",
    "ArgumentValueError": "promissory.planner.errors",
    "AwaitError": "promissory.planner.errors",
    "AwaitsExceeded": "promissory.executor.errors",
    "BranchError": "promissory.planner.errors",
    "BranchFailed": "promissory.executor.errors",
    "CodeChanged": "promissory.executor.errors",
    "CodeMismatch": "promissory.executor.errors",
    "CodeNotFound": "promissory.executor.errors",
    "CommandRefused": "promissory.executor.errors",
    "CompileError": "promissory.planner.errors",
    "CompileErrors": "promissory.planner.errors",
    "ContextError": "promissory.planner.errors",
    "CursorGone": "promissory.executor.errors",
    "CycleError": "promissory.planner.errors",
    "DecorationError": "promissory.planner.errors",
    "DepthExceeded": "promissory.executor.errors",
    "DoesNotFit": "promissory.executor.errors",
    "DuplicateName": "promissory.planner.errors",
    "EdgeTypeError": "promissory.planner.errors",
    "EngineError": "promissory.executor.errors",
    "ExecutorError": "promissory.executor.errors",
    "Fenced": "promissory.executor.errors",
    "FormatError": "promissory.typesys.errors",
    "FuturesTooLarge": "promissory.executor.errors",
    "GateError": "promissory.planner.errors",
    "GateNotFound": "promissory.executor.errors",
    "GateTimeout": "promissory.executor.errors",
    "InputError": "promissory.executor.errors",
    "ItemsExceeded": "promissory.executor.errors",
    "IterationLimitExceeded": "promissory.executor.errors",
    "JournalError": "promissory.executor.errors",
    "JumpsBack": "promissory.planner.errors",
    "LeakedPromise": "promissory.planner.errors",
    "LimitExceeded": "promissory.executor.errors",
    "MapError": "promissory.planner.errors",
    "NestedCallError": "promissory.planner.errors",
    "NoEffectWarning": "promissory.planner.errors",
    "NoProgress": "promissory.executor.errors",
    "NonDeterminism": "promissory.executor.errors",
    "NoValue": "promissory.executor.errors",
    "NobodyToAsk": "promissory.executor.errors",
    "NodesExceeded": "promissory.executor.errors",
    "NotInStore": "promissory.executor.errors",
    "NotTrusted": "promissory.typesys.errors",
    "OpaqueWarning": "promissory.typesys.errors",
    "OrderCycle": "promissory.planner.errors",
    "OutputUnavailable": "promissory.executor.errors",
    "OverrideError": "promissory.planner.errors",
    "ParseError": "promissory.typesys.errors",
    "PlanError": "promissory.planner.errors",
    "PlanFormatError": "promissory.planner.errors",
    "PromiseAttributeError": "promissory.planner.errors",
    "PromiseError": "promissory.planner.errors",
    "Rejected": "promissory.executor.errors",
    "RemoteError": "promissory.executor.errors",
    "ResourcesUnavailable": "promissory.executor.errors",
    "RunCancelled": "promissory.executor.errors",
    "RunExists": "promissory.executor.errors",
    "RunFailed": "promissory.executor.errors",
    "RunInterrupted": "promissory.executor.errors",
    "RunIsLive": "promissory.executor.errors",
    "RunIsNotLive": "promissory.executor.errors",
    "RunNotFound": "promissory.executor.errors",
    "RunStalled": "promissory.executor.errors",
    "RunTimeout": "promissory.executor.errors",
    "SignalError": "promissory.planner.errors",
    "SignalRefused": "promissory.executor.errors",
    "StaticRecursion": "promissory.planner.errors",
    "StoreDamage": "promissory.executor.errors",
    "StoreError": "promissory.executor.errors",
    "StoreNotFound": "promissory.executor.errors",
    "TaskTimeout": "promissory.executor.errors",
    "TaskTypeError": "promissory.executor.errors",
    "TypeMismatch": "promissory.typesys.errors",
    "UnequalLengths": "promissory.executor.errors",
    "UnknownTarget": "promissory.planner.errors",
    "UnreachableNode": "promissory.planner.errors",
    "UnsafeStore": "promissory.executor.errors",
    "UnsupportedStore": "promissory.executor.errors",
    "UncachedContentWarning": "promissory.typesys.errors",
    "UntypedWarning": "promissory.typesys.errors",
    "WorkerLost": "promissory.executor.errors",
    "WorkflowCancelled": "promissory.executor.errors",
    "WrongCall": "promissory.planner.errors",
}

PICKLED: Final = {
    "bare_function": "promissory.typesys.opaque",
    "code_of_file": "promissory.typesys.opaque",
    "complete_function": "promissory.typesys.opaque",
    "entity_at": "promissory.planner.functions.by_name",
    "exception_of": "promissory.typesys.exceptions",
    "find": "promissory.typesys.names",
    "Policy": "promissory.planner.plan.policy",
    "rebuilt": "promissory.planner.functions.by_value",
    "Signal": "promissory.planner.body.signals",
}
"""The names that pickles use beside the public ones."""

PUBLIC: Final[dict[str, dict[str, str]]] = {
    "promissory": FACE,
    "promissory.errors": ERRORS,
    "promissory.pickled": PICKLED,
}
"""The modules that give names, with the modules that have them."""

WRITTEN: Final = {
    **{(where, name): f"{module}:{name}" for module, names in PUBLIC.items() for name, where in names.items()},
    **{("promissory", name): f"promissory:{name}" for name in FACE},
    **{("promissory.errors", name): f"promissory.errors:{name}" for name in ERRORS},
}
"""The written form of a thing, by the module that it says it is of, and its name."""


def publish(variables: dict[str, Any]) -> None:
    """Have the exceptions of a module say that they are of the public module that gives them.

    A traceback names the module of its exception's class, and is stored with a failure; and an author imports a class
    from where a traceback says that it is.

    Args:
        variables: of the module, at its end.
    """
    for module, names in PUBLIC.items():
        for name, where in names.items():
            thing = variables.get(name)
            if where == variables["__name__"] and isinstance(thing, type) and issubclass(thing, BaseException):
                thing.__module__ = module
