"""A census of Python source code: the main job. Walks a tree whose shape is not known before the run.

    promissory run examples/census.py                       # the standard library of the running Python
    promissory run examples/census.py --root src --top 5

One dynamic for each folder lists its contents and calls a task for each file and itself for each folder. Their counts
are added up folder by folder. So the plan grows as the tree is discovered, and each folder leaves a futures file. Kill
it in the middle and run `promissory resume RUN`: no file that was counted is read again.
"""

import ast
import sys
import sysconfig
import warnings
from dataclasses import dataclass
from pathlib import Path

from promissory import dynamic, task, workflow


@dataclass
class Function:
    """A function: its place and its length."""

    lines: int
    name: str
    file: str


@dataclass
class Count:
    """The counts of a file, or of a folder and everything below it."""

    files: int
    unreadable: int
    lines: int
    functions: int
    classes: int
    imports: int
    longest: list[Function]


@dataclass
class Folder:
    """A row of the report: a folder directly below the root (`.`: the files of the root itself)."""

    folder: str
    files: int
    lines: int
    functions: int
    classes: int
    imports: int
    longest_function: str


@dataclass
class Report:
    """The census."""

    root: str
    files: int
    unreadable: int
    lines: int
    functions: int
    classes: int
    imports: int
    largest_folders: list[Folder]
    longest_functions: list[Function]


KEPT = 10
"""So many of the longest functions are kept on the way up."""


def count_source(source: bytes, file: str) -> Count:
    """Count the source of one file. Of a file that does not parse only the lines are counted."""
    lines = len(source.splitlines())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return Count(1, 1, lines, 0, 0, 0, [])
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [
        Function((node.end_lineno or node.lineno) - node.lineno + 1, node.name, f"{file}:{node.lineno}")
        for node in functions
    ]
    return Count(
        files=1,
        unreadable=0,
        lines=lines,
        functions=len(functions),
        classes=sum(isinstance(node, ast.ClassDef) for node in nodes),
        imports=sum(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes),
        longest=longest_of(lengths),
    )


def longest_of(functions: list[Function]) -> list[Function]:
    """Sort the longest functions, in an order that does not depend on which task found them first."""
    return sorted(functions, key=lambda function: (-function.lines, function.file, function.name))[:KEPT]


def add(counts: list[Count]) -> Count:
    """Add counts up."""
    total = Count(0, 0, 0, 0, 0, 0, [])
    for count in counts:
        total.files += count.files
        total.unreadable += count.unreadable
        total.lines += count.lines
        total.functions += count.functions
        total.classes += count.classes
        total.imports += count.imports
        total.longest += count.longest
    total.longest = longest_of(total.longest)
    return total


def contents(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the Python files and the folders directly in a folder, in order.

    Links, caches and unreadable entries are left out.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.is_symlink())
    except OSError:
        return [], []
    files = [entry for entry in entries if entry.suffix == ".py" and entry.is_file()]
    folders = [
        entry
        for entry in entries
        if entry.is_dir() and entry.name not in ("__pycache__", "site-packages", ".git", ".venv")
    ]
    return files, folders


def count_path(path: Path, root: Path) -> Count:
    """Read and count one file. A file that has gone meanwhile, or can't be read, counts as unreadable."""
    try:
        source = path.read_bytes()
    except OSError:
        return Count(1, 1, 0, 0, 0, 0, [])
    return count_source(source, str(path.relative_to(root)))


@task
def count_file(path: Path, root: Path) -> Count:
    """Read and count one file."""
    return count_path(path, root)


@task
def add_up(counts: list[Count]) -> Count:
    """Add up the counts of a folder's files and folders."""
    return add(counts)


@dynamic
def count_folder(folder: Path, root: Path) -> Count:
    """Count a folder: a task for each file in it, and this dynamic again for each folder in it."""
    files, folders = contents(folder)
    found = [count_file(file, root) for file in files] + [count_folder(inner, root) for inner in folders]
    return add_up(found)


@task
def report(root: Path, names: list[str], counts: list[Count], top: int) -> Report:
    """Make the table that people read."""
    total = add(counts)
    rows = [
        Folder(
            name,
            one.files,
            one.lines,
            one.functions,
            one.classes,
            one.imports,
            f"{one.longest[0].name} ({one.longest[0].lines})" if one.longest else "-",
        )
        for name, one in zip(names, counts, strict=True)
    ]
    rows.sort(key=lambda row: (-row.lines, row.folder))
    return Report(
        str(root),
        total.files,
        total.unreadable,
        total.lines,
        total.functions,
        total.classes,
        total.imports,
        rows[:top],
        total.longest[:top],
    )


@dynamic
def take_census(root: Path, top: int) -> Report:
    """Count the root: a row of the report for each folder in it, and one for its own files."""
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder")
    # A resume may begin in another folder.
    root = root.resolve()
    files, folders = contents(root)
    names = [".", *(folder.name for folder in folders)]
    counts = [add_up([count_file(file, root) for file in files]), *(count_folder(folder, root) for folder in folders)]
    return report(root, names, counts, top)


STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


@workflow
def census(root: Path = STANDARD_LIBRARY, top: int = 10) -> Report:
    """Count files, lines, functions, classes and imports below a folder, and find the longest functions.

    `top` says how many folders and functions the report shows.
    """
    return take_census(root, top)


def straight_loop(root: Path) -> Count:
    """Count the same totals in a plain loop, to check the census against them."""
    found: list[Count] = []
    todo = [root]
    while todo:
        files, folders = contents(todo.pop())
        found += [count_path(file, root) for file in files]
        todo += folders
    return add(found)


if __name__ == "__main__":
    print(census(Path(sys.argv[1])) if len(sys.argv) > 1 else census())
