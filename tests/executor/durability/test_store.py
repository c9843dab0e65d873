"""The store's verbs: whole keys or none, each object once, clear words when something is wrong."""

import os
import sys

import pytest

from promissory import Store, run, task, workflow
from promissory.errors import NotInStore, StoreError
from promissory.executor.store.keys import object_key
from promissory.planner.plan.model import Large

BIG = bytes(5000)


@pytest.fixture(params=["folder", "memory"])
def either(request, tmp_path):
    """A store on disk, and one in memory."""
    return Store(tmp_path / "store" if request.param == "folder" else None)


def files_below(folder):
    return sorted(os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)


@task
def big(x: int) -> list[int]:
    return [x] * 5000


@task
def count(values: list[int]) -> int:
    return len(values)


@workflow
def equal_values(x: int) -> list[int]:
    return [count(big(x)), count(big(x)), count(big(x))]


def test_J1_put_new_creates_once_and_tells(either):
    assert either.put_new("a/b/c", b"1") is True
    assert either.put_new("a/b/c", b"2") is False
    assert either.get("a/b/c") == b"1"


@pytest.mark.parametrize("durable", [True, False])
def test_J1_put_new_never_replaces_what_is_there(either, durable):
    either.put_new("runs/r/journal/1", b"first", durable=durable)
    assert either.put_new("runs/r/journal/1", b"second and longer", durable=durable) is False
    assert either.get("runs/r/journal/1") == b"first"


def test_J1_the_other_verbs(either):
    either.put("a/x", b"1")
    either.put("a/x", b"23456")
    assert (either.get("a/x"), either.get_range("a/x", 1, 3), either.exists("a/x"), either.exists("a/y")) == (
        b"23456",
        b"34",
        True,
        False,
    )
    assert [either.append("log", b"ab"), either.append("log", b"cde"), either.append("log", b"")] == [0, 2, 5]
    assert either.get("log") == b"abcde"
    either.put("a/w", b"")
    assert either.list("a") == ["a/w", "a/x"]
    assert either.list("nothing") == []
    either.delete("a/x")
    either.delete("a/x")
    assert either.list("a") == ["a/w"]


def test_J1_a_key_that_is_not_there_is_named(either):
    for verb in (either.get, lambda key: either.get_range(key, 0, 1)):
        with pytest.raises(NotInStore, match="runs/nobody/beat is not in the store"):
            verb("runs/nobody/beat")


def test_J1_no_temporary_files_are_left(tmp_path):
    store = Store(tmp_path / "store")
    for number in range(20):
        store.put_new("k/1", bytes(number), durable=bool(number % 2))
        store.put("k/2", bytes(number))
        store.put_value(BIG)
    assert len(files_below(tmp_path / "store")) == 3


def test_J2_equal_values_are_one_object(store):
    assert run(equal_values, {"x": 1}, store=store).result == [5000] * 3
    assert len([key for folder in store.list("objects") for key in store.list(folder)]) == 1


def test_J2_values_up_to_the_limit_stay_inline(either):
    assert either.put_value(bytes(4096)) == bytes(4096)
    large = either.put_value(bytes(4097))
    assert isinstance(large, Large)
    assert large.size == 4097
    assert either.get_value(large) == bytes(4097)


def test_J4_a_damaged_object_is_named(either):
    large = either.put_value(BIG)
    key = object_key(large.digest)
    either.put(key, BIG[:-1] + b"\1")
    with pytest.raises(StoreError, match=f"{key} in the store .* is damaged: its digest does not match its bytes"):
        either.get_value(large)


@pytest.mark.parametrize("left", [b"", BIG[:4096], b"\xff" * 4096 + BIG[4096:]], ids=["empty", "cut", "filled up"])
def test_J2_an_object_that_a_dead_machine_left_half_written_is_made_whole(store, left):
    """Objects are synced when they are named, so a power cut may leave one torn, cut short or filled up to its length.

    Whoever makes the value anew must not name what is there without a look at it.
    """
    large = store.put_value(BIG)
    store.put(object_key(large.digest), left)
    store.put_value(BIG)
    assert store.get_value(large) == BIG


def test_J5_what_is_not_supported_says_what_is():
    with pytest.raises(StoreError, match=r"ftp://host/x can't be shared: .* Use file://, s3://, gs:// or abfs://"):
        Store("ftp://host/x")


@pytest.mark.parametrize("name", ["plain", "with space", "50%25 off", "ünïcode", "a#b?c"])
def test_J7_a_store_is_found_again_by_its_url(tmp_path, name):
    store = Store(tmp_path / name)
    store.put_new("k", b"here")
    assert Store(store.url).get("k") == b"here"
    assert Store(str(tmp_path / name)).get("k") == b"here"


def test_J5_a_memory_store_is_shared_by_its_name_and_a_private_one_is_not():
    Store("memory://shared-by-name").put("k", b"1")
    assert Store("memory://shared-by-name").get("k") == b"1"
    assert not Store("memory://shared").exists("k")
    private = Store(None)
    private.put("k", b"1")
    assert not Store(None).exists("k")


def calls_of(function, *arguments):
    """How many functions are called, Python's own included, until a function is through."""
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return len(calls)


def test_J5_a_memory_store_costs_the_same_however_much_is_in_it():
    """A plain call of a deep recursion puts a key a level: a walk over all keys for each would cost the square."""
    costs = []
    store = Store(None)
    for size in (10, 500):
        for number in range(size):
            store.put_new(f"k/{number}", b"")
        costs.append(
            [
                calls_of(store.exists, "k/7"),
                calls_of(store.exists, "k/none"),
                calls_of(store.put_new, f"new/{size}", b""),
            ]
        )
    assert all(large < small + 100 for small, large in zip(*costs, strict=True)), costs


def test_J1_a_key_that_cannot_be_looked_at_is_no_missing_key(tmp_path):
    """Otherwise a disk that fails for a moment makes a journal look as if it had ended there."""
    store = Store(tmp_path / "store")
    store.put_new("runs/r/x", b"")
    os.symlink("loop", tmp_path / "store" / "runs" / "r" / "loop")
    with pytest.raises(StoreError):
        store.exists("runs/r/loop/0")
    assert not store.exists("runs/r/x/below a file")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser writes everywhere")
def test_J1_a_folder_that_is_read_only_is_a_clear_error(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir(mode=0o555)
    with pytest.raises(StoreError, match=r"can't write .* in the store file://.*: Permission denied"):
        run(equal_values, {"x": 1}, store=folder)
    assert files_below(folder) == []


def test_J1_a_store_below_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"can't write .* in the store file://.*/file/store: Not a directory"):
        run(equal_values, {"x": 1}, store=tmp_path / "file" / "store")


def test_J1_a_folder_that_was_removed_meanwhile_is_made_again(tmp_path):
    store = Store(tmp_path / "store")
    store.put_new("a/b/c", b"1")
    os.unlink(tmp_path / "store/a/b/c")
    os.rmdir(tmp_path / "store/a/b")
    assert store.put_new("a/b/c", b"2")
    assert store.get("a/b/c") == b"2"
