"""V4: parts from a store that is far away are kept on this machine, where it is safe to."""

import os

import pytest

from promissory import Store
from promissory.executor.store import part_cache
from promissory.executor.store.keys import part_key
from promissory.typesys.buffer import Buffer, blake3

LARGE = bytes(range(256)) * 300


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of an empty cache."""
    monkeypatch.setenv("PROMISSORY_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "parts"


@pytest.fixture
def far(on_s3):
    """A store on S3 with one part."""
    store = Store(on_s3.url)
    return store, store.keep(Buffer.of(LARGE))


def test_V4_a_part_is_fetched_once_and_is_then_the_readers_own(far, cache):
    store, names = far
    first = store.mapped(names)
    first[0] = 255
    store.delete(part_key(names[0].digest))
    again = Store(store.url).mapped(names)
    assert (bytes(again), again.readonly) == (LARGE, False)
    assert [(one.name, one.read_bytes() == LARGE) for one in cache.iterdir()] == [(blake3(LARGE).hex(), True)]
    assert store.path_of(names) == str(cache / blake3(LARGE).hex())


@pytest.mark.parametrize("spoil", ["cut", "open", "a link"])
def test_V4_a_cache_that_is_not_whole_or_not_ours_alone_is_not_read(far, cache, tmp_path, spoil):
    store, names = far
    store.mapped(names)
    (kept,) = cache.iterdir()
    if spoil == "cut":
        kept.chmod(0o600)
        os.truncate(kept, 5)
    elif spoil == "open":
        kept.chmod(0o600)
        kept.write_bytes(b"x" * len(LARGE))
        cache.chmod(0o777)
    else:
        (tmp_path / "other").write_bytes(b"x" * len(LARGE))
        kept.unlink()
        kept.symlink_to(tmp_path / "other")
    assert bytes(Store(store.url).mapped(names)) == LARGE


def test_V4_what_was_not_used_for_longest_makes_room(cache, monkeypatch):
    monkeypatch.setattr(part_cache, "LIMIT", 25)
    names = []
    for number in range(3):
        data = bytes([number]) * 10
        (name,) = Store(None).keep(Buffer.of(data))
        part_cache.keep(name, data)
        os.utime(cache / name.digest.hex(), (number, number))
        names.append(name)
    assert [part_cache.cached(name) is not None for name in names] == [False, True, True]


def test_V4_a_cache_that_can_not_be_made_means_reading_without_it(far, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PROMISSORY_CACHE_DIR", str(tmp_path / "file"))
    store, names = far
    assert (bytes(store.mapped(names)), store.path_of(names)) == (LARGE, None)


def test_J4_a_damaged_part_is_not_kept(far, cache):
    store, names = far
    store.put(part_key(names[0].digest), b"x" * len(LARGE))
    with pytest.raises(OSError, match="its digest does not match its bytes"):
        store.mapped(names)
    assert not cache.exists() or not list(cache.iterdir())
