"""@workflow: a static plan, and `Workflow`: the same plan built by hand. Both share one tracing context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from promissory._foreign import meant
from promissory.planner.active import current
from promissory.planner.body.signals import Signal
from promissory.planner.entities.runner import run_here
from promissory.planner.entities.traced import Traced
from promissory.planner.errors import (
    CompileError,
    DecorationError,
    DuplicateName,
    StaticRecursion,
    Where,
    WrongCall,
    raised_at,
    user_line,
)
from promissory.planner.functions.entity import Entity, P, R, locals_where_decorated, refuse_in_task_body
from promissory.planner.functions.signature import MISSING, Signature, binder
from promissory.planner.plan.advice import warn_of_no_effect
from promissory.planner.plan.failure_policy import FailurePolicy
from promissory.planner.plan.model import Interface, Parameter
from promissory.planner.plan.names import NAMES, can_be_a_name
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.policy import Policy
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.rescue import add_handler
from promissory.planner.tracing.session import Session
from promissory.planner.tracing.trace import Trace
from promissory.typesys.dict_types import record_of
from promissory.typesys.errors import AnnotationError, TypeMismatch
from promissory.typesys.infer import Inference
from promissory.typesys.types import ANY, NONE, Type
from promissory.typesys.wire import Codec, codec_for

T = TypeVar("T")


class WorkflowFunction(Traced[P, R]):
    """A function whose calls are recorded once, when it is compiled. Made by `@workflow`.

    Where a workflow is traced, a call records one node, a nested plan, and gives a promise. In a task's body a call
    raises `NestedCallError`. Anywhere else a call compiles the workflow, runs it in this process and gives its native
    result, or raises `RunFailed`.
    """

    kind = "workflow"

    def __init__(
        self,
        function: Callable[..., Any],
        policy: Policy,
        strict: bool | None,
        frame_locals: Mapping[str, Any],
        on_failure: Entity[..., Any] | None = None,
        failure_policy: FailurePolicy = FailurePolicy.FAIL_IMMEDIATELY,
    ) -> None:
        super().__init__(function, policy, strict, frame_locals)
        self.on_failure = on_failure
        self.failure_policy = failure_policy

    def more_state(self) -> dict[str, Any]:
        """Give the settings for its failures."""
        return {"on_failure": self.on_failure, "failure_policy": self.failure_policy}

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        trace = current.get()
        if trace.__class__ is Trace:
            return cast(R, trace.record_plan(trace.session.nested(self), self.signature, args, kwargs))
        refuse_in_task_body(self)
        return cast(R, run_here(self, self.arguments(args, kwargs)))

    def graph_in(self, session: Session) -> int:
        """Give the number of its graph in a session. The workflow is traced there once, however often it is called."""
        return session.nested(self)

    def compile(self) -> Plan:
        """Compile this workflow. Its body runs once, now, with promises for its inputs; nothing of the trace is kept.

        Raises:
            CompileError: everything that is wrong with it, reported together.
        """
        session = Session()
        self.trace(session)
        plan = session.plan()
        warn_of_no_effect(plan)
        return plan

    def trace(self, session: Session) -> int:
        """Trace the body as one graph of a session, and give the graph's number."""
        signature = self.signature
        trace = Trace(session, self.name, signature.inputs)
        session.open.append(self)
        token = current.set(trace)
        try:
            returned = self.call_function([trace.input(index) for index in range(len(signature.names))])
        except CompileError as error:
            session.fatal.append(error)
            raise session.fatal[0] from None
        except Signal as signal:
            way_out = "raise it in a task, or in a @dynamic"
            said = f"{self.name} raised {type(signal).__name__} while it was traced, when nothing runs"
            raise CompileError(said, where=raised_at(signal) or where_of(self.function), way_out=way_out) from None
        except Exception as error:
            if session.fatal:
                # The error that the body made of ours is not the cause.
                raise session.fatal[0] from error
            raise
        finally:
            current.reset(token)
            session.open.pop()
        code = self.function.__code__
        where = Where(code.co_filename, code.co_firstlineno)
        trace.runs_on = self.failure_policy is FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
        if self.on_failure is not None:
            add_handler(trace, self.on_failure, self.name, where)
        return trace.finish(
            [("result", signature.interface.result, signature.shaped(returned), f"the result of {self.name}()")], where
        )

    def run(self, **inputs: Any) -> Any:
        """Compile and run in this process, and give the native result. The same as calling the workflow."""
        return run_here(self, self.arguments((), inputs))


@overload
def workflow(function: Callable[P, R], /) -> WorkflowFunction[P, R]: ...
@overload
def workflow(
    *,
    strict: bool | None = None,
    on_failure: Entity[..., Any] | None = None,
    failure_policy: FailurePolicy = FailurePolicy.FAIL_IMMEDIATELY,
) -> Callable[[Callable[P, R]], WorkflowFunction[P, R]]: ...
def workflow(
    function: Any = None,
    /,
    *,
    strict: bool | None = None,
    on_failure: Entity[..., Any] | None = None,
    failure_policy: FailurePolicy = FailurePolicy.FAIL_IMMEDIATELY,
    **unknown: Any,
) -> Any:
    """Make a function a workflow. The calls in it are a plan, which is compiled without running any task.

    Args:
        strict: as for `@task`.
        on_failure: a task, dynamic or workflow that runs when this workflow has failed, before the failure goes
            further. It gets the workflow's inputs that it names, and a `NodeFailure` as `err` if it asks for that. The
            workflow has failed all the same (rule X6).
        failure_policy: whether nodes that do not depend on a failed node still start.

    Raises:
        DecorationError: the function can't be a workflow, or `on_failure` is no entity.

    >>> from promissory import task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> @workflow
    ... def twice(x: int) -> int:
    ...     return inc(inc(x))
    >>> len(twice.compile()), twice(1)
    (2, 3)
    """
    namespace = locals_where_decorated(1)
    for name in unknown:
        said = meant("@task", name) or "; there are: strict, on_failure, failure_policy. Others are a task's"
        raise TypeError(f"workflow() got an unexpected keyword argument {name!r}{said}")
    if isinstance(function, str):
        raise DecorationError(
            f"workflow({function!r}) decorates nothing: @workflow stands above a function",
            where=user_line(),
            way_out=f"build one by hand: with Workflow({function!r}) as wf:",
        )
    if on_failure is not None and not isinstance(on_failure, Entity):
        raise DecorationError(
            f"on_failure is {on_failure!r}, which a run can't call",
            where=user_line(),
            way_out="give it a @task, @dynamic or @workflow",
        )
    if not isinstance(failure_policy, FailurePolicy):
        raise DecorationError(
            f"failure_policy is {failure_policy!r}",
            where=user_line(),
            way_out=f"there are: {', '.join(map(str, FailurePolicy))}",
        )
    if function is not None:
        return WorkflowFunction(function, Policy(), strict, namespace, on_failure, failure_policy)
    return lambda wrapped: WorkflowFunction(wrapped, Policy(), strict, namespace, on_failure, failure_policy)


def where_of(function: Callable[..., Any]) -> Where:
    """Give the author's line where a function begins."""
    return Where(function.__code__.co_filename, function.__code__.co_firstlineno)


class Workflow:
    """A workflow built by hand, or from the calls in a `with` block.

    >>> from promissory import task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> with Workflow("twice") as wf:
    ...     x = wf.add_workflow_input("x", int)
    ...     y = wf.add_workflow_output("y", inc(inc(x)))
    >>> wf.run(x=1)
    3
    """

    kind = "workflow"

    def __init__(self, name: str) -> None:
        if not can_be_a_name(name):
            raise CompileError(f"{name!r} can't be a workflow's name", where=user_line(), way_out=NAMES)
        self.name = name
        self._session = Session()
        self._trace = Trace(self._session, name, ())
        self._codecs: list[Codec] = []
        self._outputs: list[tuple[str, Type, Any, str]] = []
        self._output_codecs: list[Codec] = []
        self._tokens: list[Any] = []

    @overload
    def add_workflow_input(self, name: str, type: type[T], default: Any = MISSING) -> T: ...
    @overload
    def add_workflow_input(self, name: str, type: Any, default: Any = MISSING) -> Any: ...
    def add_workflow_input(self, name: str, type: Any, default: Any = MISSING) -> Any:
        """Declare an input, and give its promise.

        Args:
            name: the input's name, unique among the inputs.
            type: its annotation.
            default: its default value, if it has one.
        """
        where = user_line()
        if any(known.name == name for known in self._trace.inputs):
            raise DuplicateName(
                f"two inputs of {self.name} are named {name!r}", where=where, way_out="give each its own name"
            )
        codec = self._codec(type, f"input {name}", where)
        try:
            data = None if default is MISSING else codec.encode(default)
        except TypeMismatch as mismatch:
            raise CompileError(f"the default of input {name}: {mismatch.at('default')}", where=where) from None
        self._trace.inputs.append(Parameter(name, codec.type, data))
        self._codecs.append(codec)
        return self._trace.input(len(self._codecs) - 1)

    def _codec(self, annotation: Any, what: str, where: Where | None) -> Codec:
        inference = Inference()
        try:
            return codec_for(inference.infer(annotation), inference.classes)
        except AnnotationError as error:
            raise CompileError(f"{what}: {error}", where=where) from None

    def add_entity(self, entity: Callable[..., Any], /, **inputs: Any) -> Any:
        """Call a task, workflow, dynamic or another `Workflow` here, and give its promise."""
        with self:
            return entity(**inputs)

    def add_workflow_output(self, name: str, value: Any, type: Any = None) -> Any:
        """Declare an output: a promise, or a list, dict or dataclass with promises in it. The value is given back.

        Args:
            name: the output's name, unique among the outputs. The one output of a workflow is its result; several are a
                dict by name.
            value: the output's value.
            type: its annotation; by default the promise's own type, `Any` for anything else.
        """
        where = user_line()
        if any(known == name for known, *_ in self._outputs):
            raise DuplicateName(
                f"two outputs of {self.name} are named {name!r}", where=where, way_out="give each its own name"
            )
        if type is not None:
            codec = self._codec(type, f"output {name}", where)
        else:
            codec = codec_for(value._promissory_type if isinstance(value, Promise) else ANY)
        self._outputs.append((name, codec.type, value, f"the output {name} of {self.name}"))
        self._output_codecs.append(codec)
        return value

    def __enter__(self) -> Workflow:
        refuse_in_task_body(cast(Any, self))
        self._tokens.append(current.set(self._trace))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current.reset(self._tokens.pop())

    @property
    def signature(self) -> Signature:
        """The typed inputs and result."""
        result = self._output_codecs[0] if len(self._outputs) == 1 else codec_for(self._together())
        interface = Interface(tuple(self._trace.inputs), result.type)
        names = tuple(p.name for p in interface.parameters)
        keywords = tuple(replace(p, kind="keyword") for p in interface.parameters)
        return Signature(self.name, interface, tuple(self._codecs), result, names, 0, True, binder(self.name, keywords))

    def _together(self) -> Type:
        """The type of the outputs as one value: a dict by name."""
        return (
            record_of(f"{self.name}:outputs", {name: type for name, type, *_ in self._outputs})
            if self._outputs
            else NONE
        )

    @property
    def output_codecs(self) -> dict[str, Codec]:
        """Give the codec of each output, by name."""
        return {name: codec for (name, *_), codec in zip(self._outputs, self._output_codecs, strict=True)}

    if not TYPE_CHECKING:  # type checkers would take any name for one that is there

        def __getattr__(self, name: str) -> Any:
            said = "" if name.startswith("_") else meant("call", name, dir(type(self)))
            raise AttributeError(f"a workflow has no attribute {name!r}{said}", name=name, obj=None)

    def graph_in(self, session: Session) -> int:
        """Give the number of its graph, as the workflow stands now, in a session."""
        return session.adopt(self, self._compiled(self._as_one()))

    def _as_one(self) -> list[tuple[str, Type, Any, str]]:
        """The outputs as a call in a trace has them: one value."""
        if len(self._outputs) < 2:
            return self._outputs
        values = {name: value for name, _, value, _ in self._outputs}
        return [("result", self._together(), values, f"the outputs of {self.name}")]

    def compile(self) -> Plan:
        """Compile the workflow as it stands now. More may be added later. Raises `CompileError`."""
        return self._compiled(self._outputs)

    def _compiled(self, outputs: list[tuple[str, Type, Any, str]]) -> Plan:
        session = self._session
        mark = session.mark()
        self._trace.finish(outputs, None)
        try:
            plan = session.plan()
        finally:
            session.rollback(mark)
        warn_of_no_effect(plan)
        return plan

    def __call__(self, **inputs: Any) -> Any:
        """Record a call of this workflow in a trace, where several outputs are a dict by name. Elsewhere, run it."""
        trace = current.get()
        if trace.__class__ is not Trace:
            return self.run(**inputs)
        if trace.session is self._session:
            problem = StaticRecursion(
                f"{self.name} calls itself while it is being built: {self.name} → {self.name}",
                where=user_line(),
                way_out="make it @dynamic: a dynamic sees its inputs as values, so it can end the recursion",
            )
            trace.fatal.append(problem)
            raise problem
        return trace.record_plan(self.graph_in(trace.session), self.signature, (), inputs)

    def run(self, **inputs: Any) -> Any:
        """Compile and run in this process. Gives the one output, or a dict of several."""
        refuse_in_task_body(cast(Any, self))
        signature = self.signature
        try:
            values = signature.arguments((), inputs)
        except WrongCall as error:
            error.where = user_line()
            raise
        for index, (parameter, codec) in enumerate(zip(signature.interface.parameters, signature.codecs, strict=True)):
            if values[index] is MISSING:
                assert parameter.default is not None
                values[index] = codec.decode(parameter.default)
        return run_here(self, values)

    def __repr__(self) -> str:
        return f"<workflow {self.name}{self.signature.interface}>"
