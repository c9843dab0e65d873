"""J8: nothing but what is ours is ever removed, whatever lies in the folder that is used as a store, and wherever a
link or a name leads.
"""

import os
from pathlib import Path

import pytest

from promissory import Store, run, task
from promissory.errors import ExecutorError, RunNotFound, StoreError
from promissory.executor.cache.entries import entries
from promissory.executor.maintenance.export import export
from promissory.executor.maintenance.garbage import garbage, remove, remove_run
from promissory.executor.records.inbox import waiting

HEX = "ab" * 32


@task(cache=True, cache_version="1")
def block(n: int) -> list[int]:
    return list(range(n))


@pytest.fixture
def root(store):
    """The folder of a store in which a run has ended."""
    run(block, {"n": 4000}, store=store, run_id="ended", durability="process", echo=False)
    return Path(store.url.removeprefix("file://"))


def collect(store):
    return remove(store, garbage(store, 0))


def lay(root, name):
    """A file of the user's."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("the user's")
    return path


USERS = [
    "code/model.py",
    "code/ab/notes.zip",
    f"code/ab/{HEX}.py",
    "plans/2026.md",
    f"plans/ab/{HEX}.plan.bak",
    f"plans/{HEX}.plan",
    "objects/readme",
    "objects/ab/readme",
    f"objects/cd/{HEX}",
    f"objects/ab/deeper/{HEX}",
    f"objects/ab/{HEX.upper()}",
    "leases/2026.pdf",
    f"leases/ab/{HEX}/tenant.txt",
    "runs/exp1/events.out",
    "runs/exp1/config.yaml",
    "runs/exp1/journal/monday.md",
    "runs/exp 2/manifest",
    "runs/ended/snapshots/photo.jpg",
    "runs/ended/inbox/mail.eml",
    "objects/ab/.tmp-notes",
    "src/.tmp-0123456789abcdef",
    ".tmp-0123456789abcdef",
]


def test_J8_a_file_in_a_folder_called_like_one_of_ours_is_not_ours(store, root):
    paths = {name: lay(root, name) for name in USERS}
    collect(store)
    assert [name for name, path in paths.items() if not path.exists()] == []


def test_J8_what_is_listed_as_a_cache_entry_has_the_name_of_one(store, root):
    users = ["cache/ab/notes", "cache/pip/wheel.whl", f"cache/cd/{HEX}"]
    for name in users:
        lay(root, name)
    listed = [key for key, _ in entries(store)]
    assert len(listed) == 1
    assert not set(listed) & set(users)


def test_J8_of_a_removed_run_goes_what_is_ours_and_stays_what_is_not(store, root):
    path = lay(root, "runs/ended/thesis.tex")
    remove_run(store, "ended")
    collect(store)
    assert [one for one in (root / "runs" / "ended").rglob("*") if one.is_file()] == [path]


def test_J8_temporary_files_that_killed_writers_left_are_ours(store, root):
    left = lay(root, "objects/ab/.tmp-0123456789abcdef")
    collect(store)
    assert not left.exists()


@pytest.mark.parametrize("link", ["objects/ab", "objects", "runs", "runs/linked", "leases"])
def test_J8_a_link_is_never_followed_to_remove_what_lies_behind_it(store, root, tmp_path, link):
    outside = tmp_path / "outside"
    behind = [
        lay(outside, name)
        for name in (
            HEX,
            f"ab/{HEX}",
            "linked/manifest",
            f"linked/snapshots/{HEX}",
            "manifest",
            f"cd/{'cd' * 32}/00000000",
        )
    ]
    place = root / link
    if place.exists():
        place.rename(root / "aside")
    place.symlink_to(outside)
    for removal in (lambda: collect(store), lambda: remove_run(store, "linked")):
        try:
            removal()
        except ExecutorError:
            pass
    assert all(path.exists() for path in behind)
    assert place.is_symlink()


def test_J8_a_file_that_is_a_link_is_not_ours(store, root, tmp_path):
    precious = lay(tmp_path, "precious")
    link = root / f"objects/ab/{HEX}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(precious)
    collect(store)
    assert (link.is_symlink(), precious.exists()) == (True, True)


OUT = ["../../outside", "..", ".", "../ended", "ended/../ended", "/etc", "ended/journal", ""]


@pytest.mark.parametrize("name", OUT)
@pytest.mark.full(keep=3)
def test_J8_what_is_no_run_id_leads_nowhere(store, root, tmp_path, name):
    outside = [lay(tmp_path, "outside/manifest"), lay(tmp_path, "outside/deep/precious")]
    before = sorted(root.rglob("*"))
    for act in (
        lambda: remove_run(store, name),
        lambda: garbage(store, 0, [name]),
        lambda: export(store, name, Store(tmp_path / "copy")),
        lambda: run(block, {"n": 1}, store=store, run_id=name, echo=False) if name else remove_run(store, name),
    ):
        try:
            act()
        except (ExecutorError, ValueError):
            pass
    assert all(path.exists() for path in outside)
    assert sorted(root.rglob("*")) == before
    with pytest.raises(RunNotFound):
        remove_run(store, name)


@pytest.mark.parametrize("key", ["../outside/precious", "objects/../../outside/precious"])
@pytest.mark.parametrize("verb", ["put_new", "put", "append", "delete", "get", "list"])
@pytest.mark.full(keep=4)
def test_J8_no_verb_of_a_store_leaves_its_folder(store, root, tmp_path, key, verb):
    outside = lay(tmp_path, "outside/precious")
    arguments = (b"new",) if verb in ("put_new", "put", "append") else ()
    with pytest.raises(StoreError):
        getattr(store, verb)(key, *arguments)
    assert outside.read_text() == "the user's"


def test_J8_a_store_is_marked_and_from_a_folder_without_the_mark_nothing_is_removed(store, root):
    mark = root / "promissory"
    assert mark.is_file()
    mark.unlink()
    ours = lay(root, f"objects/ab/{HEX}")
    with pytest.raises(StoreError, match="doctor --mark"):
        collect(store)
    with pytest.raises(ExecutorError, match="mark"):
        remove_run(store, "ended")
    assert ours.exists()
    assert (root / "runs" / "ended" / "manifest").exists()


def test_J8_a_store_that_is_looked_at_is_not_marked(tmp_path):
    folder = tmp_path / "photos"
    lay(folder, "runs/marathon.jpg")
    assert garbage(Store(folder), 0) == []
    assert os.listdir(folder) == ["runs"]


def test_J8_a_file_in_an_inbox_that_is_no_command_of_ours_stays(store, root):
    path = lay(root, "runs/ended/inbox/mail.eml")
    assert waiting(store, "ended") == []
    assert path.exists()
