"""A worker process, forked by its guard (`promissory.executor.engines.processes.guard`).

A worker process never imports the program that started the run as `__main__`. It serves one run after the other, and
its guard ends it when the executor does, even while a body holds the interpreter's lock.
"""

from __future__ import annotations

import faulthandler
import logging
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

from promissory.executor.code import import_guard as loading
from promissory.executor.code.importer import ModuleFinder, ScriptFinder, UserFinder
from promissory.executor.engines.processes.context_variables import ContextVariables
from promissory.executor.engines.processes.end_signals import outlive_end_signals
from promissory.executor.engines.processes.guard import LETS_GO
from promissory.executor.engines.processes.left_behind import STARTS_A_PROCESS, LeftBehind
from promissory.executor.engines.processes.messages import (
    AT_ONCE,
    BEGUN,
    CLOSE,
    GIVEN,
    KEPT,
    LEAVING,
    OPEN,
    OPENED,
    OUTCOME,
    RUN,
    SAID,
    STALE,
    STOPPED,
    Opening,
    receive,
    say,
)
from promissory.executor.engines.processes.output import Output
from promissory.executor.engines.processes.settings import Settings
from promissory.executor.engines.processes.stale_modules import are_current
from promissory.executor.engines.processes.surroundings import (
    Surroundings,
    set_environment,
    standard_streams,
)
from promissory.executor.errors import StoreError
from promissory.executor.protocol.messages import FAILURE
from promissory.executor.store.backend import is_asking
from promissory.executor.store.keys import log_key
from promissory.executor.store.store import Store
from promissory.executor.worker.log_records import RecordTap
from promissory.executor.worker.worker import Worker
from promissory.planner.body.threads import inherit_context
from promissory.planner.functions import registry
from promissory.typesys.canonical import unpack
from promissory.typesys.ledger import ADDRESS, LEDGER
from promissory.typesys.scratch import use_place

if TYPE_CHECKING:
    from promissory.executor.worker.lane import Lane


class Server:
    """Serves the runs of one executor.

    Args:
        messages: the socket from which messages come.
        pipe: the descriptor to which answers go.
        flag: one byte of memory that says whether the run is to end.
    """

    def __init__(self, messages: socket.socket, pipe: int, flag: mmap.mmap) -> None:
        self._messages = messages
        self._pipe = pipe
        self._flag = flag
        self._lock = threading.Lock()
        self._runs = 0
        self._logging: list[Any] | None = None
        self._leaves = self._lets_go = False
        self._come_at_once = False
        self._worker: Worker | None = None
        self._output: Output | None = None
        self._lane: Lane | None = None
        RecordTap(self._listening).install()
        inherit_context()
        self._around = Surroundings()
        self._own = Surroundings()
        self._settings = Settings()
        self._settings.watch()
        self._variables = ContextVariables()
        self._left = LeftBehind()
        self._kept: list[int] | None = None
        self._path: list[str] = []
        self._finders: list[ScriptFinder | UserFinder | ModuleFinder] = []

    def serve(self) -> None:
        """Serve messages until the executor closes its end of the socket."""
        while True:
            message = self._next()
            if message is None:
                return
            kind, content = message
            if kind == RUN:
                if self._lane is not None:
                    number, sure = GIVEN.unpack_from(content)
                    self._lane.submit(number, unpack(content[GIVEN.size :], "a batch"), sure)
                elif not self._run(content[GIVEN.size :], GIVEN.unpack_from(content)[1]):
                    if self._lets_go:
                        os._exit(0)  # at an ordinary end `multiprocessing` ends children, or waits for them
                    self._end_what_is_left()
                    return
            elif kind == OPEN:
                if not self._open(Opening(*unpack(content, "an opening"))):
                    self._say(STALE, None)
                    return
            elif kind == CLOSE:
                self._close()

    def _next(self) -> tuple[bytes, bytes] | None:
        """The next message. If the last one came at once, this process looks for the next a moment before it sleeps."""
        begun = time.perf_counter()
        if self._come_at_once:
            while time.perf_counter() - begun < AT_ONCE:
                try:
                    return receive(self._messages, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue
        message = receive(self._messages)
        self._come_at_once = time.perf_counter() - begun < AT_ONCE
        return message

    def _say(self, kind: int, content: Any) -> None:
        with self._lock:
            say(self._pipe, kind, content)

    # --- a run ---

    def _open(self, opening: Opening) -> bool:
        """Get ready for a run; False if this worker's modules are not those that the run would import."""
        wanted = [*opening.modules, *([opening.script] if opening.script else [])]
        if not are_current(opening.path, self._path, wanted):
            return False
        self._runs += 1
        registry.forget()
        self._path = list(opening.path)
        os.chdir(opening.folder or "/")
        set_environment({**opening.environment, ADDRESS.encode(): LEDGER.address().encode()})
        sys.path[:] = opening.path
        sys.argv[:] = opening.arguments
        self._find_code(opening.script, opening.modules)
        self._logging = opening.logging
        if opening.lane:
            self._open_lane(opening)
            return True
        carried = None
        if opening.store is None:
            store, carried = Store.carried()
            carried.send = lambda key, data: self._say(KEPT, [key, data])
        else:
            store = Store(opening.store)
        os.ftruncate(1, 0)  # output between runs belongs to no task
        echo = (lambda text, told: self._say(SAID, [text, told])) if opening.echo else None
        self._output = Output(
            store, log_key(opening.run_id, opening.worker), opening.log_level, echo, opening.echo == "paths"
        )
        self._worker = Worker(
            store,
            opening.run_id,
            opening.worker,
            opening.created,
            self._output,
            epoch=opening.epoch,
            bundle=opening.bundle,
            is_ending=lambda: self._flag[0] != 0,
            carried=carried,
            remote=True,
            before_body=self._before_body,
            after_body=self._after_body,
        )
        self._around.note()
        self._settings.note()
        self._say(OPENED, None)
        return True

    def _open_lane(self, opening: Opening) -> None:
        """Get ready to run async bodies side by side. They share their surroundings, which nobody puts back."""
        if self._logging is not None:
            _set_up_logging(*self._logging)
            self._logging = None
        # Only workers with async bodies need an event loop, whose import is slow.
        from promissory.executor.engines.processes.lane_of_worker import lane_of

        loading.worker.in_body = True
        self._lane = lane_of(opening, self._say, lambda: self._flag[0] != 0)
        self._say(OPENED, None)

    def _find_code(self, script: list[str] | None, modules: list[list[str]]) -> None:
        for finder in self._finders:
            sys.meta_path.remove(finder)
        python_finds = sys.meta_path.index(PathFinder)
        program = [] if script is None else [ScriptFinder(*script)]
        others = ModuleFinder({pair[0]: pair[1] for pair in modules})
        self._finders = [*program, UserFinder(), others]
        sys.meta_path[python_finds:python_finds] = self._finders[:-1]
        sys.meta_path.append(others)

    def _close(self) -> None:
        self._worker = None
        if self._output is not None:
            self._output.close()
        self._end_what_is_left()
        self._own.restore()

    def _end_what_is_left(self) -> None:
        """End this worker if bodies left processes, which its guard then ends too."""
        if self._left.there_are_some():
            os.kill(os.getpid(), signal.SIGKILL)

    # --- bodies ---

    def _listening(self) -> Output | None:
        output = self._output
        return output if output is not None and output.is_speaking and not is_asking.get() else None

    def _before_body(self, timeout: float | None, loaded: bool, keeps: bool) -> None:
        assert self._output is not None
        self._output.speak(loaded)
        if loaded or self._logging is not None:
            self._note()
        self._kept = self._left.running() if keeps else None
        if timeout is not None:
            self._say(BEGUN, None)
        loading.worker.in_body = True
        self._settings.body_begins()

    def _note(self) -> None:
        """Remember the state of the process, which code that was loaded just now may have changed for good."""
        if self._logging is not None:
            _set_up_logging(*self._logging)
            self._logging = None
        self._around.note()
        self._settings.note()
        self._variables.note()

    def _after_body(self) -> None:
        """Put limits and descriptors back before anything is written, because a body's changes to them would hinder
        that."""
        loading.worker.in_body = False
        assert self._worker is not None and self._worker.now is not None
        took = time.time_ns() // 1000 - self._worker.now[2]
        spoilt = self._settings.body_is_over(took)
        self._leaves = self._around.restore_descriptors() or spoilt or self._leaves
        if (took >= STARTS_A_PROCESS or took < 0) and self._left.there_are_some(took):
            if self._kept is not None and not isinstance(sys.exc_info()[1], Exception):
                self._let_go(self._kept)
            else:
                self._tell_of_what_is_left()

    def _let_go(self, before: list[int]) -> None:
        """Have the processes that the body started outlive the run. Those that were there before it end now, with this
        worker, since nothing tells them apart later."""
        if set(self._left.running()) - set(before):
            self._left.end(before)
            os.kill(os.getppid(), LETS_GO)
            self._leaves = self._lets_go = True

    def _tell_of_what_is_left(self) -> None:
        for pid, name in self._left.news():
            line = (
                f"promissory: {name} (process {pid}) still runs and ends with the run; keep_children=True leaves it\n"
            )
            os.write(2, line.encode())

    def _run(self, batch: bytes, sure: float) -> bool:
        """Run a batch. Returns False if this worker is to end."""
        assert self._worker is not None
        outcomes = _Outcomes(self)
        try:
            self._variables.run(self._worker.run, unpack(batch, "a batch"), outcomes, sure)
        except (KeyboardInterrupt, StoreError) as stop:
            self._say(STOPPED, [type(stop).__name__, str(stop)])
        loading.worker.in_body = False
        if outcomes.stale:
            self._say(STALE, None)
            return False
        self._around.restore()
        self._settings.restore()
        if self._leaves:
            self._say(LEAVING, None)
            return False
        return True

    def took(self, outcome: Any) -> bool:
        """Send an outcome. Returns False, and sends nothing, if the outcome can't be trusted: this process has served
        other runs and may have old modules."""
        if self._runs > 1 and outcome[2] == FAILURE and outcome[3][0] in ("CodeMismatch", "CodeNotFound"):
            return False
        self._say(OUTCOME, outcome)
        return True


class _Outcomes:
    """Sends each outcome as soon as it is there, so that no outcome is lost with the worker."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.stale = False

    def append(self, outcome: Any) -> None:
        if not self._server.took(outcome):
            self.stale = True


def _set_up_logging(level: int, form: str) -> None:
    """Show records as the executor's process does, if the program set up logging where only that process comes by (in
    its main block). What the program's modules set up, they have set up here as well, before their first body."""
    root = logging.getLogger()
    if not root.handlers:
        root.setLevel(level)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(form))
        root.addHandler(handler)


def main(scratch: str) -> None:
    """Serve until the executor is gone, with scratch folders below `scratch`."""
    use_place(scratch)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[4]), limit))  # as it was before the executor raised it
    receiver, pipe = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    receiver.set_inheritable(False)
    os.set_inheritable(pipe, False)
    flag = mmap.mmap(int(sys.argv[3]), 1, prot=mmap.PROT_READ)
    os.close(int(sys.argv[3]))
    LEDGER.adopt(int(sys.argv[5]))
    LEDGER.captures += 1
    standard_streams()
    faulthandler.enable(2)
    outlive_end_signals()
    loading.worker.is_one = True
    sys.modules["__main__"] = ModuleType("__main__")
    server = Server(receiver, pipe, flag)
    server.serve()
