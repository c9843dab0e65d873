"""The common part of tasks, workflows and dynamics: a function, its signature, and the meaning of a call by the place
where it is made."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, ParamSpec, TypeVar, cast

from promissory._foreign import meant
from promissory.planner.active import InTaskBody, current
from promissory.planner.body.context import current_context
from promissory.planner.body.cycle import Cycle
from promissory.planner.body.signals import Signal
from promissory.planner.errors import DecorationError, NestedCallError, PromiseError, Where, WrongCall, user_line
from promissory.planner.functions import source
from promissory.planner.functions.signature import MISSING, Signature, is_strict, read_signature, warn_of_paths
from promissory.planner.plan.model import Callee
from promissory.planner.plan.names import NAMES, can_be_a_name
from promissory.planner.plan.policy import DynamicPolicy, Policy, TaskPolicy, policy_of
from promissory.typesys.canonical import pack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.names import qualified_name
from promissory.typesys.types import OpaqueType

if TYPE_CHECKING:
    from promissory.planner.functions.identity import Identity

P = ParamSpec("P")
R = TypeVar("R")


class Entity(Generic[P, R]):
    """A decorated function. It keeps its name, docstring and signature, and holds nothing that a compile made."""

    kind: ClassVar[Literal["task", "dynamic", "cycle", "workflow"]]

    def __init__(
        self,
        function: Callable[..., Any],
        policy: Policy,
        strict: bool | None,
        frame_locals: Mapping[str, Any],
        written: Iterable[str] = (),
    ) -> None:
        _refuse_unusable(function, self.kind)
        refuse_unknown_inputs(function, policy)
        source.note(cast(types.FunctionType, function))
        self.function = function
        self.policy = policy
        # The options that the decorator was given, also those that are as they would be without it.
        self.written = frozenset(written)
        self.name = function.__name__
        self._strict = is_strict(strict)
        self._namespace = {
            name: value for name, value in frame_locals.items() if name in _names_in_annotations(function)
        }
        self._signature: Signature | None = None
        self._callee: Callee | None = None
        self._identity: Identity | None = None
        # An entity that came by value, or is frozen, has here the name and identity of the place where it was defined.
        self._known_as: tuple[str, bytes] | None = None
        self.is_async = inspect.iscoroutinefunction(function)
        self.original: Entity[..., Any] = self
        functools.update_wrapper(cast(Any, self), function)
        try:
            self._signature = self._read_signature()
        except NameError:
            # An annotation names something defined further down, and is read at first use.
            self._namespace = dict(frame_locals)

    def _read_signature(self) -> Signature:
        signature = read_signature(self.function, self.kind, self._namespace, self._strict)
        if self.policy.cache:
            warn_of_paths(self.function, signature)
        return signature

    @property
    def signature(self) -> Signature:
        """The typed inputs and result."""
        if self._signature is None:
            try:
                self._signature = self._read_signature()
            except NameError as error:
                code = self.function.__code__
                raise DecorationError(
                    f"an annotation of {self.name} mentions a name that is not defined: {error}",
                    where=Where(code.co_filename, code.co_firstlineno),
                    way_out="define or import it in the module",
                ) from None
        return self._signature

    def callee(self) -> Callee:
        """Name this function as a plan does. Captured variables are read anew, since they may have changed."""
        # This module brings the tokenizer, which no import of this package should wait for.
        from promissory.planner.functions.by_name import counts_by_name
        from promissory.planner.functions.identity import Identity, identify
        from promissory.planner.functions.version import with_code_version

        if self._callee is None or self.function.__closure__:
            kind: Literal["task", "dynamic", "cycle"] = "task" if self.kind == "workflow" else self.kind
            if self._known_as is None:
                name, identity = qualified_name(self.function), identify(self.function, counts_by_name(self))
            else:
                name, identity = self._known_as[0], Identity(self._known_as[1], True)
            self._identity = identity
            policy = with_code_version(self.policy, self.function, identity) if self.policy.cache else self.policy
            self._callee = Callee(name, identity.digest, self.signature.interface, policy, kind, self.is_async)
        return self._callee

    @property
    def identity(self) -> Identity:
        """The identity of this function's code and of what it captured."""
        self.callee()
        assert self._identity is not None
        return self._identity

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether this entity came by value, or was frozen, so that no import gives it."""
        return self._known_as is not None

    def with_function(self, function: Callable[..., Any]) -> Entity[P, R]:
        """A copy that runs another function under the same name and identity.

        `copy.copy` would ask `__reduce__`, which gives the entity that an import finds.
        """
        callee = self.callee()
        again = object.__new__(type(self))
        vars(again).update(vars(self))
        again.function, again.original, again._callee = function, self.original, None
        again._known_as = (callee.name, callee.digest)
        vars(again)["__wrapped__"] = function
        return again

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Check the arguments of a call outside a trace, and fill defaults in fresh.

        Raises `WrongCall` and `TypeError`.
        """
        signature = self.signature
        try:
            values = signature.arguments(args, kwargs)
        except WrongCall as error:
            error.where = user_line()
            raise
        for index, (parameter, codec) in enumerate(zip(signature.interface.parameters, signature.codecs, strict=True)):
            if values[index] is MISSING:
                assert parameter.default is not None
                values[index] = codec.decode(parameter.default)
            elif not isinstance(codec.type, OpaqueType):
                try:
                    pack(codec.lower(values[index]))
                except TypeMismatch as mismatch:
                    raise TypeError(mismatch.at(f"{self.name}({parameter.name}=…)")) from None
        return values

    def checked_result(self, result: Any) -> Any:
        """Check the result of a body that was called as a function. Raises `TypeError`, as a run fails."""
        if isinstance(result, Signal):
            raise TypeError(wrong_result(self, result))
        result = self.signature.shaped(result)
        codec = self.signature.result
        if not isinstance(codec.type, OpaqueType):
            try:
                pack(codec.lower(result))
            except TypeMismatch as mismatch:
                raise TypeError(wrong_result(self, mismatch)) from None
        return result

    def call_function(self, values: list[Any], cycle: Cycle | None = None) -> Any:
        """Call the wrapped function with values in the order of the parameters.

        Args:
            values: the values.
            cycle: the round, for the body of a cycle that takes it.
        """
        parameters = self.signature.interface.parameters
        given: list[Any] = [current_context()] if self.signature.context else [] if cycle is None else [cycle]
        if self.signature.positional == len(parameters):
            return self.function(*given, *values)
        split = self.signature.positional
        keywords = {p.name: value for p, value in zip(parameters[split:], values[split:], strict=True)}
        return self.function(*given, *values[:split], **keywords)

    if not TYPE_CHECKING:  # type checkers would take any name for one that is there

        def __getattr__(self, name: str) -> Any:
            said = "" if name.startswith("_") else meant("call", name, dir(type(self)))
            raise AttributeError(f"a {type(self).kind} has no attribute {name!r}{said}", name=name, obj=None)

    def __rshift__(self, other: Any) -> Any:
        """Order calls in a `with Workflow(…)` block: `a >> b` calls both, without inputs, and runs b after a
        succeeded."""
        return _referred(self) >> other

    def __rrshift__(self, other: Any) -> Any:
        """Order calls: `[a, b] >> c`."""
        return other >> _referred(self)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        # A task kept as a class attribute stays a plain function, not a method.
        return self

    def __repr__(self) -> str:
        return f"<{self.kind} {qualified_name(self.function)}{self.signature.interface}>"

    def more_state(self) -> dict[str, Any]:
        """Give the state of this kind beside function and policy, by the name of the argument that takes it."""
        return {}

    def __reduce__(self) -> Any:
        from promissory.planner.functions.by_name import entity_at
        from promissory.planner.functions.by_value import entity_state, rebuilt, travels_by_value

        callee = self.callee()
        if travels_by_value(callee, self):
            return rebuilt, (type(self), entity_state(self))
        return entity_at, (callee.name,)


def wrong_result(entity: Entity[..., Any], problem: Signal | TypeMismatch) -> str:
    """Say why a body's result can't be taken."""
    if isinstance(problem, Signal):
        name = type(problem).__name__
        return f"{entity.name} returned {name}(…), which is to be raised: raise {name}(…)"
    return f"{entity.name}() returned something else than it declares: {problem.at('result')}"


def _referred(entity: Entity[..., Any]) -> Any:
    """Give the node of an entity that an order names without calling it."""
    trace = current.get()
    if trace is None or isinstance(trace, InTaskBody):
        raise PromiseError(
            f">> orders the calls of a workflow, and none is being made where {entity.name} stands",
            where=user_line(),
            way_out="write it in a `with Workflow(…)` block",
        )
    return trace.referred(entity)


def _names_in_annotations(function: Callable[..., Any]) -> set[str]:
    """List the names that a function's string annotations may look up where the function was defined."""
    texts = [text for text in getattr(function, "__annotations__", {}).values() if isinstance(text, str)]
    names: set[str] = set()
    for text in texts:
        try:
            names.update(compile(text, "<annotation>", "eval").co_names)
        except SyntaxError:
            continue
    return names


def _refuse_unusable(function: Any, kind: str) -> None:
    """Refuse functions that can't be made an entity, and say what to write instead (rule A10)."""
    if isinstance(function, staticmethod | classmethod) or not isinstance(function, types.FunctionType):
        said = type(function).__name__
        raise DecorationError(
            f"@{kind} takes a plain function, not a {said}",
            where=user_line(),
            way_out="decorate a function at module level",
        )
    where = Where(function.__code__.co_filename, function.__code__.co_firstlineno)

    def refuse(problem: str, way_out: str) -> None:
        raise DecorationError(f"{function.__qualname__} can't be a {kind}: {problem}", where=where, way_out=way_out)

    if function.__name__ == "<lambda>":
        refuse("it is a lambda, which has no name that a plan could call it by", "write it with def")
    for name in (function.__name__, function.__qualname__.rpartition(".")[2]):
        if not can_be_a_name(name):
            raise DecorationError(
                f"{name!r} can't be a node's name, and the {kind} has it from its function's __name__ or __qualname__",
                where=where,
                way_out=NAMES,
            )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        refuse("it is a generator, which has no result until it is iterated", "return a list")
    if "." in function.__qualname__.rpartition("<locals>.")[2]:
        refuse(
            "it is a method, whose self would have to travel with each call",
            "write a function that takes what it needs",
        )
    if kind not in ("task", "dynamic") and inspect.iscoroutinefunction(function):
        refuse("it is async, and only tasks and dynamics may be", "write it with def")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = "*" if parameter.kind == parameter.VAR_POSITIONAL else "**"
            way_out = (
                f"take a list: {parameter.name}: list[…]"
                if star == "*"
                else f"take a dict: {parameter.name}: dict[str, …]"
            )
            refuse(f"{star}{parameter.name} has no fixed set of typed inputs", way_out)


def refuse_unknown_inputs(function: Callable[..., Any], policy: Policy) -> None:
    """Raise `DecorationError` if `cache_ignore` names an input that the function does not have."""
    code = function.__code__
    unknown = [
        name
        for name in policy.cache_ignore
        if name not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    ]
    if unknown:
        raise DecorationError(
            f"cache_ignore names {unknown[0]!r}, and {function.__qualname__} has no such input",
            where=Where(code.co_filename, code.co_firstlineno),
            way_out="name its own inputs",
        )


def locals_where_decorated(depth: int) -> Mapping[str, Any]:
    """Give the local names at the place of a decorator, for annotations that mention them. Empty at module level."""
    frame = sys._getframe(depth + 1)
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)


def checked_policy(given: Mapping[str, Any], kind: str) -> Policy:
    """Make the policy of a decorator's arguments.

    Raises `DecorationError` at the author's line, `TypeError` for an unknown argument.
    """
    known = (
        TaskPolicy.__annotations__
        if kind != "dynamic"
        else {**TaskPolicy.__annotations__, **DynamicPolicy.__annotations__}
    )
    for name in given:
        if name not in known:
            hint = (
                "; it is for @dynamic"
                if name in DynamicPolicy.__annotations__
                else f"; there are: strict, {', '.join(sorted(known))}"
            )
            said = meant("@task", name) or f"{meant('@task', name, known)}{hint}"
            raise TypeError(f"{kind}() got an unexpected keyword argument {name!r}{said}")
    try:
        return policy_of(dict(given))
    except ValueError as error:
        raise DecorationError(str(error), where=user_line()) from None


def refuse_in_task_body(entity: Entity[..., Any]) -> None:
    """Raise `NestedCallError` if a task's body is running (rule A3)."""
    active = current.get()
    if isinstance(active, InTaskBody):
        raise NestedCallError(
            f"the task {active.name} called the {entity.kind} {entity.name} in its body, where no plan is being made",
            where=user_line(),
            way_out=f"make {active.name} @dynamic: it may call workflows and dynamics, and return their promises",
        )
