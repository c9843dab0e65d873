"""J1, J6: storage that is full, read-only, slow, gone, or fails now and then: what was acknowledged is kept, the error
names the key and the way out, and a resume goes on.
"""

import errno
import os
import shutil
import subprocess
import uuid

import pytest

from promissory import Store, resume, run, task, workflow
from promissory.errors import StoreError
from promissory.executor.history.history import History
from promissory.executor.maintenance.doctor import ERROR, examine
from promissory.executor.protocol.events import NODE_DONE, NODE_FAILED
from promissory.executor.testing.diary import forget
from promissory.executor.testing.enumeration import check_resumed, undisturbed
from promissory.executor.testing.workloads import WORKLOADS
from promissory.testing import Fault, FaultyStore

RUN_ID = "interrupted"
NESTED, RETRIED, CACHED = WORKLOADS[:3]
by_name = pytest.mark.parametrize("workload", WORKLOADS[:3], ids=lambda workload: workload.name)
WRITES = ("put_new", "put", "append")
STAYS = {"full": errno.ENOSPC, "read-only": errno.EROFS, "denied": errno.EACCES, "quota": errno.EDQUOT}
PASSES = {"busy": errno.EBUSY, "stale": errno.ESTALE, "timed out": errno.ETIMEDOUT}


def failing(number):
    return lambda: OSError(number, os.strerror(number))


@pytest.fixture
def new_url():
    """A function: URL of an empty store in memory."""
    return lambda: f"memory://{uuid.uuid4()}"


def carried(workload, store, **options):
    """What a run on a store ends with: the run, or the error of its store."""
    forget()
    try:
        return run(
            workload.target, workload.inputs, store=store, run_id=RUN_ID, echo=False, durability="process", **options
        )
    except StoreError as error:
        return error


# --- errors that stay ---


@pytest.mark.full(keep=2)
@by_name
@pytest.mark.parametrize("why", STAYS)
@pytest.mark.filterwarnings("ignore:can't write:RuntimeWarning")
def test_J1_a_disk_that_turns_bad_at_any_write_and_stays_so_loses_nothing_acknowledged(workload, why, new_url):
    expected, number, stopped = undisturbed(workload, new_url()), 1, 0
    while True:
        url, seen = new_url(), []
        store = FaultyStore(url, [_From(number, STAYS[why])])
        ended = carried(workload, store, on_progress=lambda progress, seen=seen: seen.append(progress.done))
        if not isinstance(ended, StoreError):
            assert ended.result == workload.result
            break
        stopped += 1
        said = str(ended)
        assert said.startswith("can't write ")
        assert url in said
        assert os.strerror(STAYS[why]) in said
        if Store(url).exists(f"runs/{RUN_ID}/manifest"):
            committed = sum(row.state in ("SUCCEEDED", "EXPANDED") for row in History(Store(url), RUN_ID).nodes())
            assert committed >= max(seen, default=0), "what was shown is there"
        check_resumed(workload, url, expected, f"{workload.name}, {why} from write {number}")
        number += 4
    assert stopped >= 3


class _From(Fault):
    """Every write from the n-th one fails."""

    __slots__ = ()

    def __init__(self, number, error):
        super().__init__("fail", at=number, verbs=WRITES, error=failing(error))

    def strikes(self, verb, key, draw):
        self.seen += verb in self.verbs
        return verb in self.verbs and self.seen >= self.at


@pytest.mark.parametrize("why", STAYS)
def test_J1_the_error_of_a_bad_disk_names_the_key_the_store_and_the_way_out(why, tmp_path):
    store = FaultyStore(
        tmp_path, [Fault("fail", verbs=["put_new"], keys="runs/*/journal/*", error=failing(STAYS[why]))]
    )
    error = carried(NESTED, store)
    assert (
        str(error)
        == f"can't write runs/{RUN_ID}/journal/{0:020d} in the store {tmp_path.as_uri()}: {os.strerror(STAYS[why])}"
    )
    assert error.__notes__ == [
        (
            f"run {RUN_ID} is interrupted; what was acknowledged is safe. "
            f"Repair the store, then: promissory resume {RUN_ID} --store {tmp_path.as_uri()}"
        )
    ]
    assert isinstance(error.__cause__, OSError)
    assert error.__cause__.errno == STAYS[why]


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_J6_a_disk_that_is_full_when_a_value_is_stored_is_no_nodes_failure(engine, tmp_path, events_of):
    store = FaultyStore(
        tmp_path, [Fault("fail", verbs=["put_new"], keys="objects/*", at=1, error=failing(errno.ENOSPC))]
    )
    error = carried(NESTED, store, engine=engine)
    assert isinstance(error, StoreError)
    assert "No space left on device" in str(error)
    assert "objects/" in str(error)
    assert not [event for event in events_of(Store(tmp_path), RUN_ID) if event[0] == NODE_FAILED]
    assert resume(RUN_ID, store=tmp_path, echo=False, durability="process").result == NESTED.result


@pytest.mark.parametrize("keys", ["runs/*/futures/*", "cache/*"])
def test_J1_what_is_only_written_for_others_stops_no_run_and_is_told_once(keys, new_url, caplog):
    store = FaultyStore(url := new_url(), [Fault("fail", verbs=WRITES, keys=keys, error=failing(errno.ENOSPC))])
    with caplog.at_level("WARNING", logger="promissory"):
        done = carried(CACHED, store)
    told = [record.getMessage() for record in caplog.records if "can't write" in record.getMessage()]
    assert len(told) == 1
    assert told[0].endswith("No space left on device. The run goes on: nothing in it depends on this")
    assert done.result == CACHED.result
    assert not [finding for finding in examine(Store(url), RUN_ID) if finding.severity == ERROR]


def test_J1_what_is_only_written_for_others_stops_no_run_where_warnings_are_errors_either(new_url):
    store = FaultyStore(new_url(), [Fault("fail", verbs=WRITES, keys="runs/*/futures/*", error=failing(errno.ENOSPC))])
    assert carried(NESTED, store).result == NESTED.result


def test_J3_a_beat_that_can_not_be_written_is_only_a_missed_beat(new_url):
    """Once the run has begun, at least: beats decide nothing."""
    store = FaultyStore(new_url(), [_Later("runs/*/beat")])
    assert carried(NESTED, store).result == NESTED.result


class _Later(Fault):
    """Every write of a key but the first one fails."""

    __slots__ = ()

    def __init__(self, keys):
        super().__init__("fail", verbs=("put",), keys=keys, error=failing(errno.ENOSPC))

    def strikes(self, verb, key, draw):
        return Fault.strikes(self, verb, key, draw) and self.seen > 1


def test_J1_a_store_in_which_nothing_can_be_written_is_told_before_anything_runs(new_url):
    begun = []

    @task
    def first() -> int:
        begun.append(1)
        return 1

    store = FaultyStore(new_url(), [Fault("fail", verbs=WRITES, error=failing(errno.EROFS))])
    with pytest.raises(StoreError, match=r"can't write .* in the store .*: Read-only file system"):
        run(first, store=store, echo=False)
    assert begun == []


def test_J1_a_store_below_a_file_is_told_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"can't write .* in the store .*file/store: (Not a directory|File exists)"):
        run(NESTED.target, NESTED.inputs, store=tmp_path / "file" / "store", echo=False)


def test_J1_a_store_that_can_be_read_but_not_written_shows_its_runs(tmp_path):
    run(NESTED.target, NESTED.inputs, store=tmp_path, run_id=RUN_ID, echo=False, durability="process")
    readonly = FaultyStore(tmp_path, [Fault("fail", verbs=(*WRITES, "delete"), error=failing(errno.EROFS))])
    assert {row.state for row in History(readonly, RUN_ID).nodes()} == {"SUCCEEDED"}
    assert not [finding for finding in examine(readonly, RUN_ID) if finding.severity == ERROR]


# --- real disks ---


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MiB: room for the sources of this folder, and little more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@task
def heavy(n: int) -> bytes:
    return bytes([n % 251]) * 300_000


@task
def weighed(parts: list[bytes]) -> int:
    return sum(map(len, parts))


@workflow
def much() -> int:
    return weighed([heavy(n) for n in range(20)])


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J1_a_disk_that_is_really_full_stops_the_run_and_a_resume_goes_on_when_there_is_room(
    small_disk, engine, events_of
):
    with pytest.raises(StoreError, match="No space left on device") as caught:
        run(much, store=small_disk, run_id="much", engine=engine, echo=False, durability="process")
    assert "promissory resume much --store" in caught.value.__notes__[0]
    committed = [event for event in events_of(Store(small_disk), "much") if event[0] == NODE_DONE]
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert resume("much", store=small_disk, engine=engine, echo=False, durability="process").result == 6_000_000
    assert [event for event in events_of(Store(small_disk), "much") if event[0] == NODE_DONE][
        : len(committed)
    ] == committed
    left = Store(small_disk).leftovers()
    assert left == [] or (engine == "processes" and len(left) <= os.cpu_count()), (
        "a worker that was writing is ended with the run, and leaves its file to gc"
    )


def test_J1_a_disk_that_turns_read_only_under_a_run_is_told(small_disk, events_of):
    @task
    def turns(x: int) -> int:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        return x + 1

    @task(commit="each")
    def before(x: int) -> int:
        return x + 1

    @workflow
    def flow(x: int) -> int:
        return turns(before(x))

    with pytest.raises(StoreError, match=r"can't write runs/turns/.*: Read-only file system"):
        run(flow, {"x": 0}, store=small_disk, run_id="turns", echo=False)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert [event[2] for event in events_of(Store(small_disk), "turns") if event[0] == NODE_DONE] == [0]


def test_J1_the_store_of_a_run_is_removed_under_it(tmp_path):
    """Nothing can be kept, so nothing may be said to be: an error that says what is missing, not a result, and
    no hang.
    """
    folder = tmp_path / "store"

    @task(commit="each")
    def settled(x: int) -> int:
        return x

    @task(commit="each")
    def removes(x: int) -> int:
        shutil.rmtree(folder, ignore_errors=True)
        return x + 1

    @task(commit="each")
    def then(x: int) -> list[int]:
        return [x] * 6000

    @workflow
    def flow(x: int) -> list[int]:
        return then(removes(settled(x)))

    try:
        ended = run(flow, {"x": 0}, store=folder, run_id="gone", echo=False)
    except StoreError as error:
        assert str(folder) in str(error)
    else:
        assert Store(folder).exists("runs/gone/manifest"), "a run that is said to have succeeded can be read by others"
        assert resume("gone", store=folder, echo=False).result == ended.result


PERMISSIONS = """
import os, sys
import promissory
from promissory.errors import ExecutorError
from denied import flow
promissory.run(flow, {"x": 0}, run_id="before", echo=False)  # everything is imported
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print(promissory.run(flow, {"x": 0}, store=sys.argv[1], echo=False).result)
except ExecutorError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="somebody else can only be played by root")
def test_J1_a_folder_of_somebody_else_is_told_with_its_name(project, tmp_path):
    for folder in (*tmp_path.parents, tmp_path, project.folder):
        if os.stat(folder).st_mode & 5 != 5 and str(folder) != "/":
            subprocess.run(["chmod", "o+rx", str(folder)], check=True)
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o755)
    project.write("denied.py", "from promissory import task\n@task\ndef flow(x: int) -> int:\n    return x\n")
    said = project.code("import sys\nsys.argv.append(" + repr(str(mine)) + ")\n" + PERMISSIONS)
    assert said.startswith("StoreError ")
    assert "can't be made, or takes no file" in said
    assert mine.as_uri() in said
    assert "Permission denied" in said
    assert list(mine.iterdir()) == []


# --- errors that pass ---


@pytest.mark.full(keep=3)
@by_name
@pytest.mark.parametrize("why", PASSES)
def test_J6_an_error_that_passes_at_any_operation_is_waited_out(workload, why, new_url, events_of):
    undisturbed(workload, new_url())
    number = 1
    while True:
        store = FaultyStore(
            url := new_url(),
            [Fault("fail", at=number, error=failing(PASSES[why]), when="after" if number % 2 else "before")],
        )
        ended = carried(workload, store)
        assert ended.result == workload.result
        assert not [event for event in events_of(Store(url), RUN_ID) if event[0] == NODE_FAILED]
        if len(store.operations) < number:
            break
        number += 9


@pytest.mark.full(keep=2)
@by_name
@pytest.mark.parametrize("seed", range(2))
def test_J6_a_store_a_fifth_of_whose_operations_fail_costs_time_and_nothing_else(workload, seed, new_url):
    expected, url = undisturbed(workload, new_url()), new_url()
    store = FaultyStore(url, [Fault("fail", rate=0.1), Fault("fail", rate=0.1, when="after")], seed=seed)
    assert carried(workload, store).result == workload.result
    check_resumed(workload, url, expected, "flaky")
    assert len(set(store.operations)) < len(store.operations)


@pytest.mark.filterwarnings("ignore:can't write:RuntimeWarning")
def test_J6_a_resume_on_a_flaky_store_goes_on_too(new_url):
    url = new_url()
    with pytest.raises(StoreError):
        raise carried(NESTED, FaultyStore(url, [_From(18, errno.ENOSPC)]))
    flaky = FaultyStore(url, [Fault("fail", rate=0.1), Fault("fail", rate=0.1, when="after")], seed=4)
    assert resume(RUN_ID, store=flaky, echo=False, durability="process").result == NESTED.result


def test_J6_an_error_that_passes_but_never_does_ends_when_patience_ends(new_url):
    store = FaultyStore(new_url(), [Fault("fail", keys="runs/*/journal/*", verbs=["put_new"])], patience=0.2)
    error = carried(NESTED, store)
    assert str(error).startswith(f"can't write runs/{RUN_ID}/journal/")
    assert "the connection was lost" in str(error)


@pytest.mark.parametrize("seconds", [0.01])
def test_J6_a_slow_store_makes_a_run_slow_and_nothing_else(seconds, new_url):
    url = new_url()
    store = FaultyStore(url, [Fault("delay", seconds=seconds)])
    assert carried(NESTED, store).result == NESTED.result
    check_resumed(NESTED, url, undisturbed(NESTED, new_url()), "slow")


def test_J3_who_is_slow_to_commit_still_beats_and_obeys(new_url, eventually):
    """A second for each segment: many commits are one, so a run of many nodes takes few seconds."""
    store = FaultyStore(new_url(), [Fault("delay", keys="runs/*/journal/*", verbs=["put_new"], seconds=0.2)])
    assert carried(NESTED, store).result == NESTED.result
    segments = [key for verb, key in store.operations if verb == "put_new" and "/journal/" in key]
    assert len(segments) < 8


@pytest.mark.full
def test_J1_a_file_size_limit_in_a_worker_process_is_the_stores_error_and_no_nodes(tmp_path, project):
    project.write(
        "limits.py",
        """
        from promissory import task, workflow
        @task(retries=2)
        def big(x: int) -> bytes:
            with open("begun", "a") as file:
                file.write("x")
            return bytes(50_000)
        @task
        def length(x: bytes) -> int:
            return len(x)
        @workflow
        def flow(x: int) -> int:
            return length(big(x))
        """,
    )
    project.write(
        "go.py",
        """
        import os, resource
        import promissory
        from promissory.errors import StoreError
        from limits import flow
        if __name__ == "__main__":
            if os.environ.get("LIMIT"):  # workers have the limits of the program that starts them
                resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
            try:
                promissory.run(flow, {"x": 1}, run_id="limits", engine="processes", echo=False)
            except StoreError as error:
                print("StoreError", error)
        """,
    )
    said = project.python("go.py", LIMIT="1")
    assert said.startswith("StoreError can't write objects/")
    assert "File too large" in said
    assert project.code('import promissory; print(promissory.resume("limits", echo=False).result)').strip() == "50000"
