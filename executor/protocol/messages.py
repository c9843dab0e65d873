"""The messages to a worker and from it, as bytes: a batch of invocations, a batch of outcomes.

::

    batch      [definitions, invocations, carried, shared, channel]
               definitions: callees, complete in themselves (promissory.planner.plan.format)
               carried: [key, bytes] of the objects that the worker can't read in a store
               shared: values that many invocations take an item of
               channel: [key, bytes] of the run's channel, as it is now
    invocation [definition, frame, index, arguments, path, [parent identity, place], depth, attempt, time-out, loop]
               loop: nil, or [iteration, payload as an argument or nil, how many iterations there may be], or for a
                     cycle [round, nil, nil, number beyond which no round goes or nil, whether it is what runs after the
                     last round, the time in s since the epoch, names under which nodes are held]
               async dynamic [how often its body was told something, moment, [told] that has come since, [time before]
               or nil]; a `told` is [number of a segment, index of its node, VALUE, value as an argument], [segment,
               index, FAILURE, path, failure's tree] or [segment, index, SKIP]; a `time before` is [moment, [told],
               futures file or nil]
               definition JOINT: `arguments` is [one argument, bytes of the type that is wanted]
                          DECIDE: [conditions, [[argument, bytes of its type]…]]
                          CUT: [[argument, name, whether it is a list of lists]…] of the lists that are mapped,
                               whether the shortest one ends them all
                          JOIN: lists to be made one
    argument   nil                                  the parameter's default
               bytes                                a value
               [0, digest, size]                    a value that is an object; with `true` behind it, one in parts
               [1, binding, [[leaf, value, type]…]] a binding to be assembled from these leaves (type nil: a literal)
               [2, n, k, type]                      item k of the list that is shared value n;
                                                    type: of the item, nil if it is the parameter's

    outcome    [frame, index, status, payload, started µs, duration µs, worker, attempt, log, carried, asked]
               carried: [key, bytes] of the objects that the worker can't write to a store; nil if it shares one (J5)
               asked: the body's requests of its run (`promissory.executor.scheduler.requests`), and "at", the author's
                      line that made them; nil if there are none

============ ==================================================
status       payload
============ ==================================================
VALUE        bytes, or [digest, size], or [digest, size, true] of a value in parts
FUTURES      the futures file
FAILURE      the failure's tree
UNSTARTED    nil: given back, because the batch ended early
LOST         [signal, exit code, last words]: its worker ended while it ran
LOOP         the payload of the next iteration, as a value
SKIP         the reason
CANCEL       the reason
ARM          which arm of a branch, -1 for none
ITEMS        [count, [part of each list, a value]] of each chunk of a map
ENDED        nil: the body has ended the run, and has no value
ITERATION    the futures file of one iteration of a dynamic: its result is the payload of the next
OVER         nil: a cycle has no further point
NOT_YET      the moment of a cycle's next round, in s since the epoch: it is still to come
AWAITS       [moment, how much it was told, futures file or nil, whether the body has ended, [[segment, index]] of the
             nodes for which it waits anew, the moment for which it waits or nil]
GONE         nil: this worker has not the body of an async dynamic, which has to be replayed
============ ==================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from promissory.planner.plan.model import Binding, Value
from promissory.typesys.canonical import pack

VALUE, FUTURES, FAILURE, UNSTARTED, LOST, LOOP, SKIP, CANCEL, ARM, ITEMS, ITERATION, ENDED = range(12)
OVER, NOT_YET, AWAITS, GONE = range(12, 16)
JOINT, DECIDE, CUT, JOIN = range(-1, -5, -1)
CLOSING: Final = 1 << 40
"""What is traced after round n of a cycle, which was the last, counts as iteration CLOSING + n."""
NONE_GIVEN, HAS, LACKS = range(3)
"""The inputs of a task that a body asked for: NONE_GIVEN if it got none and needs none, HAS if it got all, LACKS if
some are missing."""
OBJECT, ASSEMBLE, ITEM = range(3)


def unstarted(calls: Iterable[tuple[int, int, int]]) -> list[Any]:
    """The outcomes of calls, each (frame, index, attempt), that no worker has begun."""
    return [[frame, index, UNSTARTED, None, 0, 0, "", attempt, None, None, None] for frame, index, attempt in calls]


def value_argument(value: Value) -> Any:
    """A value as it stands in an argument."""
    return value if isinstance(value, bytes) else [OBJECT, *value.tree]


def leaf_key(leaf: Binding) -> bytes:
    """The key under which a leaf is looked up among an argument's sources."""
    return pack(leaf if leaf.__class__ is int else leaf[:2])
