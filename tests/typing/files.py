"""Files and directories; their formats, for those who look."""

from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO, assert_type

from promissory import Context, Directory, File, map_task, task, workflow

Csv = File[Literal["csv"]]
Text = File[Literal["txt"]]


@task
def shout(ctx: Context, text: Text) -> Text:
    target = ctx.workdir / text.name
    target.write_text(text.read_text().upper())
    return File(target)


@task
def rows(table: Csv) -> int:
    with table.open() as stream:
        return sum(1 for _ in stream)


@task
def together(texts: list[Text]) -> Directory:
    return Directory(".")


@task
def size(file: File) -> int:
    return file.size


@workflow
def flow(texts: list[Text], table: Csv) -> tuple[int, Directory]:
    size(table)
    return rows(table), together(map_task(shout)(texts))


def results(text: Text, table: Csv, folder: Directory) -> None:
    assert_type(shout(text), File[Literal["txt"]])
    assert_type(together([text]), Directory)
    assert_type(map_task(shout)([text]), list[File[Literal["txt"]]])
    assert_type(rows(File("a.csv")), int)
    assert_type(size(table), int)
    assert_type(text.open(), TextIO)
    assert_type(text.open("r"), TextIO)
    assert_type(text.open("rt", encoding="latin-1"), TextIO)
    assert_type(text.open("rb"), BinaryIO)
    assert_type(text.read_text(), str)
    assert_type(text.read_bytes(), bytes)
    assert_type(text.path, Path)
    assert_type(text.copy_to("elsewhere"), Path)
    assert_type(table.name, str)
    assert_type(table.size, int)
    assert_type(folder / "a.txt", File[Any])
    assert_type(folder.files(), dict[str, File[Any]])
    assert_type(list(folder), list[str])
    open(text).close()
    rows(folder / "a.csv")


def refused(text: Text, table: Csv, folder: Directory) -> None:
    rows(text)  # error: a text where a table is wanted
    shout(table)  # error: a table where a text is wanted
    rows(shout(text))  # error: a text still
    rows("a.csv")  # error: a path is no File
    rows(Path("a.csv"))  # error: nor is a Path
    rows(folder)  # error: a directory is no file
    together(text)  # error: a list of them is wanted
    together([table])  # error: a list of texts is wanted
    text.open("w")  # error: a File is only read
    text.open("rb", encoding="utf-8")  # error: bytes have no encoding
    File(3)  # error: a path, bytes or a stream
    File(b"a", nam="a.txt")  # error: the argument is called name
    Directory(b"a")  # error: a directory is made of a path
    folder / 3  # error: a path is a text
    text.write_text("a")  # error: a File is only read
