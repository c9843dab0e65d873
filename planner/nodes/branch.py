"""`conditional`: a choice that the run makes, as data in the plan (rule B1).

`.if_`, `.elif_` and `.else_` open an arm, to which the calls up to the next `.then` or `.fail` belong.
`promissory.planner.nodes.choice` turns the arms into graphs and a node.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from promissory.planner.active import current
from promissory.planner.errors import BranchError, PromiseError, user_line
from promissory.planner.nodes.choice import ELSE, FINISH, UNSAID, Choice
from promissory.planner.tracing.promise import MARKER, Promise
from promissory.planner.tracing.statement import Statement
from promissory.planner.tracing.trace import Trace
from promissory.typesys.types import Type

T = TypeVar("T")


class conditional:
    """Begin a choice: `conditional("size").if_(n > 10).then(big(n)).else_().then(small(n))`.

    Args:
        name: the node's name, for people.

    The calls between `.if_(…)` and the next `.then(…)` belong to the arm, and run only if the arm is chosen. Calls made
    before `.if_(…)` run in any case. An arm gives a promise, an input, a value of Python, or fails
    (`.else_().fail("…")`). Without `.else_()` the result may be `None`. Comparisons of promises are data: no code of
    yours runs to decide.

    Raises:
        BranchError: an arm is left open, the arms give different types, or a condition is none.

    >>> from promissory import task, workflow
    >>> @task
    ... def half(n: int) -> int:
    ...     return n // 2
    >>> @task
    ... def triple(n: int) -> int:
    ...     return 3 * n + 1
    >>> @workflow
    ... def step(n: int, odd: bool) -> int:
    ...     return conditional("parity").if_(~odd).then(half(n)).else_().then(triple(n))
    >>> step(10, False), step(3, True)
    (5, 10)
    """

    def __init__(self, name: str) -> None:
        trace = current.get()
        if not isinstance(trace, Trace):
            raise PromiseError(
                "conditional() is for workflows, and none is being traced",
                where=user_line(),
                way_out="use `if`: the values are there",
            )
        self._choice = Choice(trace, name)

    def if_(self, condition: Any) -> OpenArm:
        """Open the first arm. The calls up to `.then` belong to it.

        Args:
            condition: a comparison of promises (`p > 3`, `p.is_true()`, joined by `&`, `|`, `~`).
        """
        return OpenArm(self._choice, condition)


class OpenArm:
    """An open arm, which `.then(…)` or `.fail(…)` closes."""

    def __init__(self, choice: Choice, condition: Any) -> None:
        self._choice = choice
        self._arm = arm = choice.begin(condition)
        self._statement: Statement | None = Statement()
        arm.trace.open_arm = self
        choice.trace.arms_open.append(self)
        current.set(arm.trace)

    def then(self, value: Any) -> Any:
        """Close the arm with its value: a promise, an input, a literal."""
        self._close()
        if not isinstance(value, Promise) and (callable(value) or isinstance(value, OpenArm)):
            name = getattr(value, "__name__", type(value).__name__)
            self._choice.refuse(
                f"an arm of {self._choice.name!r} is given {name}, not what a call of it gives",
                user_line(),
                f"call it: .then({name}(…))",
            )
        self._arm.value = value
        return Chosen(self._choice, *self._choice.close(self._arm))

    def fail(self, message: str) -> Any:
        """Close the arm. If the arm is chosen, the branch fails with this message."""
        self._close()
        if not isinstance(message, str) or MARKER in message:
            self._choice.refuse(
                f".fail(…) of {self._choice.name!r} takes a text that is known before the run",
                user_line(),
                "fail in a task to say more",
            )
        self._arm.fails, self._arm.message = True, message
        return Chosen(self._choice, *self._choice.close(self._arm))

    def _close(self) -> None:
        if self._arm.value is not UNSAID or self._arm.fails:
            self._choice.refuse(f"an arm of {self._choice.name!r} is closed twice", user_line(), FINISH)
        if current.get() is not self._arm.trace:
            self._choice.refuse(f"an arm of {self._choice.name!r} is closed while another is open", user_line(), FINISH)
        self._statement = None

    def must_be_closed(self) -> None:
        """Raise `BranchError` if a call is made outside the statement that opened the arm."""
        if self._statement is None or self._statement.is_running():
            return
        current.set(self._choice.trace)
        error = self.not_closed()
        self._choice.trace.fatal.append(error)
        raise error

    def not_closed(self) -> BranchError:
        """Make the error of an arm that is left open."""
        return self._choice.not_closed(self._arm)


class Chosen(Promise[T]):
    """The result of a choice that may get more arms. Without `.else_()` it may be None."""

    __slots__ = ("_promissory_choice",)

    def __init__(self, choice: Choice, type: Type, node: int) -> None:
        super().__init__(choice.trace, type, node)
        object.__setattr__(self, "_promissory_choice", choice)

    def elif_(self, condition: Any) -> OpenArm:
        """Open another arm."""
        return OpenArm(self._promissory_choice, condition)

    def else_(self) -> OpenArm:
        """Open the last arm, for all other cases."""
        return OpenArm(self._promissory_choice, ELSE)

    def then(self, value: Any) -> NoReturn:
        """Raise `BranchError`: no arm is open that could be closed."""
        raise self._promissory_choice.misplaced(".then(…) closes an arm, and none is open")

    def if_(self, condition: Any) -> NoReturn:
        """Raise `BranchError`: there is a first arm already."""
        raise self._promissory_choice.misplaced(".if_(…) opens the first arm, and there is one")
