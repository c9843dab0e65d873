"""J4: what a sync refused counts as not written. A disk says EIO once, at each of the syncs of a run in turn; Linux has
dropped the pages then, and says "well" to the next sync of the same bytes.
"""

import errno
import os
import stat

import pytest

from promissory import Store, resume, run, task, workflow
from promissory.errors import RunNotFound, StoreError
from promissory.executor.history.history import History
from promissory.executor.store.keys import segment_key


@task
def large(x: int) -> list[int]:
    return [x] * 5000


@task
def size(values: list[int]) -> int:
    return len(values)


@workflow
def made(x: int) -> int:
    return size(large(x))


class Disk:
    """A disk that refuses one sync, and knows what a power cut would leave: bytes that were synced and never refused,
    under names whose folder was synced after they were given.
    """

    def __init__(self, monkeypatch):
        self.refuse = 0
        self.syncs = 0
        self.refused = []
        self._safe, self._lost, self._unnamed = set(), set(), set()
        fsync, link, replace, mkdir, unlink = os.fsync, os.link, os.replace, os.mkdir, os.unlink

        def failing_fsync(descriptor):
            found, path = os.fstat(descriptor), os.readlink(f"/proc/self/fd/{descriptor}")
            self.syncs += 1
            if self.syncs == self.refuse:
                self.refused.append(path)
                if not stat.S_ISDIR(found.st_mode):
                    self._lost.add(found.st_ino)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            fsync(descriptor)
            if stat.S_ISDIR(found.st_mode):
                self._unnamed = {one for one in self._unnamed if os.path.dirname(one) != path}
            else:
                self._safe.add(found.st_ino)

        def noting(action):
            def act(*arguments, **options):
                if action is replace and os.path.lexists(arguments[1]):
                    forget_last_name(os.lstat(arguments[1]))
                action(*arguments, **options)
                self._unnamed.add(str(arguments[-1] if len(arguments) > 1 else arguments[0]))

            return act

        def forget_last_name(found):
            if found.st_nlink == 1:  # the number of its inode may serve another file
                self._lost.discard(found.st_ino)
                self._safe.discard(found.st_ino)

        def forgetting_unlink(path, **options):
            found = os.lstat(path, **options)
            unlink(path, **options)
            forget_last_name(found)

        monkeypatch.setattr(os, "unlink", forgetting_unlink)
        monkeypatch.setattr(os, "remove", forgetting_unlink)
        monkeypatch.setattr(os, "fsync", failing_fsync)
        monkeypatch.setattr(os, "link", noting(link))
        monkeypatch.setattr(os, "replace", noting(replace))
        monkeypatch.setattr(os, "mkdir", lambda path, *mode: noting(lambda *_: mkdir(path, *mode))(path))

    def would_lose(self, root):
        """What a power cut now might take of all that a run needs."""
        lost = []
        for path in sorted(root.rglob("*")):
            kind = path.relative_to(root).parts
            if (
                path.is_dir()
                or kind[-1] in ("beat", "summary", "alive", "promissory")
                or "logs" in kind
                or kind[0] in ("executors",)
            ):
                continue
            inode = path.stat().st_ino
            if inode in self._lost or inode not in self._safe:
                lost.append(f"the bytes of {path.relative_to(root)}")
            for one in (path, *path.parents):
                if one == root:
                    break
                if str(one) in self._unnamed:
                    lost.append(f"the name of {one.relative_to(root)}")
        return lost


@pytest.fixture
def disk(monkeypatch):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the path of a descriptor can't be had here")
    return Disk(monkeypatch)


def carried(folder):
    """A run to its end: where the store refused it, it is begun again, or resumed, as it said."""
    store = Store(folder)
    try:
        return run(made, {"x": 1}, store=store, run_id="r", echo=False)
    except StoreError as error:
        assert "Input/output error" in str(error)
        try:
            History(store, "r")
        except RunNotFound:
            return run(made, {"x": 1}, store=store, run_id="r", echo=False)
        if store.exists(segment_key("r", 0)):
            assert "promissory resume r" in "".join(error.__notes__)
        return resume("r", store=store, echo=False)


@pytest.mark.full
def test_J4_what_a_sync_refused_once_is_written_anew_or_the_run_stops_with_a_way_to_resume(disk, tmp_path):
    number, believed = 0, {}
    while True:
        number += 1
        disk.refuse, disk.syncs, folder = number, 0, tmp_path / str(number)
        assert carried(folder).result == 5000
        if disk.syncs < number:
            break
        if lost := disk.would_lose(folder):
            believed[disk.refused[-1].removeprefix(f"{folder}/")] = lost
    assert number > 10
    assert believed == {}


def test_J4_an_undisturbed_run_leaves_nothing_that_a_power_cut_would_take(disk, tmp_path):
    assert carried(tmp_path / "store").result == 5000
    assert disk.would_lose(tmp_path / "store") == []


def test_J4_an_input_output_error_is_no_passing_error(disk, tmp_path):
    """A file that was refused is not asked about again."""
    disk.refuse = 1
    store = Store(tmp_path)
    try:
        store.put_new("objects/ab/" + "ab" * 32, bytes(5000))
    except StoreError as error:
        assert "Input/output error" in str(error)
    refused = disk.refused[-1]
    assert not os.path.isfile(refused) or disk.would_lose(tmp_path) == []


def test_J4_a_key_that_is_there_already_is_synced_before_it_is_believed(disk, tmp_path):
    """Whoever wrote it may have died before its sync, or may not have wanted one."""
    store = Store(tmp_path)
    name = "ab" * 32
    key = f"objects/ab/{name}"
    store.put_new(key, bytes(5000), durable=False)
    store.put_same(key, bytes(5000), durable=True)
    assert disk.would_lose(tmp_path) == []


def test_J4_a_half_written_key_that_is_replaced_is_on_the_disk_then(disk, tmp_path):
    store = Store(tmp_path)
    key = "plans/ab/" + "ab" * 32 + ".plan"
    store.put_new(key, b"half", durable=False)
    store.put_same(key, b"half of it and the rest", durable=True)
    assert disk.would_lose(tmp_path) == []


def test_J4_a_file_system_without_links_creates_names_that_last(disk, tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    store, synced = Store(tmp_path), []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (synced.append(os.readlink(f"/proc/self/fd/{descriptor}")), fsync(descriptor))
    )
    key = "plans/ab/" + "ab" * 32 + ".plan"
    assert store.put_new(key, b"whole", durable=True)
    assert synced[-2:] == [str(tmp_path / key), str((tmp_path / key).parent)]
