"""Gates of a plain call: the person at the terminal is asked, since no other process can reach the run (rule A2)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Final

from promissory.executor.errors import NobodyToAsk
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.waiting import Waiting
from promissory.executor.store.store import Store
from promissory.executor.worker.streams import echo
from promissory.planner.plan.model import Value
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.errors import ParseError
from promissory.typesys.parse import parse_text

Asks = Callable[[Scheduler, bool], bool]
"""Answers one gate that waits, if one does. It is told whether no body runs. Returns whether it answered."""

_LONGEST: Final = 500


def asks_on_terminal(store: Store) -> Asks:
    """A function that asks on the terminal for the answers that gates wait for.

    It raises `NobodyToAsk` at once where there is no terminal. With one, it asks when no body runs, so that what bodies
    print does not get between question and answer.
    """

    def ask(scheduler: Scheduler, is_idle: bool) -> bool:
        waiting = next((one for one in scheduler.waiting.values() if one.wants is not None), None)
        if waiting is None:
            return False
        if not _has_terminal():
            raise NobodyToAsk(
                f"{waiting.path} waits for an answer ({waiting.wants}), and a plain call can ask for it on a terminal "
                "only. Run it, and answer from anywhere: promissory.run(…), then promissory answer "
                f"RUN {waiting.spec.name} VALUE"
            )
        if not is_idle:
            return False
        scheduler.answered(waiting, _asked(store, waiting), "the terminal")
        return True

    return ask


def _has_terminal() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # the program closed the stream
        return False


def _asked(store: Store, waiting: Waiting) -> Value:
    assert waiting.wants is not None
    while True:
        echo(f"{_question(store, waiting)} ")
        line = sys.stdin.readline()
        if not line:
            raise NobodyToAsk(f"{waiting.path} waits for an answer ({waiting.wants}), and the terminal was closed")
        try:
            return store.put_value(pack(parse_text(line.rstrip("\r\n"), waiting.wants), store))
        except ParseError as error:
            echo(f"{error}\n")


def _question(store: Store, waiting: Waiting) -> str:
    if waiting.spec.what == "input":
        return f"{waiting.path} ({waiting.wants}):"
    given = waiting.frame.value(waiting.frame.topology.plan_inputs[waiting.node][0])
    said = json.dumps(to_json(unpack(store.get_value(given), parts=store), waiting.spec.result), ensure_ascii=False)
    return f"{waiting.path}: {said if len(said) <= _LONGEST else f'{said[:_LONGEST]}…'}\nMay it go on (yes or no)?"
