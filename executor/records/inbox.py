"""Commands to a run from other processes: small sealed files in the run's folder, which its executor looks for, obeys
and removes (rule J3).

A command is acknowledged by its removal, and its effect is committed before that. A file that can't be read is removed
with a warning, since it can't be a command of ours.
"""

from __future__ import annotations

import getpass
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Final

from promissory.executor.crash_points import Crashed
from promissory.executor.errors import CommandRefused, NotInStore, RunIsNotLive, StoreError
from promissory.executor.records.heartbeat import await_first_beat, read_beat
from promissory.executor.store.forms import is_ours
from promissory.executor.store.keys import inbox_key, is_refusal, refusal_key
from promissory.executor.store.store import Store
from promissory.typesys.canonical import pack_map, unpack_canonical
from promissory.typesys.envelope import seal, unseal
from promissory.typesys.errors import FormatError

_log = logging.getLogger("promissory")
MAGIC: Final = b"PRMI"
VERSION: Final = 2
_LOOK: Final = 0.1
_BETWEEN_EXECUTORS: Final = 0.3
_REQUIRED: Final = frozenset(("command", "reason", "sender", "time"))
COMMANDS: Final = ("pause", "unpause", "stop", "cancel", "answer")


@dataclass(frozen=True, slots=True)
class Command:
    """A command to a run.

    Attributes:
        command: one of COMMANDS.
        reason: why, in words.
        sender: user, host and process that sent it.
        time: µs since the epoch.
        gate: the path of the gate that is answered.
        value: the answer, encoded.
    """

    command: str
    reason: str
    sender: str
    time: int
    gate: str = ""
    value: bytes = b""


def command_to_bytes(command: Command) -> bytes:
    """The sealed bytes of a command. Only answers need version 2."""
    entries = asdict(command)
    if command.command == "answer":
        return seal(MAGIC, VERSION, 1, pack_map(entries))
    return seal(MAGIC, 1, 1, pack_map({name: entries[name] for name in _REQUIRED}))


def command_from_bytes(data: bytes, key: str) -> Command:
    """Decode the bytes of a command. Raises `FormatError`.

    >>> command = Command("pause", "", "me", 1)
    >>> command_from_bytes(command_to_bytes(command), "a command") == command
    True
    """
    _, _, payload = unseal(data, MAGIC, range(1, VERSION + 1), key)
    entries = unpack_canonical(payload, key)
    expected = {field.name for field in fields(Command)}
    if (
        not isinstance(entries, dict)
        or not _REQUIRED <= entries.keys() <= expected
        or entries["command"] not in COMMANDS
    ):
        raise FormatError(key, "is no command", 0)
    if not isinstance(entries.get("gate", ""), str) or not isinstance(entries.get("value", b""), bytes):
        raise FormatError(key, "is malformed", 0)
    if (
        not isinstance(entries["reason"], str)
        or not isinstance(entries["sender"], str)
        or not isinstance(entries["time"], int)
    ):
        raise FormatError(key, "is malformed", 0)
    return Command(**entries)


def send(store: Store, run_id: str, command: str, reason: str = "", gate: str = "", value: bytes = b"") -> str:
    """Put a command into a run's inbox. Returns its key, which is gone once the command was obeyed."""
    said = Command(command, reason, _sender(), time.time_ns() // 1000, gate, value)
    key = inbox_key(run_id, f"{said.time:020d}-{secrets.token_hex(8)}")
    store.put_new(key, command_to_bytes(said))
    return key


def _sender() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "somebody"
    return f"{user} on {socket.gethostname()}, process {os.getpid()}"


def waiting(store: Store, run_id: str) -> list[tuple[str, Command]]:
    """The commands in a run's inbox, in the order in which they were sent."""
    found = []
    for key in store.list(inbox_key(run_id)):
        if not is_ours(key) or is_refusal(key):
            continue
        try:
            found.append((key, command_from_bytes(store.get(key), key)))
        except StoreError:
            continue  # the command was obeyed just now, or the key is no file
        except FormatError as error:
            _log.warning("%s: it is removed from the inbox", error)
            store.remove(key)
    return found


def tell(store: Store, run_id: str, command: str, reason: str = "", patience: float = 30.0) -> None:
    """Send a command, and wait until it was obeyed: a command that ends the run, until the run is over.

    Raises:
        CommandRefused: the executor did not obey, because of another command.
        RunIsNotLive: no executor works on the run, so none would obey; or the executor was gone before it did.
        TimeoutError: the executor lives and has not looked for `patience` seconds, because a body keeps it busy. The
            command is withdrawn.
    """
    is_there = await_first_beat(store, run_id)
    beat = read_beat(store, run_id)
    if beat is None or not is_there:
        raise RunIsNotLive(f"nobody works on run {run_id}, so there is nobody to {command} it")
    key = send(store, run_id, command, reason)
    given_up, last_seen = time.monotonic() + patience, time.monotonic()
    while store.exists(key):
        now = read_beat(store, run_id)
        is_seen = now is not None and now.is_live(store, run_id)
        last_seen = time.monotonic() if is_seen else last_seen
        # The first beat of an executor that takes the run over comes a moment after it has taken it.
        if not is_seen and time.monotonic() - last_seen > _BETWEEN_EXECUTORS:
            store.remove(key)
            if command in ("stop", "cancel"):
                return  # the run is over, as it was told to be
            raise RunIsNotLive(f"run {run_id} has ended before it could be told to {command}")
        if time.monotonic() > given_up and not (now is not None and now.ending):
            store.remove(key)  # an executor that finds the command gone does not obey it
            raise TimeoutError(
                f"the executor of run {run_id} has not looked for {patience:g} s: a body keeps it busy. "
                f"The command to {command} it is withdrawn"
            )
        time.sleep(_LOOK)
    raise_refusal(store, key)
    after = read_beat(store, run_id)
    if after is not None and after.epoch != beat.epoch:
        raise RunIsNotLive(f"run {run_id} was taken over by another executor before it could be told to {command}")


def acknowledge(store: Store, key: str, refused: str) -> None:
    """Tell the sender of a command what became of it: the key goes, and before that comes the reason, if there is one.

    Args:
        refused: why the command was not obeyed; empty if it was.
    """
    if refused:
        store.put_new(refusal_key(key), refused.encode("utf-8", "backslashreplace"), durable=False)
    store.remove(key)


def raise_refusal(store: Store, key: str) -> None:
    """Raise `CommandRefused` if the command with this key, which is gone, was not obeyed."""
    try:
        why = store.get(refusal_key(key)).decode("utf-8", "replace")
    except NotInStore:
        return
    store.remove(refusal_key(key))
    raise CommandRefused(why)


def clear(store: Store, run_id: str) -> None:
    """Remove the commands to an executor that is gone, and replies that nobody took. Answers to gates stay for the next
    executor."""
    for key in store.list(inbox_key(run_id)):
        if is_ours(key) and is_refusal(key):
            store.remove(key)
    for key, command in waiting(store, run_id):
        if command.command != "answer":
            store.remove(key)


class Inbox:
    """Looks for commands, in a thread, until it is closed.

    Args:
        obey: is called once for each command, with its key.
        broken: is called with the error that ended the looking thread, unless it is a `StoreError`.
    """

    def __init__(
        self, store: Store, run_id: str, obey: Callable[[str, Command], None], broken: Callable[[Exception], None]
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._obey = obey
        self._broken = broken
        self._seen: set[str] = set()
        self._over = threading.Event()
        self._interval = 0.25 if store.is_near else 2.0
        self._thread = threading.Thread(target=self._look_for_ever, name=f"promissory inbox {run_id}", daemon=True)
        self._thread.start()

    def _look_for_ever(self) -> None:
        while not self._over.wait(self._interval):
            try:
                self._look()
            except Crashed:
                return
            except StoreError:
                continue  # the journal meets the same fault and reports it
            except Exception as error:  # a run that hears no commands could not be stopped
                self._broken(error)
                return

    def _look(self) -> None:
        found = waiting(self._store, self._run_id)
        self._seen &= {key for key, _ in found}
        for key, command in found:
            if key not in self._seen:
                self._seen.add(key)
                self._obey(key, command)

    def close(self) -> None:
        """End the looking thread."""
        self._over.set()
        self._thread.join()
