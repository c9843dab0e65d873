"""Simulations: a plan is walked with declared outcomes instead of bodies. They test control flow, in milliseconds.

Everything but the bodies is real: the scheduler, triggers and failures, retries, the conditions of branches, the
cutting of maps. The outcomes of bodies are declared beforehand, and the simulation has a time of its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from promissory.executor.clock import since_boot
from promissory.executor.code.resolver import Refused
from promissory.executor.engines.engine import OVERLAPPING
from promissory.executor.execution.early_outputs import early_outputs
from promissory.executor.execution.materialize import batch_of
from promissory.executor.execution.outcomes import apply
from promissory.executor.execution.prepare import Target, encode_inputs
from promissory.executor.protocol.events import tree_of, value_of
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import Limits
from promissory.executor.protocol.messages import FAILURE, LOOP, SKIP, VALUE
from promissory.executor.scheduler.calls import Call
from promissory.executor.scheduler.capacity import Capacity
from promissory.executor.scheduler.consequences import settle
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.standing import standing
from promissory.executor.store.store import Store
from promissory.executor.testing.declared import Asks, Declarations, SimulationError, refuse_unknown
from promissory.executor.worker.joints import carry_out
from promissory.executor.worker.outcome import LOOPED, RETURNED, SKIPPED, Concluded, Raw, conclude
from promissory.executor.worker.worker import Worker
from promissory.planner import compile as compile_plan
from promissory.planner.body.context import Context
from promissory.planner.body.signals import Loop, Retry, Skip
from promissory.planner.errors import SignalError
from promissory.planner.functions.registry import recall
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.model import Callee
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.shape_format import callee_from_bytes
from promissory.typesys.buffer import Pending
from promissory.typesys.canonical import unpack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.types import ANY
from promissory.typesys.wire import codec_for

_ANY: Final = codec_for(ANY)


@dataclass(frozen=True)
class Step:
    """A body that would have run: its beginning and end (in seconds of the simulation), its path, and its outcome."""

    begin: float
    end: float
    path: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.begin:g}-{self.end:g} {self.path}: {self.outcome}"


@dataclass
class Simulation:
    """The result of a simulation.

    Attributes:
        state: the state in which the run would have ended (rule X8).
        reason: the reason of that state.
        result: the result that the run would have had; None if it had none.
        trace: the bodies in the order in which they began.
        seconds: how long the run would have taken.
    """

    state: str
    reason: str
    result: Any
    trace: list[Step] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def paths(self) -> list[str]:
        """The bodies in the order in which they began, by path."""
        return [step.path for step in self.trace]

    def __str__(self) -> str:
        return "\n".join(
            [*map(str, self.trace), f"{self.seconds:g} {self.state}{f': {self.reason}' if self.reason else ''}"]
        )


def simulate(
    target: Target,
    outcomes: Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None,
    *,
    parallel: int = 1,
    max_depth: int = 100,
) -> Simulation:
    """Walk a plan without running any body.

    Args:
        target: a workflow, dynamic, task or plan.
        outcomes: the outcome of each node, by its path (`main/fetch`, one item `main/score[3]`, one iteration
            `main/fib[=2]`), by its own name or by that of the function that it calls; the most precise one counts. An
            outcome is a value; an exception, which is a failed attempt; `Loop(…)`, `Skip(…)`, `Retry(…)`; `Asks(lambda
            ctx: …, outcome)` for requests of a body; `Takes(seconds, outcome)`; `InTurn(first, second, …)`, whose last
            outcome repeats. The outcome of a gate is the answer. A dynamic is declared like a task: its body isn't run
            either. The rounds of a cycle are traced, and their tasks are declared; so is an async dynamic whose own
            outcome is not declared.
        inputs: the inputs of the workflow.
        parallel: how many bodies run at one time.
        max_depth: how deep dynamics may nest.

    Raises:
        SimulationError: a node comes up whose outcome is not declared, or could not be its outcome; a declaration fits
            no node; a gate waits for ever.
        InputError: the inputs don't fit.

    >>> from promissory import task, workflow
    >>> from promissory.testing import InTurn, Takes
    >>> @task(retries=2, retry_delay=60)
    ... def fetch(url: str) -> bytes:
    ...     raise NotImplementedError
    >>> @task
    ... def size(data: bytes) -> int:
    ...     raise NotImplementedError
    >>> @workflow
    ... def measure(url: str) -> int:
    ...     return size(fetch(url))
    >>> print(simulate(measure, {"fetch": InTurn(OSError("busy"), Takes(5, b"...")), "size": 3}, {"url": "a"}))
    0-0 main/fetch: OSError: busy
    60-65 main/fetch: b'...'
    65-65 main/size: 3
    65 SUCCEEDED
    """
    return _Walk(target, outcomes, inputs or {}, parallel, max_depth).to_its_end()


class _Walk:
    def __init__(
        self, target: Target, outcomes: Mapping[str, Any], inputs: Mapping[str, Any], parallel: int, max_depth: int
    ) -> None:
        if parallel.__class__ is not int or parallel < 1:
            raise ValueError(f"parallel is a number of bodies of at least 1, not {parallel!r}")
        if not isinstance(outcomes, Mapping) or not all(isinstance(name, str) for name in outcomes):
            raise TypeError("outcomes is a dict whose keys are paths or names of nodes or tasks, as text")
        plan = target if isinstance(target, Plan) else compile_plan(target)
        self._plan = plan
        refuse_unknown(plan, outcomes)
        self._declared = Declarations(outcomes)
        self._parallel = parallel
        self._store, _ = Store.carried()
        self._worker = Worker(self._store, "simulated", "simulated", 0, _Silent())
        self._trace: list[Step] = []
        self._due: list[tuple[float, int, Any]] = []
        self._count = 0
        self._answered: set[tuple[int, int]] = set()
        self.now = 0.0
        self._store.put_literals(plan)
        large = Pending()
        encoded = encode_inputs(plan, target, inputs, large)
        for buffer in large.buffers:
            self._store.keep(buffer)
        self._scheduler = Scheduler(Limits(max_depth=max_depth), Capacity(parallel, 1 << 62, 1 << 30), b"simulated")
        self._scheduler.open_root(plan, tuple(self._store.put_value(encoded[p.name]) for p in plan.inputs))

    def to_its_end(self) -> Simulation:
        scheduler = self._scheduler
        while not self._is_over():
            scheduler.wake(self.now)
            for call in scheduler.take(self._parallel - scheduler.places_in_use, self.now, self.now):
                self._begin(call)
            for call in scheduler.take_overlapping(OVERLAPPING * self._parallel, self.now, self.now):
                self._begin(call)
            self._let_go()
            self._answer_gates()
            if self._is_over():
                break
            moments = [self._due[0][0]] if self._due else []
            if scheduler.next_due is not None:
                moments.append(scheduler.next_due)
            if not moments:
                self._refuse_to_wait()
                break
            self.now = max(self.now, min(moments))
            while self._due and self._due[0][0] <= self.now:
                self._happens(heapq.heappop(self._due)[2])
        return self._ending()

    def _is_over(self) -> bool:
        if self._scheduler.failing:
            settle(self._scheduler)
        return self._scheduler.ended

    def _let_go(self) -> None:
        """Go on with nodes that wait for their commit: nothing is committed here."""
        scheduler = self._scheduler
        scheduler.log.clear()
        scheduler.settled.clear()
        scheduler.ended_frames.clear()
        for key in list(scheduler.holding):
            scheduler.committed(*key)

    def _later(self, delay: float, what: Any) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now + delay, self._count, what))

    def _happens(self, what: Any) -> None:
        if isinstance(what, tuple):
            waiting, data = what
            self._scheduler.answered(waiting, data)
        else:
            apply(self._scheduler, what, self.now, self.now)
        self._let_go()

    # --- bodies ---

    def _begin(self, call: Call) -> None:
        batch = unpack(batch_of([call], channel=self._scheduler.channel).data, "a batch")
        if call.round is not None or (call.wake is not None and self._is_walked(call, batch)):
            traced: list[list[Any]] = []
            self._worker.run(batch, traced, since_boot())
            self._later(0.0, traced[0])
            return
        definitions, [invocation], _, shared, channel = batch
        number, frame, index, arguments, path, place, depth, attempt, _, _ = invocation
        self._worker.share(shared, channel)
        if number < 0:
            try:
                status, payload = carry_out(self._worker.values, number, arguments)
            except Refused as refusal:
                status, payload = FAILURE, Failure.of_executor(refusal.kind, str(refusal)).to_tree()
            self._later(0.0, [frame, index, status, payload, 0, 0, "simulated", attempt, None, None, None])
            return
        callee = callee_from_bytes(definitions[number])
        entity = recall(callee)
        try:
            if entity is not None:
                self._worker.values.arguments_of(entity, arguments)
        except Refused as refusal:
            failure = Failure.of_executor(refusal.kind, str(refusal))
            self._later(0.0, [frame, index, FAILURE, failure.to_tree(), 0, 0, "simulated", attempt, None, None, None])
            return
        delay, outcome = self._declared.outcome_of(path, callee.short_name)
        if isinstance(outcome, Loop) and self._declared.is_endless(path, callee.short_name, call):
            raise SimulationError(
                f"{path} loops for ever: the outcome that is declared last for it is Loop(…). "
                "Declare InTurn(Loop(…), …, a value), or max_iterations of the task"
            )
        asked = None
        if isinstance(outcome, Asks):
            status, payload, asked = self._asked(
                call, outcome, callee, path, attempt, FuturesHeader(place[0], place[1], depth)
            )
            outcome = outcome.outcome
        else:
            status, payload = self._encoded(path, outcome, callee.interface.result)
        if call.timeout is not None and delay > call.timeout:
            late = Failure.of_executor(
                "TaskTimeout", f"its body was stopped after {call.timeout:g} s, which is its time-out"
            )
            delay, outcome, status, payload, asked = (
                call.timeout,
                "stopped by its time-out",
                FAILURE,
                late.to_tree(),
                None,
            )
        self._trace.append(Step(self.now, self.now + delay, path, _said(outcome)))
        self._later(delay, [frame, index, status, payload, 0, 0, "simulated", attempt, None, None, asked])

    def _is_walked(self, call: Call, batch: list[Any]) -> bool:
        """Whether the body of an async dynamic is run, since no outcome is declared for it."""
        definitions, [invocation], *_ = batch
        callee = callee_from_bytes(definitions[invocation[0]])
        return call.wake.number > 0 or self._declared.name_for(invocation[4], callee.short_name) is None

    def _asked(
        self, call: Call, outcome: Asks, callee: Callee, path: str, attempt: int, header: FuturesHeader
    ) -> Concluded:
        entity = recall(callee)
        if entity is None:
            raise SimulationError(
                f"what {path} asks can't be told: its task is not known here. "
                "Simulate the workflow itself, not a plan from a file"
            )
        payload = None if call.payload is None else self._store.get_value(call.payload)
        context = Context(
            run_id="simulated",
            path=path,
            attempt=attempt,
            loop_index=call.iteration,
            loop_result=payload,
            max_iterations=callee.policy.max_iterations,
            channel=self._scheduler.channel,
            in_run=True,
        )
        outcome.ask(context)
        given = outcome.outcome
        if isinstance(given, Loop):
            raw = Raw(LOOPED, given.result, given)
        elif isinstance(given, Skip):
            raw = Raw(SKIPPED, given.reason, given)
        elif isinstance(given, BaseException):
            return FAILURE, Failure.of_exception(given).to_tree(), None
        else:
            raw = Raw(RETURNED, given)
        try:
            return conclude(self._worker, entity, raw, context.requests, header)
        except Refused as refusal:
            self._encoded(path, given, callee.interface.result)
            raise SimulationError(f"the outcome of {path} is none that it could have: {refusal}") from None
        except SignalError as error:
            return FAILURE, Failure.of_exception(error).to_tree(), None

    def _encoded(self, path: str, outcome: Any, type: Any) -> tuple[int, Any]:
        if isinstance(outcome, Loop):
            return LOOP, tree_of(self._store.put_value(_ANY.encode(outcome.result)))
        if isinstance(outcome, Skip):
            return SKIP, str(outcome.reason)
        if isinstance(outcome, BaseException):
            return FAILURE, Failure.of_exception(outcome).to_tree()
        try:
            return VALUE, tree_of(self._store.put_value(codec_for(type).encode(outcome, self._store)))
        except TypeMismatch as mismatch:
            raise SimulationError(
                f"the outcome of {path} is none that it could have: {mismatch.at('outcome')}"
            ) from None

    # --- gates ---

    def _answer_gates(self) -> None:
        for key, waiting in list(self._scheduler.waiting.items()):
            if (
                waiting.wants is None
                or key in self._answered
                or self._declared.name_for(waiting.path, waiting.spec.name) is None
            ):
                continue
            self._answered.add(key)
            delay, answer = self._declared.outcome_of(waiting.path, waiting.spec.name)
            try:
                data = codec_for(waiting.wants).encode(answer)
            except TypeMismatch as mismatch:
                raise SimulationError(
                    f"the answer to {waiting.path} is none that it could have: {mismatch.at('answer')}"
                ) from None
            self._later(delay, (waiting, data))

    def _refuse_to_wait(self) -> None:
        waiting = [one for one in self._scheduler.waiting.values() if one.wants is not None]
        if waiting:
            raise SimulationError(
                f"{waiting[0].path} waits for an answer, and none is declared: "
                f"give outcomes={{{waiting[0].spec.name!r}: …}}"
            )

    # --- the end ---

    def _ending(self) -> Simulation:
        scheduler = self._scheduler
        ended, outputs = standing(scheduler), scheduler.outputs
        if ended is None:
            raise SimulationError("nothing is left that could happen, and the run has not ended")
        state, reason = ended
        if state == "TERMINATED":
            outputs = tuple(
                None if tree is None else value_of(tree) for tree in early_outputs(self._store, scheduler)[0]
            )
        found = {
            output.name: codec_for(output.type).decode(self._store.get_value(value), self._store)
            for output, value in zip(self._plan.outputs, outputs or (), strict=False)
            if value is not None
        }
        result = next(iter(found.values()), None) if len(self._plan.outputs) == 1 else found or None
        return Simulation(state, reason, result, self._trace, self.now)


class _Silent:
    """Takes no output."""

    def begin(self, path: str) -> None:
        return

    def end(self) -> None:
        return


def _said(outcome: Any) -> str:
    for kind, what in ((Loop, "result"), (Skip, "reason"), (Retry, "message")):
        if isinstance(outcome, kind):
            return f"{kind.__name__}({getattr(outcome, what)!r})"
    if isinstance(outcome, BaseException):
        return f"{type(outcome).__name__}: {outcome}"
    return repr(outcome)
