"""J2: whatever is named is on the disk before its name is: files, and the folders that lead to them, in the order of
the system calls.
"""

import os

import pytest

from promissory import dynamic, run, task, workflow


@task
def large(x: int) -> list[int]:
    return [x] * 5000


@task
def size(values: list[int]) -> int:
    return len(values)


@workflow
def made(x: int) -> int:
    return size(large(x))


@workflow
def given(values: list[int]) -> int:
    return size(values)


@workflow
def literal() -> int:
    return size(list(range(5000)))


@dynamic
def emitted(x: int) -> int:
    return size([x] * 6000)


class Disk:
    """What the operating system was asked to do, in order: ("sync", path), ("name", path), ("folder", path)."""

    def __init__(self, root, monkeypatch):
        self.root = str(root)
        self.calls = []
        fsync, link, mkdir = os.fsync, os.link, os.mkdir

        def noting_fsync(descriptor):
            self.calls.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
            fsync(descriptor)

        def noting_link(source, target):
            link(source, target)
            if ("sync", str(source)) in self.calls:
                self.calls.append(("sync", str(target)))  # the bytes were, under their temporary name
            self.calls.append(("name", str(target)))

        def noting_mkdir(path, *arguments):
            mkdir(path, *arguments)
            self.calls.append(("folder", str(path)))

        monkeypatch.setattr(os, "fsync", noting_fsync)
        monkeypatch.setattr(os, "link", noting_link)
        monkeypatch.setattr(os, "mkdir", noting_mkdir)

    def position(self, part, kind="name"):
        """When something whose path has this part was named."""
        return next(at for at, (what, path) in enumerate(self.calls) if what == kind and part in path)

    def unsafe_at(self, moment, part):
        """What a power cut at a moment might lose of all files that have this part in their path, and of the folders
        above them.
        """
        made = [path for what, path in self.calls[:moment] if what in ("name", "folder")]
        lost = []
        for file in (path for what, path in self.calls[:moment] if what == "name" and part in path):
            if ("sync", file) not in self.calls[:moment]:
                lost.append(f"the bytes of {file}")
            path = file
            while path in made:
                folder = os.path.dirname(path)
                born = next(at for at, (what, one) in enumerate(self.calls) if one == path and what != "sync")
                if ("sync", folder) not in self.calls[born:moment]:
                    lost.append(f"the name of {path}")
                path = folder
        return lost


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """What is asked of the disk below a store's folder."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the path of a descriptor can't be had here")
    return Disk(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("target", "inputs"), [(made, {"x": 1}), (emitted, {"x": 1})], ids=["a result", "a literal of a futures file"]
)
def test_J2_an_object_is_on_the_disk_before_the_segment_that_names_it(store, disk, target, inputs):
    assert run(target, inputs, store=store).state == "SUCCEEDED"
    objects = disk.position("/objects/")
    segment = max(at for at, (what, path) in enumerate(disk.calls) if what == "name" and "/journal/" in path)
    assert objects < segment
    assert disk.unsafe_at(segment, "/objects/") == []


@pytest.mark.parametrize(
    ("target", "inputs"),
    [(given, {"values": list(range(5000))}), (literal, {})],
    ids=["an input", "a literal of the plan"],
)
def test_J2_what_a_run_begins_with_is_on_the_disk_before_its_manifest(store, disk, target, inputs):
    assert run(target, inputs, store=store).result == 5000
    manifest = disk.position("/manifest")
    assert disk.position("/objects/") < manifest
    assert disk.position("/plans/") < manifest
    assert disk.unsafe_at(manifest, "/plans/") == []
    assert disk.unsafe_at(manifest, "/objects/") == []


def test_J1_a_segment_is_on_the_disk_with_all_its_folders_before_the_run_returns(store, disk):
    run(made, {"x": 1}, store=store)
    assert disk.unsafe_at(len(disk.calls), "/manifest") == []
    segments = [path for what, path in disk.calls if what == "name" and "/journal/" in path]
    assert segments
    assert disk.unsafe_at(len(disk.calls), "/journal/") == []
    for path in segments:
        assert ("sync", path) in disk.calls[: disk.calls.index(("name", path))], "bytes before the name"
