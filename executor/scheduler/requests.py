"""Requests of a body to its run, beside its outcome (rules S4, S5, S7). Pure; part of the scheduler.

A body may ask for work before its followers, a jump, an early end of the run, and writes of the channel.

::

    asked     {"writes": [[operation, key, bytes]…]           of the channel
               "terminate": [reason, outputs or nil]          end the run well
               "next": [[name, call or -1, node or -1]…]      targets: the name, the node of `futures` that calls the
                                                              target, the node of the frame that is the target
               "goto": position in "next"                     the target that is jumped to
               "futures": futures file                        the calls, with the node's own value as output
               "loops": true                                  the outcome's futures file is one iteration
               "read": true}                                  the channel was looked at

A worker does not know the frame, so the scheduler looks up the number of a target's node. The number goes into the
event, so that a replay takes the same node.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from promissory.executor.protocol.events import SIGNALLED, Meta
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.messages import HAS, LACKS
from promissory.executor.scheduler import completion, expansion, propagation
from promissory.executor.scheduler.agenda import CONCLUDE, END, FOLLOW, ITERATE, READY
from promissory.executor.scheduler.frame import Frame, Repeat
from promissory.executor.scheduler.node_state import DONE, ENDED, PENDING, SKIPPED
from promissory.executor.scheduler.state import State
from promissory.planner.body.channel import merged
from promissory.planner.plan.format import futures_from_bytes


class Refused(Exception):
    """A request that can't be met."""


class Request(NamedTuple):
    """An outcome of a body, and what the body asked of its run.

    Attributes:
        id: of the frame that opens; below 0 if none does.
        repeat: what the expansion of a dynamic needs.
    """

    frame: Frame
    node: int
    outcome: tuple[str, Any]
    asked: dict[str, Any]
    id: int
    repeat: Repeat | None


def take(
    state: State,
    frame: Frame,
    index: int,
    outcome: tuple[str, Any],
    asked: dict[str, Any],
    meta: Meta,
    repeat: Repeat | None,
    child: int | None,
    at: str,
) -> None:
    """A body ended well, with requests: all of them count; if one can't be met, none counts and the attempt fails."""
    path = frame.path_of(index, state.iteration(frame.id, index))
    try:
        asked = asked if state.replaying else _looked_up(state, frame, index, asked, path)
        channel = _written(state.channel, asked)
    except (Refused, TypeError) as refusal:
        state.tries.pop((frame.id, index), None)
        state.fail(
            frame,
            index,
            Failure.of_executor("SignalRefused", f"{path}: {refusal}" + (f"\n  at {at}" if at else "")),
            meta,
        )
        return
    data = asked.get("futures") if outcome[0] == "value" else outcome[1] if outcome[0] == "futures" else None
    calls = outcome[0] == "futures" or any(node < 0 for _, _, node in asked.get("next", ()))
    id = -1
    if data is not None and calls:
        problem = state.may_splice(futures_from_bytes(data)[0], data, path)
        if problem is not None and not state.replaying:
            state.fail(frame, index, problem, meta)
            return
        id = state.new_frame(child)
    state.tries.pop((frame.id, index), None)
    state.log.append((SIGNALLED, frame.id, index, outcome, asked, id, meta))
    state.spend(frame, index, meta)
    state.channel = channel
    state.hold(frame, index, (FOLLOW, Request(frame, index, outcome, asked, id, repeat)))


def follow(state: State, request: Request) -> None:
    """Carry out the requests of a body, once the node's event stands; the body's own outcome comes after them."""
    frame, index, asked = request.frame, request.node, request.asked
    if (
        "terminate" in asked
        and state.terminated is None
        and not propagation.is_of_the_runs_failure(state, frame, index)
    ):
        reason, outputs = asked["terminate"]
        state.terminated, state.stopping = (reason, outputs), True
    goto = asked.get("goto")
    targets = [(node, position == goto) for position, (_, _, node) in enumerate(asked.get("next", ())) if node >= 0]
    nodes = [node for node, jumps in targets if _send_to(frame, index, node, jumps)]
    if goto is not None:
        _skip_followers(state, frame, index, asked["next"][goto][2])
    state.agenda.append((CONCLUDE, request))
    state.agenda.append((READY, frame, nodes[::-1]))


def conclude(state: State, request: Request) -> None:
    """The outcome of a body that had requests."""
    frame, index, (kind, payload), asked, id, repeat = request
    if kind == "loop":
        state.agenda.appendleft((ITERATE, frame, index, payload))
    elif kind == "skip":
        state.agenda.appendleft((END, frame, index, SKIPPED, None, None))
    elif kind == "ended":
        frame.set_state(index, DONE)  # done without a value: no follower starts any more
        if state.followed is not None:
            state.followed.append((frame, index))
    elif kind == "futures":
        plan, header = futures_from_bytes(payload)
        expansion.splice(state, id, frame, index, plan, header, repeat, bool(asked.get("loops")), signalled=True)
        _leave_to_nodes(state, id, asked)
    elif id < 0:
        completion.complete(state, frame, index, payload, False)
    else:
        plan, header = futures_from_bytes(asked["futures"])
        expansion.splice(state, id, frame, index, plan, header, frame.repeat, False, signalled=True)
        _leave_to_nodes(state, id, asked)


def _leave_to_nodes(state: State, id: int, asked: dict[str, Any]) -> None:
    """Skip the calls whose target is a node of the frame: that node runs instead of the call."""
    for _, call, node in asked.get("next", ()):
        if node >= 0 and call >= 0:
            state.agenda.end(state.frames[id], call, SKIPPED)


def _looked_up(state: State, frame: Frame, index: int, asked: dict[str, Any], path: str) -> dict[str, Any]:
    """The requests, with the numbers of the targets that are nodes of the frame. Raises `Refused`."""
    if "next" not in asked:
        return asked
    targets = []
    for position, (name, call, inputs) in enumerate(asked["next"]):
        node = -1
        if call < 0 or inputs != HAS:
            node = _node_of(
                state, frame, index, name, must=call < 0, jumps=asked.get("goto") == position, lacks=inputs == LACKS
            )
        targets.append([name, call, node])
    return {**asked, "next": targets}


def _node_of(state: State, frame: Frame, index: int, name: str, must: bool, jumps: bool, lacks: bool) -> int:
    topology = frame.topology
    if frame.part is not None:
        if must:
            raise Refused(
                f"it sends the run to {name!r}, and an item of a map has no other nodes beside it. "
                "Pass the task itself, or say it in a workflow that is mapped"
            )
        return -1
    waiting = _first_waiting(state, frame, index, name, only_asleep=not (jumps or must))
    if waiting is not None and jumps:
        missing = [
            i for i, takes in topology.before(waiting).items() if takes and i != index and frame.state(i) != DONE
        ]
        if missing:
            raise Refused(
                f"it jumps to {name!r}, which takes what {topology.name(missing[0])} gives, and that is not there. "
                "Pass the task itself, with inputs"
            )
    if waiting is not None and not jumps and _is_behind(frame, waiting, index):
        raise Refused(
            f"it adds {name!r}, which comes after what follows it: it runs in its turn. "
            f"To skip what is between, jump: next_task({name!r}, goto=True)"
        )
    if waiting is not None:
        return waiting
    if not must:
        return -1
    if any(one != index for one in topology.known_as.get(name, ())) or name == topology.name(index):
        raise Refused(
            f"it sends the run to {name!r}, which has started already. "
            "To run something again: raise Loop, or pass the task itself for another call"
        )
    if lacks:
        raise Refused(
            f"it asks for {name} without all of its inputs, and there is no node beside it that calls {name}. "
            f"Give the inputs: next_task({name}, …=…)"
        )
    shown = ", ".join(topology.names[:20])
    raise Refused(
        f"it sends the run to {name!r}, and there is no such node beside it. "
        f"There is: {shown}; to call something new, pass the task itself"
    )


def _first_waiting(state: State, frame: Frame, index: int, name: str, only_asleep: bool) -> int | None:
    """The first node of this name that has not started; the sender itself does not count.

    Leading nodes that have ended or opened (or, with `only_asleep`, have been woken) are passed over for good, so that
    many requests cost no more than the nodes that they find.
    """
    topology = frame.topology
    bearing = (topology.asleep_as if only_asleep else topology.known_as).get(name, ())
    frame.sought = frame.sought or {}
    first = frame.sought.get((name, only_asleep), 0)
    while first < len(bearing) and (
        frame.state(bearing[first]) != PENDING or (only_asleep and frame.counts(bearing[first]))
    ):
        first += 1
    frame.sought[name, only_asleep] = first
    for at in range(first, len(bearing)):
        one = bearing[at]
        if one != index and not (only_asleep and frame.counts(one)) and _has_not_started(state, frame, one):
            return one
    return None


def _is_behind(frame: Frame, node: int, index: int) -> bool:
    """Whether a node can't start before a follower of the sender has ended, be it because of an earlier request."""
    topology = frame.topology
    if not frame.more:
        above: frozenset[int] | set[int] = topology.all_before(node)
    else:
        todo, above = [node], set()
        while todo:
            one = todo.pop()
            added = [before for before, followers in frame.more.items() if one in followers]
            new = {*topology.before(one), *added} - above
            above |= new
            todo += new
    return any(one in above for one in topology.followers(index))


def _has_not_started(state: State, frame: Frame, index: int) -> bool:
    key = (frame.id, index)
    tables = (state.in_flight, state.tries, state.loops, state.holding)
    return frame.state(index) == PENDING and not any(key in table for table in tables)


def _written(channel: dict[str, bytes], asked: dict[str, Any]) -> dict[str, bytes]:
    """The channel after the writes. Raises `TypeError`."""
    if not asked.get("writes"):
        return channel
    after = dict(channel)
    for operation, key, data in asked["writes"]:
        after[key] = merged(after.get(key), operation, key, data)
    return after


def _send_to(frame: Frame, index: int, node: int, jumps: bool) -> bool:
    """Have a target start once its inputs are there; without a jump, the sender's followers wait for the target too.

    Returns whether this request has left the target waiting for nothing.
    """
    topology = frame.topology
    frame.mixed = True
    is_free = node in topology.standby and not frame.counts(node) and frame.wake(node)
    if jumps:
        if frame.jumped is None:
            frame.jumped = set()
        if node not in frame.jumped:
            frame.jumped.add(node)
            is_free = (
                frame.waits_less(
                    node, sum(one != index and frame.state(one) not in ENDED for one in topology.before(node))
                )
                or is_free
            )
        return is_free
    frame.more = frame.more or {}
    for follower in topology.followers(index):
        if follower != node and frame.state(follower) == PENDING and follower not in frame.more.setdefault(node, {}):
            frame.more[node][follower] = None
            frame.cells[follower] += 1
    return is_free


def _skip_followers(state: State, frame: Frame, index: int, target: int) -> None:
    """Skip the followers of a node that jumped away, as far as no other node leads to them."""
    topology = frame.topology
    found: list[int] = []
    others: dict[int, int] = {}  # by node: how many nodes before are not known to be skipped
    todo = deque(topology.followers(index))
    while todo:
        one = todo.popleft()
        if one == target or frame.state(one) != PENDING or one in topology.standby:
            continue
        others[one] = (len(topology.before(one)) if one not in others else others[one]) - 1
        if not others[one]:
            found.append(one)
            todo.extend(topology.followers(one))
    for one in found:
        state.agenda.end(frame, one, SKIPPED)
