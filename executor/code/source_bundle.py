"""Source bundles: the modules of the user's own project as an archive, so that a run can go on where the project isn't
(rule A11, `code/` in the store).

A bundle holds the modules that this process has loaded from the project's folder, the modules that they import (also
inside functions, so they are found by reading and not by loading), and all files of the packages among them, since
packages read data beside their code. Installed modules are not in it. An archive of the same files has the same bytes.

A worker imports from the bundle only modules that it finds nowhere else.
"""

from __future__ import annotations

import ast
import importlib
import io
import os
import sys
import sysconfig
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from promissory.executor.code.older_modules import serve_imports_of
from promissory.executor.errors import NotInStore, StoreError
from promissory.executor.store.keys import bundle_key
from promissory.executor.store.store import Store
from promissory.planner.errors import is_ours
from promissory.typesys.canonical import digest
from promissory.typesys.names import import_name

LARGEST: Final = 64 << 20
"""The bytes that the files of a bundle may have. If they have more, data files stay out."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def bundle_of(modules: Mapping[str, str]) -> bytes:
    """The archive of the project of these modules (name, file); empty if none of them is the user's own."""
    roots: dict[Path, list[Path]] = {}
    for name, file in modules.items():
        root = _root(name, Path(file))
        if root is not None:
            roots.setdefault(root, []).append(Path(file).resolve())
    contents: dict[str, bytes] = {}
    for root, begin in sorted(roots.items()):
        for path in _project_files(root, begin):
            name = path.relative_to(root).as_posix()
            # A name that is no text has no place in an archive.
            if not any("\ud800" <= character <= "\udfff" for character in name):
                contents.setdefault(name, path.read_bytes())
    if sum(map(len, contents.values())) > LARGEST:
        contents = {name: data for name, data in contents.items() if name.endswith(".py")}
    return _archive(contents) if contents else b""


def _root(name: str, file: Path) -> Path | None:
    """The folder from which a module is imported under its name, also below namespace packages; None if the module is
    not the user's own."""
    if not file.is_file() or is_installed(file):
        return None
    above = file.resolve().parents
    depth = name.count(".") + (file.name == "__init__.py")
    fits = depth < len(above) and (file.stem in ("__init__", "__main__") or name.rpartition(".")[2] == file.stem)
    return above[depth] if fits else import_name(file)[1]


def _archive(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), contents[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _project_files(root: Path, begin: list[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    todo = list(begin)
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path.startswith(f"{root}/") and path.endswith(".py") and not is_installed(path):
            todo.append(Path(path).resolve())
    while todo:
        file = todo.pop()
        if file in found or not file.is_file() or not file.is_relative_to(root):
            continue
        found[file] = None
        if file.suffix == ".py":
            todo += _imports(file, root)
            if (file.parent / "__init__.py").is_file():
                todo += _package(file.parent)
    return sorted(found)


def _package(folder: Path) -> Iterator[Path]:
    for inside in folder.rglob("*"):
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.relative_to(folder).parts)
        if not hidden and inside.is_file() and not inside.is_symlink():
            yield inside


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """The files below the root that a module's import statements name."""
    state = file.stat()
    for parts in _imported_names(file, root, state.st_mtime_ns, state.st_size):
        yield from _module_files(root, parts)


@lru_cache(4096)
def _imported_names(file: Path, root: Path, changed: int, size: int) -> tuple[tuple[str, ...], ...]:
    """The dotted names that a file imports, made absolute. Cached for as long as the file stays as it is."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return ()
    found: dict[tuple[str, ...], None] = {}
    package = list(file.relative_to(root).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[tuple(alias.name.split("."))] = None
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            parts = above + (node.module.split(".") if node.module else [])
            found[tuple(parts)] = None
            for alias in node.names:
                found[*parts, alias.name] = None
    return tuple(found)


def _module_files(root: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    for end in range(1, len(parts) + 1):
        folder = root.joinpath(*parts[:end])
        for file in (folder / "__init__.py", folder.with_suffix(".py")):
            if file.is_file() and not is_installed(file):
                yield file


@cache
def _installed_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(
        {str(Path(paths[kind]).resolve()) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
        | {str(Path(sys.base_prefix).resolve() / "lib")}
    )


@lru_cache(65536)
def is_installed(file: Path | str) -> bool:
    """Whether a file belongs to Python, to an installed package or to this package. A bundle brings no such file: it is
    installed, or not, where the run goes on."""
    text = os.path.realpath(file)
    if "/site-packages/" in text or "/dist-packages/" in text or is_ours(text):
        return True
    return any(text.startswith(f"{folder}/") for folder in _installed_folders() if folder not in ("/usr", "/usr/local"))


def keep_bundle(store: Store, modules: Mapping[str, str]) -> bytes:
    """Store the bundle of a project. Returns its digest, empty if there is nothing to bundle."""
    archive = bundle_of(modules)
    if not archive:
        return b""
    name = digest("bundle", archive)
    if not store.exists(bundle_key(name)):
        store.put_same(bundle_key(name), archive)
    else:
        store.sync([bundle_key(name)])  # the process that wrote the bundle may have died before it synced the file
    return name


_LARGEST_UNPACKED: Final = 1 << 30
_lock = threading.Lock()
_unpacked: dict[bytes, tempfile.TemporaryDirectory[str]] = {}


def leave_other_bundles(name: bytes) -> None:
    """Forget the modules of other runs' bundles: in this run their names may mean other modules."""
    with _lock:
        for other in [one for one in _unpacked if one != name]:
            folder = _unpacked.pop(other)
            sys.path[:] = [path for path in sys.path if path != folder.name]
            for module, loaded in list(sys.modules.items()):
                file = getattr(loaded, "__file__", None)
                if isinstance(file, str) and file.startswith(f"{folder.name}/"):
                    del sys.modules[module]
            folder.cleanup()


_apart: dict[bytes, tempfile.TemporaryDirectory[str]] = {}


def unpacked_apart(store: Store, name: bytes) -> str:
    """The folder of a bundle that is unpacked for other processes; this one goes on to import what it did. Raises
    `StoreError`."""
    with _lock:
        if name not in _apart:
            _apart[name] = _extracted(store, name, store.get(bundle_key(name)))
        return _apart[name].name


def keep_apart(names: Collection[bytes]) -> None:
    """Remove the folders of bundles that were unpacked for other processes, apart from these: nobody needs them."""
    with _lock:
        for name in _apart.keys() - names:
            _apart.pop(name).cleanup()


def unpacked(store: Store, name: bytes) -> bool:
    """Unpack a bundle, so that imports that find no other module find its modules. Returns False if it is unpacked
    already, or is not in the store."""
    with _lock:
        if name in _unpacked:
            return False
        try:
            archive = store.get(bundle_key(name))
        except NotInStore:
            return False
        folder = _unpacked[name] = _extracted(store, name, archive)
        sys.path.append(folder.name)
        importlib.invalidate_caches()
        serve_imports_of(Path(folder.name))
    return True


def _extracted(store: Store, name: bytes, archive: bytes) -> tempfile.TemporaryDirectory[str]:
    """A folder with the files of a bundle. Raises `StoreError`."""
    if digest("bundle", archive) != name:
        raise StoreError(f"{bundle_key(name)} in the store {store.url} is damaged: its digest does not match its bytes")
    folder = tempfile.TemporaryDirectory(prefix="promissory-code-")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            if sum(one.file_size for one in opened.infolist()) > _LARGEST_UNPACKED:
                raise zipfile.BadZipFile(f"it holds more than {_LARGEST_UNPACKED:,} bytes")
            opened.extractall(folder.name)  # extractall keeps every name below the folder
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, zlib.error) as error:
        folder.cleanup()
        raise StoreError(f"{bundle_key(name)} in the store {store.url} is no archive of sources: {error}") from None
    return folder
