"""J5: a store's verbs mean the same in a folder, in memory, on S3, on Google Cloud Storage and on Azure Blob
Storage.
"""

import threading

import pytest

from promissory.errors import NotInStore, StoreError
from promissory.executor.store.keys import log_key, object_key

WRITERS = 8
KEYS = 50
LOG = log_key("some-run", "worker-1")


def test_J5_a_key_is_created_once_and_the_second_writer_is_told(place):
    store = place.store()
    assert store.put_new("a/b", b"first") is True
    assert store.put_new("a/b", b"second") is False
    assert store.get("a/b") == b"first"


def test_J5_a_key_is_created_once_also_for_another_user_of_the_same_url(place):
    assert place.store().put_new("a/b", b"first") is True
    assert place.store().put_new("a/b", b"second") is False
    assert place.store().get("a/b") == b"first"


@pytest.mark.parametrize("durable", [True, False])
def test_J5_empty_content_is_content(place, durable):
    store = place.store()
    assert store.put_new("a/empty", b"", durable=durable)
    assert (store.get("a/empty"), store.exists("a/empty"), store.list("a")) == (b"", True, ["a/empty"])
    assert store.put_new("a/empty", b"now there is something", durable=durable) is False
    assert store.get("a/empty") == b""


def test_J5_put_creates_and_replaces_whole(place):
    store = place.store()
    store.put("runs/r/beat", b"a long content")
    store.put("runs/r/beat", b"short")
    assert store.get("runs/r/beat") == b"short"


def test_J5_a_range_is_what_slicing_gives(place):
    store = place.store()
    store.put_new("k", bytes(range(100)))
    for start, end in [(0, 100), (0, 1), (99, 100), (10, 20), (90, 1000), (0, 0), (50, 50)]:
        assert store.get_range("k", start, end) == bytes(range(100))[start:end], (start, end)


def test_J5_a_range_behind_the_end_is_empty_everywhere(place, request):
    store = place.store()
    store.put_new("k", b"12345")
    assert store.get_range("k", 5, 9) == b""
    assert store.get_range("k", 500, 900) == b""


def test_J5_a_range_of_an_empty_key_is_empty(place, request):
    store = place.store()
    store.put_new("k", b"")
    assert store.get_range("k", 0, 10) == b""


def test_J5_what_is_not_there_is_named(place):
    store = place.store()
    for verb in (store.get, lambda key: store.get_range(key, 0, 5), store.changed):
        with pytest.raises(NotInStore, match="runs/nobody/manifest is not in the store"):
            verb("runs/nobody/manifest")


def test_J5_what_is_not_there_can_be_looked_for_listed_and_deleted(place):
    store = place.store()
    assert not store.exists("a/none")
    assert store.list("a") == []
    store.delete("a/none")
    store.delete("a/none")


def test_J5_a_deleted_key_is_gone_and_can_be_created_again(place):
    store = place.store()
    store.put_new("a/b", b"1")
    store.delete("a/b")
    assert (store.exists("a/b"), store.list("a")) == (False, [])
    assert store.put_new("a/b", b"2")
    assert store.get("a/b") == b"2"


def test_J5_a_listing_holds_keys_and_folders_directly_below_sorted(place):
    store = place.store()
    for key in ("a/z", "a/b/deep/er", "a/b/x", "a/c", "ab/other", "a.x"):
        store.put_new(key, b"1")
    assert store.list("a") == ["a/b", "a/c", "a/z"]
    assert [store.is_folder(key) for key in store.list("a")] == [True, False, False]


@pytest.mark.full(keep=2)
def test_J5_a_listing_of_more_than_a_thousand_keys_is_whole(place):
    """S3 gives a thousand at a time."""
    store = place.store()
    names = [f"runs/r/journal/{number:020d}" for number in range(1010)]
    threads = [
        threading.Thread(target=lambda part=part: [store.put_new(name, b"") for name in names[part::8]])
        for part in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.list("runs/r/journal") == names


def test_J5_a_key_is_no_folder_of_keys_that_begin_like_it(place, request):
    """The end of a journal is found by asking for the next number: no other key may answer for it."""
    store = place.store()
    store.put_new("a/1/x", b"")
    store.put_new("a/10", b"")
    assert not store.exists("a/100")
    assert store.list("a/10") == []


@pytest.mark.full(keep=9)
@pytest.mark.parametrize(
    "name", ["with space", "ünïcode", "plus+and%25", "a=b,c", "quote'\"", "hash#and?query", "[brackets]", "star*"]
)
def test_J5_a_store_may_lie_under_any_name(place, name):
    """What is special in a URL, a glob or an XML document is part of a name here."""
    if place.family == "file":
        place.url += f"/{name}"
        store = place.store()
    elif set(name) & set("?#"):
        pytest.skip("these are refused, or mean something else, in a URL")
    else:
        place.url += f"/{name}"
        store = place.store()
    assert store.put_new("a/k", b"here")
    assert store.list("a") == ["a/k"]
    assert (store.exists("a/k"), store.get("a/k")) == (True, b"here")
    store.delete("a/k")
    assert store.list("a") == []


def test_J5_two_stores_in_one_bucket_never_meet(place):
    first, place.url = place.store(), place.url + "-and-more"
    second = place.store()
    first.put_new("k", b"first")
    assert second.put_new("k", b"second")
    assert (first.get("k"), second.get("k")) == (b"first", b"second")
    assert not second.exists("j")


def test_J5_a_listing_shows_at_once_what_somebody_else_wrote_or_removed(place):
    ours, theirs = place.store(), place.store()
    assert (ours.list("a"), ours.exists("a/1")) == ([], False)
    theirs.put_new("a/1", b"1")
    assert (ours.list("a"), ours.exists("a/1"), ours.get("a/1")) == (["a/1"], True, b"1")
    theirs.put("a/1", b"22")
    assert ours.get("a/1") == b"22"
    theirs.delete("a/1")
    assert (ours.list("a"), ours.exists("a/1")) == ([], False)
    with pytest.raises(NotInStore):
        ours.get("a/1")


@pytest.mark.full(keep=2)
def test_J5_what_another_process_wrote_is_seen_at_once(place, project):
    if place.family == "memory":
        pytest.skip("memory is one process's own")
    store = place.store()
    assert (store.list("a"), store.exists("a/1")) == ([], False)
    project.python("-c", f"from promissory import Store; assert Store({place.url!r}).put_new('a/1', b'theirs')")
    assert (store.list("a"), store.exists("a/1"), store.get("a/1")) == (["a/1"], True, b"theirs")
    assert store.put_new("a/1", b"ours") is False


def test_J5_when_a_key_was_written_is_known(place):
    import time

    store = place.store()
    before = time.time()
    store.put_new("k", b"1")
    assert before - 3 <= store.changed("k") <= time.time() + 3


# --- logs ---


def test_X5_a_log_grows_and_tells_where_each_piece_begins(place):
    store = place.store()
    assert [store.append(LOG, b"ab"), store.append(LOG, b"cde"), store.append(LOG, b"f")] == [0, 2, 5]
    assert store.get(LOG) == b"abcdef"


def test_X5_any_range_of_a_log_is_what_slicing_gives(place):
    store = place.store()
    for piece in (b"ab", b"cde", b"f", b"ghij"):
        store.append(LOG, piece)
    for start in range(11):
        for end in range(start, 13, 3):
            assert store.get_range(LOG, start, end) == b"abcdefghij"[start:end], (start, end)


def test_X5_a_log_goes_on_after_its_writer_was_replaced(place):
    """A resumed executor's worker may have a name that was there before."""
    place.store().append(LOG, b"before ")
    assert place.store().append(LOG, b"after") == 7
    assert place.store().get(LOG) == b"before after"


def test_X5_a_log_that_is_not_there_is_named(place):
    with pytest.raises(NotInStore, match="is not in the store"):
        place.store().get(LOG)


def test_X5_nothing_appended_is_nothing_lost(place):
    store = place.store()
    assert [store.append(LOG, b""), store.append(LOG, b"ab"), store.append(LOG, b""), store.append(LOG, b"c")] == [
        0,
        0,
        2,
        2,
    ]
    assert store.get(LOG) == b"abc"


# --- values ---


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_J5_large_values_are_stored_once_and_come_back_whole(place):
    store = place.store()
    data = bytes(range(256)) * (3 << 12)
    large = store.put_value(data)
    assert store.put_value(data) == large
    assert place.store().get_value(large) == data
    assert store.get_range(object_key(large.digest), 1 << 20, (1 << 20) + 5) == data[1 << 20 : (1 << 20) + 5]


def test_J4_a_flipped_byte_of_a_value_is_found_on_each_store(place):
    store = place.store()
    data = bytes(range(256)) * 64
    large = store.put_value(data)
    store.put(object_key(large.digest), b"\xff" + data[1:])
    with pytest.raises(StoreError, match=r"objects/.* is damaged: its digest does not match its bytes"):
        store.get_value(large)


# --- races ---


def race(writers):
    """Run functions at one time; what they raised."""
    problems = []
    together = threading.Barrier(len(writers))

    def guarded(write):
        try:
            together.wait(60)
            write()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=guarded, args=(write,)) for write in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


@pytest.mark.full(keep=1)
def test_J1_of_eight_threads_one_creates_each_of_fifty_keys(place):
    store = place.store()
    won = [[] for _ in range(KEYS)]

    def writer(name):
        def write():
            for number in range(KEYS):
                if store.put_new(f"race/{number}", name * 100):
                    won[number].append(name)

        return write

    assert race([writer(bytes([65 + number])) for number in range(WRITERS)]) == []
    assert [len(winners) for winners in won] == [1] * KEYS
    assert [store.get(f"race/{number}") for number in range(KEYS)] == [winners[0] * 100 for winners in won]


RACER = """
import sys
from promissory import Store

url, name = sys.argv[1:]
store = Store(url)
store.exists("warm")
print("ready", flush=True)
sys.stdin.readline()
print(*[number for number in range(50) if store.put_new(f"race/{number}", name.encode() * 100)])
"""


@pytest.mark.full(keep=1)
def test_J1_of_many_processes_one_creates_each_of_fifty_keys(place, project):
    """Eight of them; fewer where the same code has shown it with eight."""
    if place.family == "memory":
        pytest.skip("memory is one process's own")
    project.write("racer.py", RACER)
    racers = {
        name: project.spawn("racer.py", place.url, name, stdin=True)
        for name in ("ABCDEFGH" if place.family in ("file", "s3") else "ABC")
    }
    for racer in racers.values():
        assert racer.stdout.readline() == "ready\n", racer.stderr.read()
    for racer in racers.values():
        racer.stdin.write("\n")
        racer.stdin.flush()
    winners = {}
    for name, racer in racers.items():
        output, errors = project.finish(racer)
        assert racer.returncode == 0, errors
        for number in map(int, output.split()):
            assert winners.setdefault(number, name) == name
    assert sorted(winners) == list(range(KEYS))
    store = place.store()
    assert {number: store.get(f"race/{number}") for number in winners} == {
        number: name.encode() * 100 for number, name in winners.items()
    }
