"""A worker whose bodies are coroutines: it runs one at a time, and others run beside it on the same event loop.

A body has a context of its own, so what it prints, and what it asks of its run, is known from what the others do. Its
time-out cancels it at the await where it stands.
"""

from __future__ import annotations

import asyncio
from typing import Any

from promissory.executor.clock import PAUSE, since_boot
from promissory.executor.code.resolver import Refused
from promissory.executor.crash_points import Crashed, reached
from promissory.executor.errors import StoreError
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.messages import FAILURE, UNSTARTED
from promissory.executor.worker.outcome import LOOPED, RETURNED, SKIPPED, Concluded, Raw
from promissory.executor.worker.worker import Worker
from promissory.planner.active import InTaskBody, current
from promissory.planner.body.context import Body, current_body
from promissory.planner.body.signals import Loop, Retry, Skip
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.format import FuturesHeader


class AsyncWorker(Worker):
    """Runs async tasks, one at a time, and bodies of async dynamics from one await to the next."""

    async def overlap(self, content: list[Any], sure: float) -> list[Any]:
        """Run the one call of a batch. Gives its outcome. Raises `StoreError`, which is no node's failure.

        Args:
            sure: when the executor was last sure that the run is its own, in seconds since boot.
        """
        definitions, (invocation,), carried, shared, channel = content
        number, frame, index, _, path, _, _, attempt, _, _ = invocation
        if since_boot() - sure > PAUSE:
            return [frame, index, UNSTARTED, None, 0, 0, self.name, attempt, None, None, None]
        if self._carried is not None:
            self._carried.bring(carried)
        self.share(shared, channel)
        if self._is_dynamic(definitions[number]):
            return self._invoke(definitions, invocation)
        begun = self._begin(frame, index, path)
        try:
            concluded = await self._run_async(self._code.resolve(definitions[number]), invocation)
        except (KeyboardInterrupt, StoreError, Crashed):
            self.now = None
            self.capture.end()
            raise
        except Refused as refusal:
            concluded = FAILURE, Failure.of_executor(refusal.kind, str(refusal)).to_tree(), None
        except BaseException as error:  # any exception of a body is its failure, that of a cancelled one too
            concluded = FAILURE, Failure.of_exception(error).to_tree(), None
        return self._outcome(frame, index, attempt, begun, concluded)

    def _is_dynamic(self, definition: bytes) -> bool:
        """Whether a call is of a dynamic, or of code that can't be found: neither has to be awaited."""
        try:
            return self._code.resolve(definition).kind == "dynamic"
        except Refused:
            return True

    async def _run_async(self, entity: Entity[..., Any], invocation: list[Any]) -> Concluded:
        body = Body(self._context, invocation)
        try:
            return await self._carry_out_async(body, entity, invocation)
        finally:
            body.clean()

    async def _carry_out_async(self, body: Body, entity: Entity[..., Any], invocation: list[Any]) -> Concluded:
        arguments, path, place, depth, _, timeout, _ = invocation[3:]
        of_body, of_task = current_body.set(body), current.set(InTaskBody(entity.name))
        try:
            values, _ = self.values.arguments_of(entity, arguments)
            reached("worker.before-body")
            limit = asyncio.timeout(timeout)
            try:
                async with limit:
                    raw = Raw(RETURNED, await entity.call_function(values))
            except TimeoutError:
                if not limit.expired():
                    raise
                raise Refused(
                    "TaskTimeout", f"{path} was cancelled after {timeout:g} s, which is its time-out"
                ) from None
            reached("worker.after-body")
        except Loop as raised:
            raw = Raw(LOOPED, raised.result, raised)
        except Skip as raised:
            raw = Raw(SKIPPED, raised.reason, raised)
        except Retry:
            if body.context is None or not body.context.gives_up:
                raise
            return UNSTARTED, None, None
        finally:
            current.reset(of_task)
            current_body.reset(of_body)
            if body.context is not None:
                body.end()
        concluded = self._concluded(entity, body, raw, FuturesHeader(place[0], place[1], depth))
        del raw  # its signal's traceback holds this frame and the body's: without a cycle both are freed at once
        return concluded
