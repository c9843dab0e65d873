"""The manifest of a run: its plan, inputs and options, and the user and machine that began it. It is written once,
before the first segment."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from promissory import _version
from promissory.executor.errors import JournalError, NotInStore, RunNotFound
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import tree_of
from promissory.executor.protocol.limits import Limits
from promissory.executor.store.keys import is_run_id, plan_key, run_key, segment_key
from promissory.executor.store.store import Store
from promissory.planner.plan.format import digest_of_file, plan_from_bytes
from promissory.planner.plan.model import Value, is_in_parts
from promissory.planner.plan.plan import Plan
from promissory.typesys.canonical import pack, unpack_canonical
from promissory.typesys.envelope import is_cut_short, seal, unseal
from promissory.typesys.errors import FormatError

MAGIC: Final = b"PRMM"
VERSION: Final = 2
"""Since version 2 inputs may have parts."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The beginning of a run.

    Attributes:
        run_id: the run's name.
        workflow: the plan's name.
        plan: the plan's digest.
        inputs: values by name.
        engine: name of the engine it began on.
        limits: the run's limits at the beginning.
        created: µs since the epoch.
        user, host, python, promissory: the user, the machine and the versions that began it.
        bundle: digest of the source bundle; empty if there is none.
        parent: the run, and the path of the node in it, from which `rerun` began this run; empty for any other run.
        executor: the seat of the executor that began it, as segments name it (`Seat`); empty if nobody looks for it.
        stop: the number that no round of a cycle goes beyond; None if the caller gave none.
        source: the file that holds the workflow, and the folders that were put on `sys.path` for it.
        queue: the queue to which the run was submitted (rule Q1); empty for a run that somebody began.
        priority: a run of a higher one is carried out first.
        labels: what its owner wrote on it.
        requires: the versions of the installed packages that hold code of the plan, by module: a submission can't carry
            it, so whoever carries the run has to have them.
        packages: those of other installed packages that its modules had imported, to be told where an import fails.
    """

    run_id: str
    workflow: str
    plan: bytes
    inputs: dict[str, Value]
    engine: str
    limits: Limits
    created: int
    user: str
    host: str
    python: str
    promissory: str
    source: tuple[str, ...]
    bundle: bytes = b""
    parent: tuple[str, ...] = ()
    executor: bytes = b""
    stop: int | None = None
    queue: str = ""
    priority: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    requires: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)


_OF_SUBMISSIONS: Final = ("queue", "priority", "labels", "requires", "packages")


def new_manifest(
    run_id: str,
    workflow: str,
    plan: bytes,
    inputs: dict[str, Value],
    engine: str,
    limits: Limits,
    source: tuple[str, ...],
    bundle: bytes,
    executor: bytes = b"",
    stop: int | None = None,
) -> Manifest:
    """The manifest of a run that begins now, here."""
    return Manifest(
        run_id=run_id,
        workflow=workflow,
        plan=plan,
        inputs=inputs,
        engine=engine,
        limits=limits,
        created=time.time_ns() // 1000,
        user=_user(),
        host=socket.gethostname(),
        python=platform.python_version(),
        promissory=_version.VERSION,
        source=source,
        bundle=bundle,
        executor=executor,
        stop=stop,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def write_manifest(store: Store, manifest: Manifest) -> bool:
    """Store a manifest; False if the run has one already."""
    entries: dict[str, Any] = asdict(manifest)
    entries["inputs"] = [[name, tree_of(value)] for name, value in manifest.inputs.items()]
    entries["source"] = list(manifest.source)
    entries["parent"] = list(manifest.parent)
    entries["limits"] = manifest.limits.to_tree()
    if manifest.stop is None:
        del entries["stop"]  # only runs that were told to stop say so
    if manifest.queue:
        for name in ("labels", "requires", "packages"):
            entries[name] = [list(pair) for pair in sorted(entries[name].items())]
    else:
        for name in _OF_SUBMISSIONS:
            del entries[name]
    payload = pack([[name, entries[name]] for name in sorted(entries)])
    version = VERSION if any(map(is_in_parts, manifest.inputs.values())) else 1
    key, data = run_key(manifest.run_id, "manifest"), seal(MAGIC, version, 1, payload)
    if store.put_new(key, data) or store.get(key) == data:  # equal bytes are ours: a retried write had succeeded before
        return True
    if not _was_never_begun(store, manifest.run_id, store.get(key)):
        return False
    store.put(key, data)
    store.sync([key])
    return True


def _was_never_begun(store: Store, run_id: str, data: bytes) -> bool:
    """Whether a manifest is cut short because its machine died while writing it, before anything else of the run."""
    return is_cut_short(data) and not store.exists(segment_key(run_id, 0))


def read_plan(store: Store, manifest: Manifest) -> Plan:
    """The plan of a run. Raises `JournalError`, which names its key, and `StoreError`."""
    key = plan_key(manifest.plan)
    data = store.get(key)
    try:
        plan = plan_from_bytes(data)
    except FormatError as error:
        raise JournalError(key, error.problem, error.offset) from None
    if digest_of_file(data) != manifest.plan:
        raise JournalError(key, "holds another plan than its name says")
    return plan


def read_manifest(store: Store, run_id: str) -> Manifest:
    """The manifest of a run. Raises `RunNotFound`, `JournalError`."""
    key = run_key(run_id, "manifest")
    try:
        if not is_run_id(run_id):
            raise NotInStore(key)
        data = store.get(key)
    except NotInStore:
        raise RunNotFound(
            f"there is no run {run_id!r} in the store {store.url}; `promissory runs` lists what is there"
        ) from None
    if _was_never_begun(store, run_id, data):
        raise RunNotFound(
            f"the run {run_id!r} in the store {store.url} was never begun: its manifest was not written to its end. "
            "Start it again under this name"
        )
    try:
        _, _, payload = unseal(data, MAGIC, range(1, VERSION + 1), key)
        found = _manifest_of(dict(fields.items(unpack_canonical(payload, key))))
    except FormatError as error:
        raise JournalError(error.what, error.problem, error.offset) from None
    except (TypeError, ValueError, KeyError) as error:
        raise JournalError(key, f"is malformed ({error})") from None
    if found.run_id != run_id:
        raise JournalError(key, f"is that of the run {found.run_id!r}: it was copied here")
    return found


def _manifest_of(entries: dict[str, Any]) -> Manifest:
    inputs = {
        fields.text(name): fields.value(tree) for name, tree in map(fields.items, fields.items(entries["inputs"]))
    }
    return Manifest(
        run_id=fields.text(entries["run_id"]),
        workflow=fields.text(entries["workflow"]),
        plan=fields.data(entries["plan"], fields.DIGEST_SIZE),
        inputs=inputs,
        engine=fields.text(entries["engine"]),
        limits=Limits(*fields.counts(fields.items(entries["limits"], 3))),
        created=fields.whole(entries["created"]),
        user=fields.text(entries["user"]),
        host=fields.text(entries["host"]),
        python=fields.text(entries["python"]),
        promissory=fields.text(entries["promissory"]),
        source=tuple(map(fields.text, fields.items(entries["source"]))),
        stop=fields.whole(entries["stop"]) if "stop" in entries else None,
        bundle=fields.data(entries["bundle"], fields.DIGEST_SIZE if entries["bundle"] else 0),
        parent=tuple(map(fields.text, fields.items(entries.get("parent", [])))),
        executor=fields.data(entries.get("executor", b""), 16 if entries.get("executor") else 0),
        queue=fields.text(entries.get("queue", "")),
        priority=fields.whole(entries.get("priority", 0)),
        labels=_texts(entries.get("labels", [])),
        requires=_texts(entries.get("requires", [])),
        packages=_texts(entries.get("packages", [])),
    )


def _texts(tree: Any) -> dict[str, str]:
    return {fields.text(key): fields.text(value) for key, value in (fields.items(one, 2) for one in fields.items(tree))}
