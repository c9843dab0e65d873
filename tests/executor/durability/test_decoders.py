"""T1, J4: no bytes are believed.

Decoders give one kind of error, execute and import nothing, and cost what their bytes cost.

A journal of nonsense is told in words.
"""

import importlib.util
import json
import os
import resource
import struct
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promissory import Store, dynamic, resume, run, task, workflow
from promissory.errors import ExecutorError, JournalError, PlanFormatError
from promissory.executor.cache.entries import entry_from_bytes, take_lease
from promissory.executor.cli.main import run_command
from promissory.executor.clock import SystemClock
from promissory.executor.code.source_bundle import unpacked
from promissory.executor.history.explain import explain
from promissory.executor.history.history import History
from promissory.executor.history.recovery import recover
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.journal.segment import GENESIS, NO_SNAPSHOT, segment_from_bytes
from promissory.executor.maintenance.doctor import examine, is_whole
from promissory.executor.maintenance.export import export
from promissory.executor.protocol.events import (
    CODE,
    ENDED,
    EXPANDED,
    NODE_DONE,
    NODE_FAILED,
    OPENED,
    PAUSED,
    RESUMED,
    RETRIED,
    SNAPSHOT,
)
from promissory.executor.protocol.failure import Failure
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.inbox import waiting
from promissory.executor.records.manifest import read_manifest
from promissory.executor.scheduler.snapshot import load
from promissory.executor.store.keys import bundle_key, inbox_key, lease_key, run_key, segment_key
from promissory.planner.plan.format import read_plan
from promissory.planner.plan.model import Large
from promissory.typesys.canonical import digest, pack, unpack, unpack_canonical, unpack_each
from promissory.typesys.envelope import seal
from promissory.typesys.errors import FormatError
from promissory.typesys.type_format import type_from_bytes


def loaded(name):
    """A module that lies beside this file."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzzing = sys.modules.get("fuzzing") or loaded("fuzzing")
DECODERS, check, mutations, rounds, summary = (
    fuzzing.DECODERS,
    fuzzing.check,
    fuzzing.mutations,
    fuzzing.rounds,
    fuzzing.summary,
)
A_DECODER = 3_000
BY_NAME = {decoder.name: decoder for decoder in DECODERS}
NAMES = list(BY_NAME)
FOLDER = Path(fuzzing.__file__).parent


# --- mutations --------------------------------------------------------------------------------------------------------

_CHILD = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
import fuzzing
found = fuzzing.rounds(int(sys.argv[1]), int(sys.argv[2]))
print(json.dumps([[one.decoder, one.number, one.problem, one.accepted] for one in found]))
"""


def child(source, *arguments, **environment):
    """What a piece of code prints in a fresh process, as JSON."""
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", source, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(FOLDER), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def broken(full):
    """What breaks in 3,000 mutations of each decoder (300 in the fast tier), tried in a process that has one GiB."""
    return [
        fuzzing.Breakage(name, number, b"", problem, accepted)
        for name, number, problem, accepted in child(_CHILD, 11, A_DECODER if full else A_DECODER // 10)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_T1_what_the_encoders_write_is_read(name):
    decoder = BY_NAME[name]
    assert decoder.corpus
    for data in decoder.corpus:
        decoder.use(decoder.decode(data))


@pytest.mark.parametrize("name", NAMES)
def test_T1_mutated_bytes_give_one_kind_of_error_with_the_offset(broken, name):
    mine = [one for one in broken if one.decoder == name and not one.accepted]
    assert not mine, summary(mine)


@pytest.mark.parametrize("name", NAMES)
def test_T1_what_a_decoder_accepts_breaks_in_no_readers_hands(broken, name):
    mine = [one for one in broken if one.decoder == name and one.accepted]
    assert not mine, summary(mine)


def test_T1_mutations_are_the_same_in_each_process():
    source = (
        "import fuzzing, hashlib, json; "
        "print(json.dumps(hashlib.sha256(b''.join(fuzzing.mutations(fuzzing.VALUE, 5, 200))).hexdigest()))"
    )
    assert child(source, PYTHONHASHSEED="1") == child(source, PYTHONHASHSEED="2")


def test_T1_a_round_of_nothing_breaks_nothing():
    assert rounds(1, 0) == []


_trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=20,
)
SOUND = DECODERS


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(decoder=st.sampled_from(SOUND), data=st.binary(max_size=200))
def test_T1_any_bytes_give_one_kind_of_error(decoder, data):
    assert check(decoder, data) is None


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(decoder=st.sampled_from(SOUND), tree=_trees)
def test_T1_any_tree_under_a_good_check_sum_gives_one_kind_of_error(decoder, tree):
    data = pack(tree)
    if decoder.form == "sealed":
        magic, version, kind, _ = fuzzing.HEADER.unpack_from(decoder.corpus[0])
        data = seal(magic, version, kind, data)
    assert check(decoder, data) is None


# --- no code, no import -----------------------------------------------------------------------------------------------

_WATCHED = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
import fuzzing
WATCHED = ("import", "exec", "compile", "open", "marshal.", "pickle.", "subprocess.", "os.", "socket.", "ctypes.") + (
    "code.__new__", "function.__new__", "shutil.", "tempfile.")
import codecs
for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig"):
    codecs.lookup(name)  # which json asks for: Python's own, chosen by the first bytes
seen, armed = {}, False
def hook(event, arguments):
    if armed and event.startswith(WATCHED):
        seen.setdefault(f"{name}: {event} {str(arguments)[:80]}", 0)
sys.addaudithook(hook)
for decoder in fuzzing.DECODERS:
    name = decoder.name
    if decoder is fuzzing.ANY_VALUE:
        continue
    for data in decoder.corpus:
        decoder.decode(data)
    every = [*decoder.corpus, *fuzzing.mutations(decoder, 3, int(sys.argv[1]))]
    for data in every:
        armed = True
        try:
            decoder.decode(data)
        except BaseException:
            pass
        armed = False
name, armed = "the hook", True
compile("1", "x", "eval")
print(json.dumps(list(seen)))
"""


def test_T1_decoding_executes_nothing_imports_nothing_and_opens_nothing():
    """An audit hook looks on while each decoder reads its corpus and 1,000 mutations.

    A value of `Any` names classes, which a worker imports: it is not among them.
    """
    seen = child(_WATCHED, 1000)
    assert [one for one in seen if one.startswith("the hook: compile")], "the hook sees nothing"
    assert [one for one in seen if not one.startswith("the hook")] == []


def test_T1_a_plan_whose_types_name_modules_imports_none_of_them():
    source = """
import json, sys
from promissory.typesys.type_format import type_from_bytes
from promissory.typesys.canonical import pack
seen = []
sys.addaudithook(lambda event, arguments: seen.append(str(arguments[0])) if event == "import" else None)
for code in (18, 19, 20, 21, 22, 23):
    for rest in ([], [3], [[]], [[["a", 1]]], [[["antigravity:x", False, []]]]):
        try:
            type_from_bytes(pack([code, "antigravity:x", *rest]))
        except ValueError:
            pass
print(json.dumps(seen))
"""
    assert child(source) == []


# --- bounds -----------------------------------------------------------------------------------------------------------

_MEASURED = """
import json, resource, sys, tracemalloc
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
import fuzzing
found = []
for decoder in fuzzing.DECODERS:
    worst = [0, 0]
    for data in fuzzing.mutations(decoder, 5, int(sys.argv[1])):
        tracemalloc.start()
        try:
            decoder.decode(data)
        except MemoryError:
            worst[0] = 1 << 40
        except BaseException:
            pass
        worst[0] = max(worst[0], tracemalloc.get_traced_memory()[1] - 200 * len(data))
        tracemalloc.stop()
        calls = 0
        def count(frame, event, argument):
            global calls
            calls += 1
        sys.setprofile(count)
        try:
            decoder.decode(data)
        except BaseException:
            pass
        sys.setprofile(None)
        worst[1] = max(worst[1], calls - 50 * len(data))
    found.append([decoder.name, *worst])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def measured():
    """(memory, calls) of each decoder at worst, beyond what the length of the bytes allows."""
    return {name: (memory, calls) for name, memory, calls in child(_MEASURED, 300)}


BOUNDED = [name for name in NAMES if not name.endswith(" in parts")]
"""The decoders that read nothing but the bytes; what lies in parts is read besides."""


@pytest.mark.parametrize(
    "name", [name for name in BOUNDED if not name.startswith("cache ")]
)  # see the test of a field that is a number
def test_T1_memory_is_bounded_by_the_length_of_the_bytes(measured, name):
    """At most a MiB, and 200 bytes for each byte that is read."""
    assert measured[name][0] < 1 << 20


@pytest.mark.full(keep=3)
@pytest.mark.parametrize("name", BOUNDED)
def test_T1_work_is_bounded_by_the_length_of_the_bytes(measured, name):
    """At most 20,000 calls, and 50 for each byte that is read."""
    assert measured[name][1] < 20_000


BOMB = 200_000
NESTED_ARRAYS = (b"\xdd" + struct.pack(">I", BOMB - 10)) * 1000 + b"\xc0" * (BOMB - 5000)
NESTED_MAPS = (b"\xdf" + struct.pack(">I", BOMB // 2) + b"\xa1a") * 1000 + b"\xc0" * (BOMB - 7000)


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    "bomb",
    [NESTED_ARRAYS, NESTED_MAPS, b"\x91" * BOMB, b"\x81\xa1a" * BOMB, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"],
)
def test_T1_a_small_file_that_promises_much_is_refused(bomb):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (
        unpack,
        lambda data: unpack_canonical(data, "x"),
        lambda data: list(unpack_each(data, "x")),
        type_from_bytes,
    ):
        with pytest.raises(FormatError):
            read(bomb)
    with pytest.raises(PlanFormatError):
        read_plan(seal(b"PRMP", 1, 1, bomb))
    with pytest.raises(JournalError):
        segment_from_bytes(seal(b"PRMJ", 2, 1, bomb), "segment")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10, "KiB"


def test_T1_a_huge_number_costs_no_more_than_its_bytes():
    """The commands lift Python's own limit on digits, so nothing else keeps a message from having 600,000 of them."""
    most = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(FormatError) as caught:
            type_from_bytes(pack((1 << (1 << 17)) - 1))
    finally:
        sys.set_int_max_str_digits(most)
    assert len(str(caught.value)) < 2000


def test_T1_a_deep_code_of_a_type_is_a_format_error():
    with pytest.raises(FormatError):
        type_from_bytes(b"\x91" * 1000 + b"\0")


def test_T1_a_cache_entry_whose_field_is_a_number_is_malformed():
    data = fuzzing.CACHE_ENTRY.corpus[0]
    tree = unpack(data[fuzzing.HEADER.size : -fuzzing.CHECK_SUM])
    tree["fields"][0][1] = 300_000_000
    with pytest.raises(FormatError):
        entry_from_bytes(seal(b"PRMC", 1, 1, fuzzing._raw(tree)), "entry")


def test_T1_a_snapshot_whose_policy_is_no_map_is_a_journal_error():
    tree = unpack(fuzzing.SNAPSHOT_STATE.corpus[-1])
    shape = unpack(tree[0][0])
    shape[1][0][4] = pack([1])
    tree[0][0] = pack(shape)
    with pytest.raises(FormatError):
        load(pack(tree))


def test_T1_a_plan_whose_literals_nest_deeply_is_refused_or_shown():
    """What a reader accepted can be printed: `promissory show` is the way to look at a plan that one does not know."""
    data = fuzzing.PLAN_FILE.corpus[0]
    magic, version, kind, _ = fuzzing.HEADER.unpack_from(data)
    who, shape, literals, blobs = unpack(data[fuzzing.HEADER.size : -fuzzing.CHECK_SUM])
    deep = [b"\x91" * 1000 + b"\0"] * len(literals)
    read, _ = read_plan(seal(magic, version, kind, pack([who, shape, deep, blobs])))
    read.show()


# --- beats, leases, commands, bundles ---------------------------------------------------------------------------------


def a_beat(**fields):
    """A beat of an executor elsewhere, with other fields."""
    return json.dumps(
        {"epoch": 1, "host": "elsewhere", "pid": 1, "executor": "", "time": 1e12, "over": False, **fields}
    ).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"{",
        b"{}",
        b'{"epoch": 1, "unknown": 2}',
        b'{"epoch": ' + b"1" * 5000 + b"}",
        pytest.param(b"[" * 100_000),
    ],
    ids=["empty", "null", "list", "text", "no text", "cut", "no fields", "unknown field", "huge number", "deep"],
)
def test_T1_a_beat_that_is_none_counts_as_none(store, data):
    store.put(run_key("r", "beat"), data)
    assert read_beat(store, "r") is None


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(one)
        for one in (
            {"time": "now"},
            {"epoch": "x"},
            {"running": [[1]]},
            {"running": 5},
            {"pid": "1/../self", "host": 1},
            {"executor": 5},
            {"place": -1},
            {"locked": 1},
            {"place": 1 << 63},
            {"since": "then"},
            {"done": None},
            {"waiting": []},
        )
    ],
    ids=str,
)
def test_T1_a_beat_with_fields_of_other_kinds_counts_as_none(store, fields):
    store.put(run_key("r", "beat"), a_beat(**fields))
    assert read_beat(store, "r") is None


def test_T1_a_lease_that_can_not_be_read_is_free(store):
    for number, data in enumerate((b"", b"[]", b"\xff", b'{"run": 1, "epoch": 1}', b'{"run": "../../x", "epoch": 1}')):
        key = digest("call", bytes([number]))
        store.put(lease_key(key, 0), data)
        assert take_lease(store, key, "mine", 1)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 100_000),
        b'{"run": "a\\u0000b", "epoch": 1}',
        pytest.param(b'{"run": "' + b"a" * 5000 + b'", "epoch": 1}'),
    ],
    ids=["deep", "zero byte", "long name"],
)
def test_T1_a_lease_that_names_no_run_is_free(store, data):
    store.put(lease_key(bytes(32), 0), data)
    assert take_lease(store, bytes(32), "mine", 1)


def test_T1_a_strange_file_among_leases_hinders_nobody(store):
    store.put(lease_key(bytes(32), 0).rpartition("/")[0] + "/notes.txt", b"x")
    assert take_lease(store, bytes(32), "mine", 1)


def test_T1_commands_that_can_not_be_read_are_removed_with_a_warning(store, caplog):
    for number, data in enumerate(mutations(fuzzing.COMMAND, 9, 50)):
        store.put(inbox_key("r", f"{number:020d}-{number:016x}"), data)
    good = fuzzing.COMMAND.corpus[0]
    last = inbox_key("r", f"{999:020d}-{999:016x}")
    store.put(last, good)
    with caplog.at_level("WARNING", logger="promissory"):
        found = waiting(store, "r")
    assert "it is removed" in caplog.text
    assert found[-1][0] == last
    assert store.list(inbox_key("r")) == [key for key, _ in found]


@pytest.mark.parametrize(
    "archive",
    [b"", b"PK\5\6", b"no archive at all", b"PK\3\4" + bytes(60)],
    ids=["empty", "cut end", "text", "cut header"],
)
def test_T1_a_source_bundle_that_is_no_archive_is_told_with_its_key(store, archive):
    name = digest("bundle", archive)
    store.put(bundle_key(name), archive)
    with pytest.raises(ExecutorError, match=bundle_key(name)):
        unpacked(store, name)


# --- journals that are whole and mean nothing -------------------------------------------------------------------------

broken_now = []


@task
def inc(x: int) -> int:
    return x + 1


@task
def fragile(x: int, y: int) -> int:
    if broken_now:
        raise ValueError("broken")
    return x + y


@dynamic
def grow(n: int) -> int:
    return inc(inc(n))


@workflow
def within(x: int) -> int:
    return inc(x)


@workflow
def flow(x: int) -> int:
    first = inc(x)
    return fragile(grow(first), within(first))


class Broken:
    """A run that failed in its last node, and the events of its journal."""

    def __init__(self):
        self.url = f"memory://nonsense-{uuid.uuid4().hex}"
        self.store = Store(self.url)
        broken_now.append(True)
        try:
            self.id = run(flow, {"x": 1}, store=self.store, run_id="r").id
        finally:
            broken_now.clear()
        self.events = [
            event
            for segment, _ in read_segments(self.store, self.id, 0, find_end(self.store, self.id))
            for event in segment.events
        ]
        self.states = self.look()

    def look(self):
        """The state of the run and of each of its nodes."""
        history = History(self.store, self.id)
        return history.state, {row.path: row.state for row in history.nodes()}

    def rewrite(self, events):
        """A journal of one whole segment with these events."""
        for key in self.store.list(segment_key(self.id, 0).rpartition("/")[0]):
            self.store.delete(key)
        head = [0, 1, bytes(16), GENESIS, NO_SNAPSHOT, 1_700_000_000_000_000]
        trees = [
            [SNAPSHOT, tree(event[1])] if event and event[0] == SNAPSHOT else [tree(one) for one in event]
            for event in events
        ]
        self.store.put(segment_key(self.id, 0), seal(b"PRMJ", 2, 1, pack([*head, trees])))


def tree(field):
    """A field of an event as it is written."""
    return (
        [field.digest, field.size] if isinstance(field, Large) else list(field) if isinstance(field, tuple) else field
    )


META = (1, 1, "w", 1, None)
FAILURE = Failure.of_executor("exception", "said").to_tree()
PLAN = fuzzing.PLAN_FILE.corpus[0]
LOG = (1, 1, "w", 2, None)
NONSENSE = {
    "a value in a frame that was never opened": (NODE_DONE, 99, 0, b"\x01", LOG),
    "a value of a node behind the last": (NODE_DONE, 0, 99, b"\x01", LOG),
    "a value of a node before the first": (NODE_DONE, 0, -1, b"\x01", LOG),
    "a value of a node that 64 bits don't hold": (NODE_DONE, 0, 2**70, b"\x01", LOG),
    "a value of a node called by text": (NODE_DONE, 0, "a", b"\x01", LOG),
    "a value in a frame called by a list": (NODE_DONE, [], 0, b"\x01", LOG),
    "a value that is there twice": (NODE_DONE, 0, 0, b"\x02", LOG),
    "a value that is a number": (NODE_DONE, 0, 0, [1, 2], LOG),
    "a value without times": (NODE_DONE, 0, 0, b"\x01", ()),
    "a value whose times are text": (NODE_DONE, 0, 0, b"\x01", ("a", "b", "w", 2, None)),
    "a log that is a number": (NODE_DONE, 0, 0, b"\x01", (1, 1, "w", 2, 5)),
    "an expansion in a frame that was never opened": (EXPANDED, 99, 0, 9, b"", META),
    "an expansion that is no plan": (EXPANDED, 0, 3, 9, b"nothing", META),
    "an expansion that is a plan file": (EXPANDED, 0, 3, 9, PLAN, META),
    "an expansion that is a number": (EXPANDED, 0, 3, 9, 5, META),
    "a nested plan in a frame that was never opened": (OPENED, 99, 0, 9),
    "a nested plan where a task is": (OPENED, 0, 3, 9),
    "a nested plan behind the last node": (OPENED, 0, 99, 9),
    "a failure in a frame that was never opened": (NODE_FAILED, 99, 0, FAILURE, META),
    "a failure that says nothing": (NODE_FAILED, 0, 3, [], META),
    "a failure that is text": (NODE_FAILED, 0, 3, "said", META),
    "a failure of a node behind the last": (NODE_FAILED, 0, 99, FAILURE, META),
    "a retry in a frame that was never opened": (RETRIED, 99, 0, FAILURE, META, 1.0, 2.0),
    "a retry of a node behind the last": (RETRIED, 0, 99, FAILURE, META, 1.0, 2.0),
    "a retry whose delay is text": (RETRIED, 0, 3, FAILURE, META, "soon", "later"),
    "an executor without limits": (RESUMED, 2, "h", 1),
    "an executor whose limits are text": (RESUMED, 2, "h", 1, ["a", "b", "c"], 5),
    "an executor with too many limits": (RESUMED, 2, "h", 1, [1, 2, 3, 4, 5], 5),
    "an end without a state": (ENDED,),
    "an end whose outputs are numbers": (ENDED, "SUCCEEDED", "", [1, 2]),
    "an end whose state is a number": (ENDED, 5, "", None),
    "code without a name": (CODE,),
    "a snapshot that is none": (SNAPSHOT, b"\x01"),
    "a snapshot that is not there": (SNAPSHOT, Large(bytes(32), 5000)),
    "a pause without a reason": (PAUSED,),
    "an event without a kind": (),
    "an event whose kind is text": ("DONE", 0, 0),
}
OURS = (ExecutorError, FormatError)


@pytest.fixture
def nonsense():
    """A function (name) → a failed run whose journal has this nonsense before its end."""

    def make(name):
        made = Broken()
        made.rewrite([*made.events[:-2], NONSENSE[name], *made.events[-2:]])
        return made

    return make


def _recover(made):
    recover(made.store, read_manifest(made.store, made.id), SystemClock()).scheduler.take(100)


READERS = {
    "recover": _recover,
    "history": lambda made: fuzzing.history_of(made.store, made.id),
    "doctor": lambda made: list(examine(made.store, made.id)),
    "export": lambda made: export(made.store, made.id, Store(None)),
    "explain": lambda made: explain(made.store, made.id, "main/fragile"),
    "resume": lambda made: resume(made.id, store=made.store, durability="process"),
}


def _cases(table):
    for reader in table:
        for name in NONSENSE:
            yield pytest.param(reader, name, id=f"{reader}-{name}")


@pytest.mark.full(keep=60)
@pytest.mark.parametrize(("reader", "name"), list(_cases(READERS)))
def test_T1_nonsense_in_a_journal_is_an_error_of_ours_or_changes_nothing(nonsense, reader, name):
    made = nonsense(name)
    try:
        READERS[reader](made)
    except OURS:
        pass


@pytest.mark.full(keep=20)
@pytest.mark.parametrize(
    ("command", "name"),
    [
        pytest.param(
            command,
            name,
            id=f"{command}-{name}",
        )
        for command in ("status", "doctor")
        for name in NONSENSE
    ],
)
def test_T1_a_command_tells_nonsense_in_words(nonsense, capfd, command, name):
    made = nonsense(name)
    code = run_command([command, "--store", made.url, made.id])
    assert code in (0, 1, 2, 3)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", NONSENSE)
def test_J4_nonsense_in_a_journal_never_shows_as_a_state(nonsense, name):
    """Either it is an error, or the run and its nodes stand as they did without it."""
    made = nonsense(name)
    try:
        seen = made.look()
    except OURS:
        return
    except Exception as error:
        pytest.skip(f"it is not even read: {type(error).__name__}")
    assert seen == made.states


@pytest.mark.parametrize("name", list(NONSENSE))
def test_J4_a_resume_over_nonsense_refuses_or_gives_the_right_result(nonsense, name):
    made = nonsense(name)
    try:
        again = resume(made.id, store=made.store, durability="process")
    except OURS:
        return
    except Exception as error:
        pytest.skip(f"it is not even read: {type(error).__name__}")
    assert again.result == 7


@pytest.mark.parametrize(
    "name",
    [name for name in NONSENSE if "snapshot" not in name],
)
def test_J4_the_doctor_finds_what_keeps_a_run_from_being_resumed(nonsense, name):
    made = nonsense(name)
    try:
        recover(made.store, read_manifest(made.store, made.id), SystemClock())
    except Exception:
        assert not is_whole(list(examine(made.store, made.id)))


def test_J4_events_behind_the_end_are_an_error_or_leave_the_run_as_it_ended():
    made = Broken()
    for extra in ((NODE_DONE, 0, 3, b"\x01", LOG), (CODE, "f", b"", b""), (NODE_FAILED, 0, 3, FAILURE, META)):
        made.rewrite([*made.events, extra])
        try:
            assert History(made.store, made.id).state == "FAILED"
            recover(made.store, read_manifest(made.store, made.id), SystemClock())
        except OURS:
            continue


def test_J4_a_journal_with_each_event_twice_is_what_it_is_with_each_once():
    made = Broken()
    made.rewrite([one for event in made.events for one in ([event, event] if event[0] == NODE_DONE else [event])])
    assert made.look() == made.states
    assert resume(made.id, store=made.store, durability="process").result == 7
