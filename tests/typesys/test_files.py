"""Files and directories as values: by their content and name, not by the place where they lie."""

import copy
import gc
import io
import os
import pickle
import shutil
import socket
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promissory import Directory, File, type_of
from promissory.errors import AnnotationError, FormatError, ParseError, TypeMismatch
from promissory.typesys import assignable, codec_of, why_not
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack
from promissory.typesys.files import format_of
from promissory.typesys.parse import parse_json, parse_text
from promissory.typesys.transcode import transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import ANY

CSV, TXT = File["csv"], File["txt"]
QUICK = settings(max_examples=60, deadline=None, database=None, derandomize=True)


def travel(value, annotation):
    codec = codec_of(annotation)
    data = codec.encode(value)
    again = codec.decode(data)
    assert codec.encode(again) == data
    return again


def passed(value, source, target):
    there = codec_of(source)
    return codec_of(target).decode(pack(transcode(there.lower(value), there.type, type_of(target))))


@pytest.fixture
def rows(tmp_path):
    """The path of a file."""
    path = tmp_path / "rows.CSV"
    path.write_bytes(b"a,b\r\n1,2")
    return path


# --- files ------------------------------------------------------------------------------------------------------------


def test_V3_a_file_is_its_name_and_content_wherever_it_was_made_from(rows):
    with open(rows, "rb") as stream:
        from_stream = File(stream)
    made = [
        File(rows),
        File(str(rows)),
        File(b"a,b\r\n1,2", name="rows.CSV"),
        File(bytearray(b"a,b\r\n1,2"), name="rows.CSV"),
        File(io.BytesIO(b"a,b\r\n1,2"), name="rows.CSV"),
        File(File(rows)),
        from_stream,
    ]
    for file in made:
        assert (file.name, file.format, file.size, file.read_bytes()) == ("rows.CSV", "csv", 8, b"a,b\r\n1,2")
        assert (file, hash(file), file.digest) == (made[0], hash(made[0]), made[0].digest)
        assert codec_of(File).encode(file) == codec_of(File).encode(made[0])


def test_V3_a_file_differs_by_its_content_and_by_its_name():
    one = File(b"x", name="a")
    for other in (File(b"y", name="a"), File(b"xx", name="a"), File(b"x", name="b"), "a", b"x"):
        assert one != other
    assert len({one, File(b"x", name="a"), File(b"y", name="a")}) == 2


@pytest.mark.parametrize("content", [b"", b"a\r\nb", b"\xff\0", bytes(100_000)], ids=len)
@pytest.mark.parametrize("annotation", [File, Any])
def test_V3_a_file_comes_back_with_its_content_and_name(content, annotation):
    file = File(content, name="data.bin")
    again = travel(file, annotation)
    assert (type(again), again, again.name, again.size) == (File, file, "data.bin", len(content))
    assert (again.read_bytes(), again.path.read_bytes()) == (content, content)
    assert travel([file, None], list[File | None]) == [file, None]


def test_V3_a_file_outlives_the_folder_from_which_it_was_taken(rows):
    data = codec_of(File).encode(File(rows))
    rows.unlink()
    assert codec_of(File).decode(data).read_bytes() == b"a,b\r\n1,2"


def test_V3_a_file_of_a_path_is_read_when_it_is_passed_on(rows):
    file = File(rows)
    rows.write_bytes(b"later")
    assert travel(file, File).read_bytes() == b"later"


def test_V3_a_stream_is_read_from_where_it_stands(rows):
    with open(rows, "rb") as stream:
        stream.read(2)
        file = File(stream, name="rest")
    assert (file.name, file.read_bytes()) == ("rest", b"b\r\n1,2")
    assert File(io.BytesIO(b"x")).name == "file"


@pytest.mark.parametrize("stream", [io.StringIO("text"), io.StringIO("")])
def test_V3_a_stream_of_text_is_refused(stream):
    with pytest.raises(TypeError, match="open it with mode 'rb'"):
        File(stream)


@pytest.mark.parametrize("source", [None, 3, ["a"]])
def test_V3_what_is_no_source_of_a_file_is_a_type_error(source):
    with pytest.raises(TypeError):
        File(source)


def test_V3_a_path_without_such_a_thing_is_told_at_once(tmp_path, rows):
    with pytest.raises(FileNotFoundError):
        File(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError, match="make it a Directory"):
        File(tmp_path)
    with pytest.raises(NotADirectoryError, match="make it a File"):
        Directory(rows)
    with pytest.raises(FileNotFoundError):
        Directory(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("rows.CSV", "csv"),
        ("all.tar.gz", "tar.gz"),
        ("ALL.TAR.GZ", "tar.gz"),
        ("v1.2.csv", "csv"),
        ("README", ""),
        (".bashrc", ""),
        ("a.", ""),
        (" ", ""),
        ("ü\n.txt", "txt"),
        ("\udc80.bin", "bin"),
    ],
)
def test_V3_a_name_tells_the_format_and_any_name_of_a_file_travels(name, format):
    file = File(b"x", name=name)
    again = travel(file, File)
    assert (format_of(name), file.format, again.name, again.format) == (format, format, name, format)
    assert again.path.name == name
    assert again.path.read_bytes() == b"x"


@pytest.mark.parametrize("name", [".", "..", "a/b", "/a", "a\0b"])
def test_V3_what_is_no_name_of_a_file_is_refused(name):
    with pytest.raises(ValueError, match="a file can't be called"):
        File(b"x", name=name)
    with pytest.raises(FormatError, match="a file can't be called"):
        codec_of(File).decode(pack([name, format_of(name), b"x"]))


def test_V3_a_file_is_opened_for_reading_only(rows):
    for file in (File(rows), travel(File(rows), File)):
        for mode, content in (("r", "a,b\n1,2"), ("rt", "a,b\n1,2"), ("rb", b"a,b\r\n1,2")):
            with file.open(mode) as stream:
                assert stream.read() == content
        with file.open(newline="") as stream:
            assert stream.read() == "a,b\r\n1,2"
        for mode in ("w", "a", "x", "r+", "rb+", "wb", ""):
            with pytest.raises(ValueError, match="make a new File of what is changed"):
                file.open(mode)
    assert rows.read_bytes() == b"a,b\r\n1,2"


def test_V3_text_is_utf_8_unless_told_otherwise():
    file = File("ä\r\n".encode("latin-1"))
    assert file.read_text("latin-1") == "ä\n"
    with file.open(encoding="latin-1") as stream:
        assert stream.read() == "ä\n"
    with pytest.raises(UnicodeDecodeError):
        file.read_text()
    assert File("ä".encode()).read_text() == "ä"


def test_V3_a_file_is_a_path_that_lasts_as_long_as_it(rows):
    assert os.fspath(File(rows)) == str(File(rows)) == str(rows)
    file = travel(File(rows), File)
    path = Path(file)
    assert (path, path.name, path.read_bytes()) == (file.path, "rows.CSV", b"a,b\r\n1,2")
    assert path != rows
    del file
    gc.collect()
    assert not path.exists()
    assert not path.parent.exists()


def test_V3_a_file_is_copied_to_a_path_or_into_a_folder(rows, tmp_path):
    (tmp_path / "out").mkdir()
    for file in (File(rows), travel(File(rows), File)):
        assert file.copy_to(tmp_path / "other") == tmp_path / "other"
        assert file.copy_to(tmp_path / "out") == tmp_path / "out" / "rows.CSV"
        assert (tmp_path / "other").read_bytes() == (tmp_path / "out" / "rows.CSV").read_bytes() == b"a,b\r\n1,2"


def test_V3_a_file_that_is_copied_onto_itself_is_not_lost(rows):
    try:
        File(rows).copy_to(rows.parent)
    except (OSError, ValueError):
        pass
    assert rows.read_bytes() == b"a,b\r\n1,2"


def test_V3_a_file_that_is_gone_is_a_mismatch_with_its_path(rows):
    file = File(rows)
    rows.unlink()
    for annotation in (list[File], list[Any]):
        with pytest.raises(TypeMismatch, match=r"^\[0\]: the file .*rows.CSV can't be read: No such file"):
            codec_of(annotation).encode([file])


@pytest.mark.parametrize("content", [b"other...", b"less", b"much more than before", b""], ids=len)
def test_V3_a_file_that_is_changed_while_it_is_read_is_a_mismatch(rows, content):
    buffer = File(rows).buffer
    os.utime(rows, ns=(1, 1))
    rows.write_bytes(content)
    with pytest.raises(TypeMismatch, match="was changed while it was read: pass it on when it is finished"):
        buffer.content()


def test_V3_a_special_file_is_no_value(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(TypeMismatch, match=f"{path} is no plain file"):
            codec_of(File).encode(File(path))


def test_V3_a_link_to_a_file_is_the_file_under_the_links_name(rows, tmp_path):
    (tmp_path / "link.csv").symlink_to(rows)
    assert travel(File(tmp_path / "link.csv"), File) == File(b"a,b\r\n1,2", name="link.csv")


def test_V3_a_file_is_copied_and_a_key(rows):
    file = travel(File(rows), File)
    assert copy.deepcopy(file) == copy.copy(file) == file
    assert travel({file: 1}, dict[File, int]) == {file: 1}
    assert travel({file}, Any) == {file}


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (File, "File"),
        (File["csv"], "File['csv']"),
        (File[".CSV"], "File['csv']"),
        (File[Literal["csv"]], "File['csv']"),
        (File["tar.gz"], "File['tar.gz']"),
        (list[CSV] | None, "list[File['csv']] | None"),
        (Directory, "Directory"),
    ],
)
def test_T1_an_annotation_states_the_format(annotation, text):
    assert str(type_of(annotation)) == text
    assert type_from_bytes(type_bytes(type_of(annotation))) == type_of(annotation)


@pytest.mark.parametrize("format", ["", "a/b", 3, str, None])
def test_T1_what_is_no_format_is_an_annotation_error(format):
    with pytest.raises(AnnotationError, match=r"as in File\['csv'\]"):
        type_of(File[format])


def test_T1_a_file_of_another_format_is_refused(rows):
    file = File(rows)
    assert travel(file, File["csv"]) == travel(file, File["txt"] | File["csv"]) == file
    assert codec_of(File["csv"]).encode(file) == codec_of(File).encode(file)
    with pytest.raises(TypeMismatch) as caught:
        codec_of(dict[str, list[TXT]]).encode({"a": [file]})
    assert str(caught.value) == "['a'][0]: expected File['txt'], got the file rows.CSV"


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (File, File["csv"], None),
        (File["csv"], File, None),
        (File["csv"], Any, None),
        (File["csv"], File["txt"], "its format is csv, not txt"),
        (list[CSV], list[TXT], "its items: its format is csv, not txt"),
        (File, Directory, "File is not Directory"),
        (File, str, "File is not str"),
        (str, File, "str is not File"),
        (Path, File, "Path is not File"),
    ],
)
def test_T1_a_format_that_is_left_open_is_no_obstacle(source, target, reason):
    assert why_not(type_of(source), type_of(target)) == reason
    assert assignable(type_of(source), type_of(target)) == (reason is None)


def test_T1_a_format_that_was_left_open_is_looked_at_when_the_value_is_there(rows):
    file = File(rows)
    for source, target in ((File, File["csv"]), (Any, File["csv"]), (File["csv"], Any), (Any, File["b"] | File["csv"])):
        assert passed(file, source, target) == file
    for source in (File, Any):
        with pytest.raises(TypeMismatch) as caught:
            passed([file], list[source], list[TXT])
        assert str(caught.value) == "[0]: expected File['txt'], got File['csv']"


@pytest.mark.parametrize("value", ["rows.csv", b"x", Path("rows.csv"), None])
def test_T1_a_path_is_no_file(value):
    with pytest.raises(TypeMismatch, match=r"^\[0\]: expected File, got "):
        codec_of(list[File]).encode([value])


# --- text and JSON ----------------------------------------------------------------------------------------------------


def test_V3_a_person_writes_a_path_and_the_file_is_read(rows, monkeypatch):
    for annotation in (File, File["csv"], File | None):
        codec = codec_of(annotation)
        assert codec.lift_tree(parse_text(str(rows), codec.type)) == File(rows)
        assert codec.lift_tree(parse_json(str(rows), codec.type)) == File(rows)
    codec = codec_of(dict[str, list[File]])
    assert codec.lift_tree(parse_text(f'{{"a": ["{rows}"]}}', codec.type)) == {"a": [File(rows)]}
    monkeypatch.setenv("HOME", str(rows.parent))
    assert codec_of(File).lift_tree(parse_text("~/rows.CSV", type_of(File))) == File(rows)


def test_V3_a_person_writes_the_path_of_a_directory(rows):
    codec = codec_of(Directory)
    assert codec.lift_tree(parse_text(str(rows.parent), codec.type)) == Directory(rows.parent)


@pytest.mark.parametrize(
    ("annotation", "text", "reason"),
    [
        (File, "nothing", "'nothing' is not a File: No such file or directory"),
        (File, "", "is a directory: make it a Directory"),
        (File, "a\0b", "null"),
        (File, "\ud800", "surrogates"),
        (File["txt"], "rows.CSV", r"is not a File\['txt'\]"),
        (Directory, "rows.CSV", "is no directory: make it a File"),
        (Directory, "nothing", "'nothing' is not a Directory: No such file or directory"),
    ],
)
def test_V3_a_path_that_leads_to_no_such_file_is_a_parse_error(rows, monkeypatch, annotation, text, reason):
    monkeypatch.chdir(rows.parent)
    with pytest.raises(ParseError, match=reason):
        parse_text(text, type_of(annotation))
    with pytest.raises(ParseError, match=r"^\['a'\]\[0\]: "):
        parse_json({"a": [text]}, type_of(dict[str, list[annotation]]))


@pytest.mark.parametrize("value", [3, None, ["a"], {"name": "a"}])
def test_V3_json_that_is_no_path_is_a_parse_error(value):
    with pytest.raises(ParseError, match=r"^\[0\]: .* is not a File: give its path"):
        parse_json([value], type_of(list[File]))


def test_V3_files_are_shown_as_json(rows):
    for value, shown in (
        (File(rows), "<file rows.CSV of 8 bytes>"),
        (Directory(rows.parent, name="d"), "<directory d with 1 files>"),
    ):
        for annotation in (type(value), Any):
            codec = codec_of(annotation)
            assert to_json(codec.lower(value), codec.type) == shown


# --- directories ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """The path of a directory."""
    root = tmp_path / "tree"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"A")
    (root / "a.txt").chmod(0o640)
    (root / "sub" / "b.sh").write_bytes(b"B")
    (root / "sub" / "b.sh").chmod(0o755)
    (root / "sub" / "up").symlink_to("../a.txt")
    (root / "link").symlink_to("sub/b.sh")
    (root / "folder").symlink_to("sub")
    (root / "dangling").symlink_to("nothing")
    (root / "self").symlink_to(".")
    return root


NAMES = ["a.txt", "dangling", "folder", "link", "self", "sub", "sub/b.sh", "sub/empty", "sub/up"]


@pytest.mark.parametrize("annotation", [Directory, Any])
def test_V3_a_directory_comes_back_with_its_files_modes_and_links(tree, annotation):
    directory = Directory(tree)
    again = travel(directory, annotation)
    assert (type(again), again, hash(again)) == (Directory, directory, hash(directory))
    assert (again.name, list(again)) == ("tree", NAMES)
    assert {name: file.read_bytes() for name, file in again.files().items()} == {"a.txt": b"A", "sub/b.sh": b"B"}
    path = again.path
    assert (path.name, (path / "sub" / "empty").is_dir()) == ("tree", True)
    assert [(path / name).stat().st_mode & 0o777 for name in ("a.txt", "sub/b.sh")] == [0o640, 0o755]
    assert [os.readlink(path / name) for name in ("sub/up", "link", "folder", "dangling", "self")] == [
        "../a.txt",
        "sub/b.sh",
        "sub",
        "nothing",
        ".",
    ]
    assert Directory(path) == directory


def test_V3_one_file_of_a_directory_is_taken_by_its_path(tree):
    for directory in (Directory(tree), travel(Directory(tree), Directory)):
        assert directory / "sub/b.sh" == File(b"B", name="b.sh")
        for path in ("nothing", "sub", "link", "../tree/a.txt", "/a.txt"):
            with pytest.raises(FileNotFoundError, match="there is no file"):
                directory / path


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a.txt").write_bytes(b"AA"),
        lambda root: (root / "a.txt").chmod(0o600),
        lambda root: (root / "a.txt").rename(root / "c.txt"),
        lambda root: (root / "sub" / "empty").rmdir(),
        lambda root: (root / "sub" / "empty").chmod(0o700),
        lambda root: ((root / "link").unlink(), (root / "link").symlink_to("a.txt")),
        lambda root: (root / "new").mkdir(),
    ],
)
def test_V3_a_directory_differs_by_all_that_is_in_it(tree, change):
    before = travel(Directory(tree), Directory)
    change(tree)
    after = Directory(tree)
    assert before != after
    assert codec_of(Directory).encode(before) != codec_of(Directory).encode(after)


def test_V3_a_directory_is_the_same_wherever_it_lies_and_however_it_was_made(tree, tmp_path):
    other = tmp_path / "other" / "tree"
    shutil.copytree(tree, other, symlinks=True)
    os.utime(other / "a.txt", (1, 1))
    assert Directory(other) == Directory(tree)
    assert codec_of(Directory).encode(Directory(other)) == codec_of(Directory).encode(Directory(tree))
    assert Directory(other, name="x") != Directory(tree)


def test_V3_an_empty_directory_and_its_copy(tmp_path):
    (tmp_path / "empty").mkdir()
    again = travel(Directory(tmp_path / "empty"), Directory)
    assert (list(again), again.files(), list(again.path.iterdir())) == ([], {}, [])
    assert again.copy_to(tmp_path / "copy").is_dir()
    with pytest.raises(FileExistsError):
        again.copy_to(tmp_path / "copy")


def test_V3_a_directory_is_a_path_that_lasts_as_long_as_it(tree):
    (tree / "sub").chmod(0o555)
    directory = travel(Directory(tree), Directory)
    path = directory.path
    assert (path, (path / "sub").stat().st_mode & 0o777) == (Path(os.fspath(directory)), 0o555)
    assert (path / "sub" / "b.sh").read_bytes() == b"B"
    del directory
    gc.collect()
    assert not path.parent.exists()
    assert os.fspath(Directory(tree)) == str(tree)
    (tree / "sub").chmod(0o755)


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "sub/../../x", "sub/up/../../.."])
def test_V3_a_link_that_leads_out_is_refused_with_its_path(tree, target):
    (tree / "bad").symlink_to(target)
    with pytest.raises(TypeMismatch, match=rf"^\[0\]: the link bad leads out of the directory .*, to {target}$"):
        codec_of(list[Directory]).encode([Directory(tree)])


def test_V3_a_link_that_leads_out_by_way_of_another_link_is_refused(tree):
    (tree / "sub" / "back").symlink_to("..")
    (tree / "bad").symlink_to("sub/back/..")
    assert (tree / "bad").resolve() == tree.parent
    with pytest.raises(TypeMismatch, match="the link bad leads out of the directory"):
        codec_of(Directory).encode(Directory(tree))


def test_V3_a_pipe_or_a_socket_in_a_directory_is_refused_with_its_path(tree, monkeypatch):
    os.mkfifo(tree / "sub" / "pipe")
    with pytest.raises(TypeMismatch, match=r"^sub/pipe in the directory .* is neither a file nor a folder nor a link"):
        codec_of(Directory).encode(Directory(tree))
    (tree / "sub" / "pipe").unlink()
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        with pytest.raises(TypeMismatch, match=r"^socket in the directory"):
            codec_of(Directory).encode(Directory(tree))


def test_V3_a_name_that_is_no_utf_8_comes_back(tree):
    name = os.fsdecode(b"\xff.bin")
    (tree / name).write_bytes(b"x")
    again = travel(Directory(tree), Directory)
    assert (again / name).read_bytes() == b"x"
    assert b"\xff.bin" in os.listdir(os.fsencode(again.path))


def test_V3_a_directory_that_is_gone_is_a_mismatch_and_not_empty(tree):
    directory = Directory(tree)
    shutil.rmtree(tree)
    with pytest.raises(TypeMismatch, match=r"^\[0\]: "):
        codec_of(list[Directory]).encode([directory])


def test_V3_names_of_directories(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert [Directory(path).name for path in (".", "sub", "sub/", "/")] == ["tree", "sub", "sub", "directory"]
    for name in ("..", "a/b", "a\0"):
        with pytest.raises(ValueError, match="can't be called"):
            Directory(tree, name=name)


# --- bytes that are no value ------------------------------------------------------------------------------------------


def entry(path, kind="file", mode=0o644, target="", content=b""):
    return [path, kind, mode, target, content]


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../x")],
        [entry("/x")],
        [entry("a/../../x")],
        [entry("")],
        [entry(".")],
        [entry("a\0")],
        [entry("a", "link", target="/etc")],
        [entry("a", "link", target="../x")],
        [entry("a", "weird")],
        [entry("a"), entry("a")],
        [entry("a", "folder"), entry("l", "link", target="a"), entry("l/x")],
        [entry("a", "folder"), entry("a/b", "link", target=".."), entry("c", "link", target="a/b/..")],
        [entry("a", mode=-1)],
    ],
)
def test_T1_entries_that_are_no_directory_are_a_format_error(entries):
    with pytest.raises(FormatError):
        codec_of(Directory).decode(pack(["d", entries]))


def test_T1_no_directory_writes_anything_beside_itself(tmp_path):
    (tmp_path / "out").mkdir()
    entries = [
        entry("a", "folder", 0o755),
        entry("a/back", "link", target=".."),
        entry("c", "link", target="a/back/../out"),
        entry("c/evil", content=b"!"),
    ]
    try:
        codec_of(Directory).decode(pack(["d", entries])).copy_to(tmp_path / "d")
    except (FormatError, OSError):
        pass
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("tree", [None, "a", [], ["a", ""], ["a", "", "text"], [b"a", "", b""], ["a", "", b"", 1]])
def test_T1_a_tree_that_is_no_file_is_a_format_error(tree):
    with pytest.raises(FormatError):
        codec_of(File).decode(pack(tree))


def test_T1_a_file_whose_bytes_say_another_format_than_its_name_is_a_format_error():
    for annotation in (File, File["txt"]):
        with pytest.raises(FormatError):
            codec_of(annotation).decode(pack(["a.csv", "txt", b"x"]))


@QUICK
@given(st.data())
def test_T1_changed_bytes_are_a_file_or_a_format_error(data):
    trees = {File: ["a.csv", "csv", b"content"], Directory: ["d", [entry("a", content=b"x")]]}
    for annotation, tree in trees.items():
        whole = pack(tree)
        at = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(at, min(at + 3, len(whole))))
        try:
            codec_of(annotation).decode(whole[:at] + data.draw(st.binary(max_size=4)) + whole[end:])
        except FormatError:
            pass


@QUICK
@given(st.binary(max_size=50), st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=5))
def test_V3_any_file_comes_back_the_same(content, name):
    if name in (".", ".."):
        return
    for annotation in (File, Any):
        again = travel(File(content, name=name), annotation)
        assert (again.name, again.read_bytes()) == (name, content)
    codec, file = codec_of(File), File(content, name=name)
    assert pack(transcode(codec.lower(file), codec.type, ANY)) == codec_of(Any).encode(file)


def test_V3_the_bytes_of_files_are_the_same_in_every_process(project, tree):
    program = f"""
        from promissory import Directory, File
        from promissory.typesys import codec_of
        print(codec_of(Directory).encode(Directory({str(tree)!r})).hex(), File(b"x").digest)
    """
    here = f"{codec_of(Directory).encode(Directory(tree)).hex()} {File(b'x').digest}"
    assert project.code(program, PYTHONHASHSEED="1").strip() == here


def test_V3_files_and_directories_can_be_pickled_and_copied(tree):
    for value, annotation in ((File(b"abc", name="a.txt"), File), (Directory(tree), Directory)):
        for one in (value, travel(value, annotation)):
            for again in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
                assert (type(again), again) == (type(one), one)
