"""Answers to gates from outside their runs (rule G1): the gate is found in the committed journal, the answer is checked
and sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from promissory.executor.errors import GateNotFound, RunIsNotLive
from promissory.executor.history.at_a_glance import Gate, gates_of
from promissory.executor.history.summary import ENDED_WELL, GOES_ON, is_being_taken
from promissory.executor.records.heartbeat import await_first_beat, read_beat
from promissory.executor.records.inbox import raise_refusal, send, waiting
from promissory.executor.store.store import Store
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.wire import codec_for

_LOOK: Final = 0.05
_SOON: Final = 5.0
"""Seconds that a run that goes on has to reach the gate that was asked for."""


def answer(store: Store, run_id: str, name: str, value: Any, patience: float = 30.0) -> bool:
    """Give a gate its answer. Returns whether an executor has taken it; if no executor works on the run, the next one
    takes it.

    Raises the errors of `Run.answer`.
    """

    def encode(gate: Gate) -> bytes:
        try:
            return codec_for(gate.wants).encode(value)
        except TypeMismatch as mismatch:
            raise TypeError(f"{gate.path} wants {gate.wants}: {mismatch.at('the answer')}") from None

    return send_answer(store, run_id, name, encode, patience)


def send_answer(store: Store, run_id: str, name: str, encode: Callable[[Gate], bytes], patience: float = 30.0) -> bool:
    """As `answer`, with the answer as bytes, which may depend on the type that the gate wants."""
    gate = _find(store, run_id, name)
    key = send(store, run_id, "answer", gate=_exact(gate), value=encode(gate))
    given_up = time.monotonic() + patience
    while store.exists(key):
        beat = read_beat(store, run_id)
        if (beat is None or not beat.is_live(store, run_id)) and not is_being_taken(store, run_id):
            return False
        if time.monotonic() > given_up:
            store.remove(key)
            raise TimeoutError(
                f"the executor of run {run_id} has not looked for {patience:g} s: a body keeps it busy. "
                "The answer is withdrawn"
            )
        time.sleep(_LOOK)
    raise_refusal(store, key)
    return True


def _refuse_a_second(store: Store, run_id: str, gate: Gate) -> None:
    if any(command.gate == _exact(gate) for _, command in waiting(store, run_id)):
        raise GateNotFound(f"{gate.path} of run {run_id} has an answer already, which is still to be taken")


def _exact(gate: Gate) -> str:
    """The gate's path, with its frame and index, by which its executor knows it."""
    frame, index = gate.key
    return gate.path if gate.path.endswith(f"#{frame}.{index}") else f"{gate.path}#{frame}.{index}"


def _find(store: Store, run_id: str, name: str) -> Gate:
    await_first_beat(store, run_id)
    given_up = time.monotonic() + _SOON
    while True:
        state, gates = gates_of(store, run_id)
        if state in ENDED_WELL:
            raise RunIsNotLive(f"run {run_id} has ended: {state}")
        found = [gate for gate in gates if gate.path == name] or [gate for gate in gates if gate.name == name]
        if len(found) == 1:
            _refuse_a_second(store, run_id, found[0])
            return found[0]
        if len(found) > 1:
            raise GateNotFound(
                f"{len(found)} gates of run {run_id} are called {name}: say which by its path: "
                f"{', '.join(gate.path for gate in found[:10])}"
            )
        if state not in GOES_ON or time.monotonic() > given_up:
            said = ", ".join(f"{gate.path} ({gate.wants})" for gate in gates[:10])
            raise GateNotFound(
                f"no gate {name!r} of run {run_id} waits for an answer; {f'there is: {said}' if said else 'none does'}"
            )
        time.sleep(_LOOK)
