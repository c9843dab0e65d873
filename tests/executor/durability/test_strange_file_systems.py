"""J5: file systems without something (folders that can't be synced, hard links) are stores that say so once and work;
a disk that refuses what it has is told.
"""

import errno
import os
import stat

import pytest

from promissory import Store, run, task
from promissory.errors import StoreError


@task
def one(n: int = 1) -> int:
    return n


@pytest.fixture
def no_sync_of_folders(monkeypatch):
    """A function (errno): a folder's fsync says that from now on."""

    def say(number):
        fsync = os.fsync

        def without_folders(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", without_folders)

    return say


@pytest.mark.parametrize("durability", ["disk", "process"])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS], ids=errno.errorcode.get)
def test_J5_folders_that_can_not_be_synced_are_told_once_and_used(
    tmp_path, no_sync_of_folders, caplog, number, durability
):
    no_sync_of_folders(number)
    with caplog.at_level("WARNING", logger="promissory"):
        assert run(one, store=tmp_path / "store", durability=durability, echo=False).result == 1
    told = [record.getMessage() for record in caplog.records if "folder" in record.getMessage()]
    assert len(told) == 1 or (len(told) == 0 and durability == "process")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_J4_a_folder_whose_sync_is_refused_is_another_thing(tmp_path, no_sync_of_folders, number):
    no_sync_of_folders(number)
    with pytest.raises(StoreError, match=os.strerror(number)):
        run(one, store=Store(tmp_path / "store", patience=0.1), echo=False)


@pytest.mark.parametrize(
    "number",
    [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES, errno.EINVAL],
    ids=errno.errorcode.get,
)
def test_J5_a_file_system_without_hard_links_is_a_store(tmp_path, monkeypatch, number):
    def no_link(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_link)
    assert run(one, store=tmp_path / "store", run_id="r", echo=False).result == 1
    store = Store(tmp_path / "store")
    assert store.put_new("objects/ab/x", b"1")
    assert not store.put_new("objects/ab/x", b"2")
    assert store.leftovers() == []


def test_J5_a_folder_that_may_be_written_and_not_listed_is_used(tmp_path, monkeypatch):
    """Opening it for its sync says EACCES."""
    real = os.open

    def no_folders(path, flags, *mode, **options):
        if flags & os.O_ACCMODE == os.O_RDONLY and os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", no_folders)
    assert Store(tmp_path / "store").put_new("objects/ab/x", b"1")
