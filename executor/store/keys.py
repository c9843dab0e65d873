"""The keys of a store. No other module knows them, and none is longer than an object store's key limit.

::

    promissory                             the mark of a store (`promissory.executor.store.mark`)
    objects/<aa>/<digest>                  values and large literals: immutable, put if absent
    parts/<aa>/<digest>                    large buffers inside values: immutable, by the BLAKE3 of their bytes
    code/<aa>/<digest>.zip                 source bundles
    plans/<aa>/<digest>.plan
    cache/<aa>/<key>                       outcome of a cached call
    leases/<aa>/<key>/<%08d>               the run at work on a cached call that others wait for
    runs/<run id>/manifest                 plan, inputs, options, user and machine, versions
    runs/<run id>/journal/<%020d>          segments
    runs/<run id>/code/<key>               functions that travel by value
    runs/<run id>/snapshots/<digest>       the scheduler's state; a segment names it
    runs/<run id>/inbox/<nonce>            commands from other processes
    runs/<run id>/inbox/<nonce>-refused    why a command was not obeyed, for its sender
    runs/<run id>/futures/<aa>/<id>.futures
    runs/<run id>/checkpoints/<aa>/<id>/<%08d>   how far attempts have come, by the epoch of the executor
    runs/<run id>/logs/<worker>            output of tasks
    runs/<run id>/base/<segment>           where a journal that was trimmed begins
    runs/<run id>/beat                     how the run stands, by its executor, every five seconds
    runs/<run id>/summary                  the run at a glance, by the executor that ended it; it may be lost
    executors/<id>/alive                   held locked by the executor's process as long as it lives
    queues/<queue>/waiting/<priority>-<time>-<run id>   submitted runs that wait to be carried
    queues/<queue>/waiting/open            on far stores, of a queue that a worker has looked at
    queues/<queue>/carried/<run id>        submitted runs that somebody carries
    queues/<queue>/config                  limits
    queues/<queue>/slots/<slot>/<%08d>     who has one of the places that a limit leaves
"""

from __future__ import annotations

import re
from hashlib import blake2b

RUNS = "runs"
LAST = "last"
"""The newest run, on the command line; no run may be called so."""
OBJECTS = "objects"
PARTS = "parts"
PLANS = "plans"
CODE = "code"
CACHE = "cache"
FUTURES = "futures"
CHECKPOINTS = "checkpoints"
LEASES = "leases"
EXECUTORS = "executors"
QUEUES = "queues"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

_EXECUTOR_ID = re.compile("[0-9a-f]{16}")


def is_run_id(text: str) -> bool:
    """Whether a text may name a run: letters, digits, `.`, `_`, `-`, at most 128 of them.

    >>> is_run_id("census-1"), is_run_id("../x")
    (True, False)
    """
    return _RUN_ID.fullmatch(text) is not None


def object_key(digest: bytes) -> str:
    """The key of a value by its digest."""
    name = digest.hex()
    return f"objects/{name[:2]}/{name}"


def part_key(digest: bytes) -> str:
    """The key of a part of a value by its digest."""
    name = digest.hex()
    return f"parts/{name[:2]}/{name}"


def plan_key(digest: bytes) -> str:
    """The key of a plan by its digest."""
    name = digest.hex()
    return f"plans/{name[:2]}/{name}.plan"


def run_key(run_id: str, name: str) -> str:
    """The key of a file in a run's folder."""
    return f"{RUNS}/{run_id}/{name}"


def waiting_folder(queue: str) -> str:
    """The folder of the runs that wait in a queue."""
    return f"{QUEUES}/{queue}/waiting"


def waiting_key(queue: str, place: str) -> str:
    """The key of a run that waits in a queue, by its place there."""
    return f"{waiting_folder(queue)}/{place}"


def carried_key(queue: str, run_id: str = "") -> str:
    """The key of a run of a queue that somebody carries; the folder of these keys, if no run is given."""
    return f"{QUEUES}/{queue}/carried/{run_id}".rstrip("/")


def limits_key(queue: str) -> str:
    """The key of a queue's limits."""
    return f"{QUEUES}/{queue}/config"


def slot_key(queue: str, name: str, number: int | None = None) -> str:
    """The key of a holder of a slot; the folder of its holders, if no number is given."""
    folder = f"{QUEUES}/{queue}/slots/{name}"
    return folder if number is None else f"{folder}/{number:08d}"


def segment_key(run_id: str, number: int) -> str:
    """The key of a segment of a run's journal."""
    return f"{RUNS}/{run_id}/journal/{number:020d}"


def base_key(run_id: str, segment: int) -> str:
    """The key that says that a run's journal was trimmed, and begins with a segment."""
    return f"{RUNS}/{run_id}/base/{segment:020d}"


def snapshot_key(run_id: str, digest: bytes) -> str:
    """The key of a snapshot of a run's state. It lies in the run's folder: its content differs by engine."""
    return f"{RUNS}/{run_id}/snapshots/{digest.hex()}"


def alive_key(executor: str) -> str:
    """The key of the file that an executor holds locked."""
    return f"{EXECUTORS}/{executor}/alive"


def is_executor_id(text: str) -> bool:
    """Whether a text may name an executor.

    >>> is_executor_id("0123456789abcdef"), is_executor_id("../x")
    (True, False)
    """
    return _EXECUTOR_ID.fullmatch(text) is not None


def inbox_key(run_id: str, nonce: str = "") -> str:
    """The key of a command to a run's executor; without a nonce, the folder of all commands."""
    return f"{RUNS}/{run_id}/inbox/{nonce}".rstrip("/")


def refusal_key(command: str) -> str:
    """The key of the reason why a command was not obeyed, by the command's key."""
    return f"{command}-refused"


def is_refusal(key: str) -> bool:
    """Whether a key in an inbox is that of such a reason."""
    return key.endswith("-refused")


def cache_entry_key(digest: bytes) -> str:
    """The key of a cached outcome by the key of its call."""
    name = digest.hex()
    return f"{CACHE}/{name[:2]}/{name}"


def lease_key(digest: bytes, number: int) -> str:
    """The key of the lease of that number on a cached call."""
    name = digest.hex()
    return f"{LEASES}/{name[:2]}/{name}/{number:08d}"


def is_segment(key: str) -> bool:
    """Whether a key in a journal's folder is that of a segment. This package puts nothing else there.

    >>> is_segment(segment_key("census-1", 7)), is_segment("runs/census-1/journal/notes.txt")
    (True, False)
    """
    name = key.rpartition("/")[2]
    return len(name) == 20 and name.isascii() and name.isdecimal()


def futures_key(run_id: str, identity: bytes) -> str:
    """The key of a futures file by the identity of the node that emitted it."""
    name = identity.hex()
    return f"{RUNS}/{run_id}/futures/{name[:2]}/{name}.futures"


def checkpoints_folder(run_id: str, identity: bytes) -> str:
    """The folder of the checkpoints of a node, item or iteration, one of each executor."""
    name = identity.hex()
    return f"{RUNS}/{run_id}/{CHECKPOINTS}/{name[:2]}/{name}"


def checkpoint_key(run_id: str, identity: bytes, epoch: int) -> str:
    """The key of the checkpoint of attempts that an executor of this epoch has begun."""
    return f"{checkpoints_folder(run_id, identity)}/{epoch:08d}"


def is_replaced(key: str) -> bool:
    """Whether a key's content may be replaced by another.

    >>> is_replaced(checkpoint_key("census-1", bytes(16), 1)), is_replaced(object_key(bytes(32)))
    (True, False)
    """
    return key.startswith(RUNS) and key.split("/")[2:3] == [CHECKPOINTS]


def log_key(run_id: str, worker: str) -> str:
    """The key of a worker's log."""
    return f"{RUNS}/{run_id}/logs/{worker}"


def is_log(key: str) -> bool:
    """Whether a key is that of a log, which grows.

    >>> is_log(log_key("census-1", "inline-1")), is_log(object_key(bytes(32)))
    (True, False)
    """
    return key.startswith(RUNS) and key.split("/")[2:3] == ["logs"]


def code_key(run_id: str, name: str, digest: bytes, python: str, interface: bytes) -> str:
    """The key of a function that travels by value, for one version of Python and the digest of the types that it takes
    and gives. It lies in the run's folder, because all that doesn't tell the whole of it: the globals that it uses come
    along."""
    told = b"\0".join((b"code", name.encode(), digest + python.encode(), *([interface] if interface else ())))
    return f"{RUNS}/{run_id}/code/{blake2b(told, digest_size=32).hexdigest()}"


def bundle_key(digest: bytes) -> str:
    """The key of a source bundle by its digest."""
    name = digest.hex()
    return f"code/{name[:2]}/{name}.zip"
