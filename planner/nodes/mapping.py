"""Maps: one node that calls a task, workflow or dynamic once for each item of a list (rules B2, B3).

`map_task(f)(x=xs, y=ys)` and `f.map(xs, ys)` are the same. Where a workflow is traced a map is one node, however long
its lists are. Anywhere else a map is a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, Final, Generic, TypeVar, cast, overload

from promissory.planner.active import InTaskBody, current
from promissory.planner.errors import CompileError, MapError, NestedCallError, WrongCall, user_line
from promissory.planner.functions.entity import Entity
from promissory.planner.functions.signature import MISSING, Signature, binder
from promissory.planner.nodes.mapped_lists import LISTS, as_list, check_flat, list_instead, refuse_unlisted
from promissory.planner.plan.interfaces import map_interface
from promissory.planner.plan.model import MAP, Binding, Interface
from promissory.planner.plan.specs import Map, check_concurrency, check_ratio
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.session import HasGraph
from promissory.planner.tracing.trace import Trace
from promissory.typesys.types import ListType
from promissory.typesys.wire import codec_for

_CLOSE: Final = 1e-9


class unmapped:
    """A mark on an argument of a map: every call gets the argument as it is.

    >>> from promissory import task, unmapped
    >>> @task
    ... def scale(x: int, by: int) -> int:
    ...     return x * by
    >>> scale.map([1, 2], by=unmapped(10))
    [10, 20]
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"unmapped({self.value!r})"


class flatten:
    """A mark on an argument of a map that is a list of lists: the items of all lists are mapped as one list.

    >>> from promissory import flatten, task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> inc.map(flatten([[4, 5], [6]]))
    [5, 6, 7]
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"flatten({self.value!r})"


class _Failed:
    """An item that failed outside a trace."""

    def __init__(self, error: Exception) -> None:
        self.error = error


R = TypeVar("R")


class MapFunction(Generic[R]):
    """A function of lists that calls its target once for each of their items. Made by `map_task`."""

    def __init__(
        self,
        over: Any,
        fixed: tuple[tuple[Any, ...], dict[str, Any]],
        concurrency: int | None = None,
        ratio: float = 1.0,
        shortest: bool = False,
    ) -> None:
        self.over = over
        self.fixed = fixed
        self.concurrency = concurrency
        self.ratio = ratio
        self.shortest = shortest

    @property
    def name(self) -> str:
        """Give the name of the target."""
        name: str = self.over.name
        return name

    @property
    def _one(self) -> Signature:
        """Give the signature of one call."""
        signature: Signature = self.over.signature
        return signature

    @property
    def signature(self) -> Signature:
        """Give the signature that another map sees: typed inputs and result, all inputs lists."""
        one = self._one
        spec = Map(False, tuple(range(len(one.interface.parameters))), None, self.ratio)
        fixed = self._values((), {}, partial_only=True)
        mapped = tuple(index for index, value in enumerate(fixed) if value is MISSING)
        whole = map_interface(
            Interface(one.inputs, one.interface.result), Map(False, mapped, None, spec.min_success_ratio)
        )
        left = tuple(p for index, p in enumerate(whole.parameters) if index in mapped)
        codecs = tuple(codec_for(p.type) for p in left)
        names = tuple(p.name for p in left)
        return Signature(
            self.name,
            Interface(left, whole.result),
            codecs,
            codec_for(whole.result),
            names,
            len(left),
            True,
            binder(self.name, left),
        )

    def _values(self, args: tuple[Any, ...], kwargs: dict[str, Any], partial_only: bool = False) -> list[Any]:
        """Give each parameter's argument: `MISSING` without one, `unmapped` around the values of `partial`."""
        one = self._one
        first, named = self.fixed
        found: dict[str, Any] = {}
        names = [p.name for p in one.interface.parameters]
        for name, value in zip(names, first, strict=False):
            if name in named:
                raise WrongCall(f"{self.name}() got multiple values for argument {name!r}")
            found[name] = unmapped(value)
        found |= {name: unmapped(value) for name, value in named.items()}
        unknown = [name for name in found if name not in names]
        free = [p.name for p in one.interface.parameters if p.name not in found]
        if unknown or len(first) > len(names):
            raise WrongCall(
                f"{self.name}() got an unexpected keyword argument {unknown[0]!r}"
                if unknown
                else f"{self.name}() takes {len(names)} arguments"
            )
        if not partial_only:
            kinds = {p.name: p.kind for p in one.interface.parameters}
            by_name = [name for name in kwargs if kinds.get(name) == "positional"]
            if by_name:
                raise WrongCall(
                    f"{self.name}() got some positional-only arguments passed as keyword arguments: {by_name[0]!r}"
                )
            free = [name for name in free if kinds[name] != "keyword"]
            if len(args) > len(free):
                raise WrongCall(f"{self.name}.map() takes {len(free)} arguments, and {len(args)} were given")
            for name, value in zip(free, args, strict=False):
                found[name] = value
            for name, value in kwargs.items():
                if name not in names:
                    raise MapError(
                        f"{self.name} has no parameter {name!r} to map", way_out=f"it has {', '.join(names) or 'none'}"
                    )
                if name in free[: len(args)]:
                    raise WrongCall(f"{self.name}.map() got several values for {name!r}")
                found[name] = value
            missing = [p.name for p in one.interface.parameters if p.default is None and p.name not in found]
            if missing:
                raise WrongCall(f"{self.name}.map() misses the argument {missing[0]!r}")
        return [found.get(name, MISSING) for name in names]

    def __call__(self, /, *args: Any, **kwargs: Any) -> list[R]:
        trace = current.get()
        if not isinstance(trace, Trace):
            return self._here(args, kwargs, in_task=isinstance(trace, InTaskBody))
        return cast(list[R], self._record(trace, args, kwargs))

    # --- in a trace ---

    def _record(self, trace: Trace, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Promise[Any]:
        where = user_line()
        try:
            values = self._values(args, kwargs)
            mapped = tuple(
                index for index, value in enumerate(values) if value is not MISSING and not isinstance(value, unmapped)
            )
            self._check_lists(values, mapped)
        except WrongCall as error:
            error.where = where
            trace.fatal.append(error)
            raise
        except MapError as error:
            error.where = where
            trace.problem(error)
            values, mapped = (
                [MISSING] * len(self._one.interface.parameters),
                (0,) if self._one.interface.parameters else (),
            )
            target, over_graph, taken = self._target(trace)
            spec = Map(over_graph, mapped or (0,), self.concurrency, self.ratio, shortest=self.shortest)
            interface = map_interface(Interface(self._one.inputs, self._one.interface.result), spec)
            return Promise(
                trace, interface.result, trace.add(MAP, target, [*[None] * len(values), *taken], where, spec)
            )
        target, over_graph, taken = self._target(trace)
        flat = tuple(index for index in mapped if isinstance(values[index], flatten))
        spec = Map(over_graph, mapped, self.concurrency, self.ratio, flat, self.shortest)
        interface = map_interface(Interface(self._one.inputs, self._one.interface.result), spec)
        bindings: list[Binding] = []
        for parameter, value in zip(interface.parameters, values, strict=True):
            if value is MISSING:
                bindings.append(None)
                continue
            if isinstance(value, unmapped):
                given = value.value
            else:
                given = as_list(value.value, True) if isinstance(value, flatten) else as_list(value, False)
            bindings.append(trace.binder.bind(given, parameter.type, f"{self.name}.map({parameter.name}=…)", where))
        return Promise(trace, interface.result, trace.add(MAP, target, [*bindings, *taken], where, spec))

    def _target(self, trace: Trace) -> tuple[int, bool, list[Binding]]:
        """Give the target for one item: its number, whether the number is a graph's, and the bindings beside its
        inputs."""
        over, session = self.over, trace.session
        if isinstance(over, HasGraph):
            return over.graph_in(session), True, []
        if isinstance(over, MapFunction):
            signature = over.signature
            inner = Trace(session, f"{over.name}[]", signature.interface.parameters, trace)
            token = current.set(inner)
            try:
                result = over(**{p.name: inner.input(index) for index, p in enumerate(signature.interface.parameters)})
            finally:
                current.reset(token)
            number = inner.finish([("result", signature.interface.result, result, self.name)], user_line())
            return number, True, inner.captures
        return session.callee(over), False, []

    def _check_lists(self, values: list[Any], mapped: tuple[int, ...]) -> None:
        names = [p.name for p in self._one.interface.parameters]
        if not mapped:
            raise MapError(
                f"{self.name}.map() was given nothing to map over",
                way_out="give it at least one list; call the task itself for one call",
            )
        lengths: dict[str, int] = {}
        for index in mapped:
            value, name = values[index], names[index]
            if isinstance(value, flatten):
                check_flat(self.name, name, value.value, lengths)
            elif isinstance(value, Promise):
                type = value._promissory_type
                if not isinstance(type, ListType):
                    raise MapError(
                        f"{self.name}.map({name}=…) wants a list, and {value._said()} is {type}",
                        way_out=list_instead(name, type),
                    )
            elif not isinstance(value, LISTS):
                refuse_unlisted(self.name, name, value)
            else:
                lengths[name] = len(value)
        if len(set(lengths.values())) > 1 and not self.shortest:
            said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            way_out = 'give lists of one length, unmapped(…) for what is no list of items, or zip="shortest"'
            raise MapError(f"{self.name}.map() was given lists of different lengths: {said}", way_out=way_out)

    # --- outside a trace ---

    def _here(self, args: tuple[Any, ...], kwargs: dict[str, Any], in_task: bool) -> list[Any]:
        if in_task and not (isinstance(self.over, Entity) and self.over.kind == "task"):
            raise NestedCallError(
                f"a task's body maps over {self.name}, which is no task",
                where=user_line(),
                way_out="make the caller @dynamic, and return the promise",
            )
        try:
            values = self._values(args, kwargs)
            mapped = [
                index for index, value in enumerate(values) if value is not MISSING and not isinstance(value, unmapped)
            ]
            self._check_lists(values, tuple(mapped))
        except CompileError as error:
            error.where = error.where or user_line()
            raise
        names = [p.name for p in self._one.interface.parameters]
        values = [list(chain.from_iterable(value.value)) if isinstance(value, flatten) else value for value in values]
        found = []
        for item in range(min(len(values[index]) for index in mapped)):
            given = {
                name: value.value if isinstance(value, unmapped) else value[item]
                for name, value in zip(names, values, strict=True)
                if value is not MISSING
            }
            found.append(self._call_one(given))
        failed = [one for one in found if isinstance(one, _Failed)]
        if failed and len(found) - len(failed) < self.ratio * len(found) - _CLOSE:
            raise failed[0].error
        return [None if isinstance(one, _Failed) else one for one in found]

    def _call_one(self, given: dict[str, Any]) -> Any:
        """Make one call outside a trace, with its inputs by name.

        Keep its failure if the map may do without the item.
        """
        parameters = self._one.interface.parameters
        args = [given.pop(p.name) for p in parameters if p.kind == "positional" and p.name in given]
        if self.ratio >= 1:
            return self.over(*args, **given)
        try:
            return self.over(*args, **given)
        # An item fails with any exception that its call raises.
        except Exception as error:
            return _Failed(error)


@overload
def map_task(f: Callable[..., R], concurrency: int | None = None, *, zip: str = "equal") -> MapFunction[R]: ...
@overload
def map_task(
    f: Callable[..., R], concurrency: int | None = None, min_success_ratio: float = 1.0, zip: str = "equal"
) -> MapFunction[R | None]: ...
def map_task(
    f: Callable[..., R], concurrency: int | None = None, min_success_ratio: float = 1.0, zip: str = "equal"
) -> MapFunction[Any]:
    """Call a task, workflow or dynamic once for each item of the lists that the result is given.

    Args:
        f: the task, workflow or dynamic; with `functools.partial` for inputs that every call gets.
        concurrency: how many items may be under way at one time.
        min_success_ratio: the part of the items, from 0 to 1, that has to succeed. Below 1 a failed item is `None` in
            the result.
        zip: "equal", so that lists of different lengths are an error, or "shortest", so that the items end with the
            shortest list.

    Returns:
        A function of lists: `map_task(f)(x=xs, y=ys)`. It gives the results in the order of the items; an empty list
        gives `[]`.

    Raises:
        MapError: `f` can't be mapped, or a setting is out of range.

    >>> from promissory import map_task, task, workflow
    >>> @task
    ... def square(x: int) -> int:
    ...     return x * x
    >>> @workflow
    ... def squares(xs: list[int]) -> list[int]:
    ...     return map_task(square)(x=xs)
    >>> squares([1, 2, 3]), len(squares.compile())
    ([1, 4, 9], 1)
    """
    over, fixed = (f.func, (f.args, dict(f.keywords))) if isinstance(f, partial) else (f, ((), {}))
    if not isinstance(over, Entity | HasGraph | MapFunction):
        raise MapError(
            f"{f!r} can't be mapped: a run can't call it",
            where=user_line(),
            way_out="decorate it with @task, @dynamic or @workflow",
        )
    try:
        check_concurrency(concurrency)
        check_ratio(min_success_ratio)
        if zip not in ("equal", "shortest"):
            raise ValueError(f'zip is "equal" or "shortest", not {zip!r}')
    except ValueError as error:
        refusal = MapError(str(error), where=user_line(), way_out="leave it out for the default")
        trace = current.get()
        if isinstance(trace, Trace):
            # This problem is reported together with all others of the compile.
            trace.problem(refusal)
            return MapFunction(over, fixed)
        raise refusal from None
    return MapFunction(over, fixed, concurrency, float(min_success_ratio), zip == "shortest")
