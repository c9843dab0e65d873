"""Parts: large buffers that lie beside their value, named by their digests."""

import base64
import os
from dataclasses import dataclass
from typing import Any, Literal

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy")

from promissory import Directory, File, type_of  # noqa: E402
from promissory.errors import FormatError, TypeMismatch  # noqa: E402
from promissory.typesys import buffer, codec_of  # noqa: E402
from promissory.typesys.as_json import to_json  # noqa: E402
from promissory.typesys.buffer import NAMES_ONLY, PART_LIMIT, Buffer, PartName, Pending, blake3, names_of  # noqa: E402
from promissory.typesys.canonical import (  # noqa: E402
    EXT_BUFFER,
    EXT_BYTES,
    EXT_IN_PARTS,
    has_parts,
    in_parts,
    long_list_in,
    opened,
    pack,
    parts_mentioned,
    unpack,
)
from promissory.typesys.transcode import fits, transcode  # noqa: E402
from promissory.typesys.types import ANY  # noqa: E402

QUICK = settings(max_examples=60, deadline=None, database=None, derandomize=True)


class Memory:
    """Parts in memory."""

    def __init__(self):
        self.kept = {}

    stays = True

    def keep(self, buffer):
        content, names, at = buffer.content(), names_of(buffer), 0
        for name in names:
            self.kept[name] = content[at : at + name.size]
            at += name.size
        return names

    def mapped(self, names):
        return memoryview(bytearray(b"".join(self.kept[name] for name in names)))

    def path_of(self, names):
        return None


@dataclass
class Record:
    name: str
    content: bytes
    rows: Any = None


LARGE = bytes(range(256)) * 256 + b"end"
OTHER = bytes(PART_LIMIT)
ARRAY = np.arange(20_000.0)
VALUES = {
    "bytes": (bytes, LARGE, 1),
    "as many bytes as a part has at least": (bytes, OTHER, 1),
    "bytearray": (bytearray, bytearray(LARGE), 1),
    "a list": (list[bytes], [LARGE, b"x", OTHER], 2),
    "a list of the same": (list[bytes], [LARGE, LARGE, LARGE], 1),
    "a tuple": (tuple[bytes, int], (LARGE, 1), 1),
    "tuples of any length": (tuple[bytes, ...], (b"", LARGE), 1),
    "a dict": (dict[str, bytes], {"a": LARGE, "b": b"x"}, 1),
    "keys": (dict[bytes, int], {LARGE: 1, b"x": 2}, 1),
    "keys of two types": (dict[float | bytes, int], {LARGE: 1, 1.0: 2}, 1),
    "a union": (bytes | str | None, LARGE, 1),
    "a list of unions": (list[bytes | None], [LARGE, None], 1),
    "a record": (Record, Record("a", LARGE, {"b": OTHER}), 2),
    "large numbers": (list[Any], [2**70, LARGE, -(2**100), 10**400], 1),
    "a file": (File, File(LARGE, name="a.bin"), 1),
    "a list of files": (list[File], [File(LARGE, name="a"), File(b"x", name="b")], 1),
    "Any": (Any, {"a": [LARGE, 1, b"x"], "b": (OTHER,), LARGE: None}, 2),
}


def same_parts(data, wanted):
    head, names = opened(data)
    return (len(names), parts_mentioned(head), in_parts(head, names)) == (wanted, names, data)


@pytest.mark.parametrize("name", VALUES)
def test_V4_a_large_buffer_lies_beside_its_value(name):
    annotation, value, count = VALUES[name]
    for wanted in (annotation, Any):
        codec, parts = codec_of(wanted), Memory()
        data = codec.encode(value, parts)
        assert has_parts(data)
        assert len(data) < 1000
        assert len(parts.kept) == count
        assert same_parts(data, count)
        again = codec.decode(data, parts)
        assert again == value
        assert type(again) is type(value)
        assert codec.encode(again, Memory()) == data


@pytest.mark.parametrize("name", [name for name in VALUES if "file" not in name])
def test_V4_without_a_place_for_parts_they_stand_in_the_bytes(name):
    annotation, value, _ = VALUES[name]
    for wanted in (annotation, Any):
        codec = codec_of(wanted)
        data = codec.encode(value)
        assert not has_parts(data)
        assert len(data) > PART_LIMIT
        assert opened(data) == (data, ())
        assert codec.decode(data) == value
        assert codec.encode(codec.decode(data)) == data


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("annotation", [np.ndarray, Any])
def test_V4_an_array_from_parts_is_private_and_may_be_written_to(order, annotation):
    parts, codec = Memory(), codec_of(annotation)
    array = np.asarray(np.arange(20_000, dtype=">i4").reshape(100, 200), order=order)
    data = codec.encode(array, parts)
    first, second = codec.decode(data, parts), codec.decode(data, parts)
    assert (first.dtype, first.shape, first.flags.f_contiguous) == (array.dtype, array.shape, order == "F")
    first[0, 0] = -1
    assert first[0, 0] == -1
    for untouched in (second, codec.decode(data, parts)):
        assert np.array_equal(untouched, array)
    assert codec.encode(array, Memory()) == data


def test_V4_an_array_with_gaps_has_the_part_of_one_without():
    codec, parts = codec_of(np.ndarray), Memory()
    wide = np.arange(40_000.0)[::2]
    data = codec.encode(wide, parts)
    assert data == codec.encode(wide.copy(), Memory())
    assert [name.size for name in parts.kept] == [160_000]
    assert np.array_equal(codec.decode(data, parts), wide)


def test_V4_a_value_below_the_limit_has_no_parts():
    for value in (bytes(PART_LIMIT - 1), [b"x" * 100] * 1000, "x" * PART_LIMIT, np.zeros(8191)):
        parts = Memory()
        assert not has_parts(codec_of(Any).encode(value, parts))
        assert parts.kept == {}


def test_V4_equal_bytes_are_one_part_whatever_they_belong_to():
    parts = Memory()
    for value in (ARRAY, ARRAY.tobytes(), [ARRAY.tobytes()], File(ARRAY.tobytes(), name="a"), ARRAY.reshape(100, 200)):
        codec_of(Any).encode(value, parts)
    assert list(parts.kept) == [PartName(blake3(ARRAY.tobytes()), ARRAY.nbytes)]


def test_V4_bytes_and_a_buffer_of_equal_parts_stay_apart():
    parts = Memory()
    value = [ARRAY.tobytes(), ARRAY]
    again = codec_of(Any).decode(codec_of(Any).encode(value, parts), parts)
    assert [type(one) for one in again] == [bytes, np.ndarray]


def test_V4_parts_are_listed_once_in_the_order_of_their_mention():
    data = codec_of(list[bytes]).encode([OTHER, LARGE, OTHER], Memory())
    assert opened(data)[1] == (PartName(blake3(OTHER), len(OTHER)), PartName(blake3(LARGE), len(LARGE)))


@pytest.mark.parametrize("name", VALUES)
def test_V4_the_bytes_are_known_without_keeping_any_part(name):
    annotation, value, _ = VALUES[name]
    codec, pending, parts = codec_of(annotation), Pending(), Memory()
    data = codec.encode(value, NAMES_ONLY)
    assert codec.encode(value, pending) == data
    for one in pending.buffers:
        parts.keep(one)
    assert len(parts.kept) == len(opened(data)[1])
    assert codec.decode(data, parts) == value


# --- parts that are not at hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in VALUES if "file" not in name])
def test_V4_a_value_without_its_parts_is_one_clear_error(name):
    annotation, value, _ = VALUES[name]
    data = codec_of(annotation).encode(value, Memory())
    for parts in (None, NAMES_ONLY):
        with pytest.raises(FormatError, match="has parts that lie in a store, which is not at hand here"):
            codec_of(annotation).decode(data, parts)


def test_V4_a_file_without_its_parts_tells_its_name_and_is_one_clear_error_when_it_is_read():
    data = codec_of(File).encode(File(LARGE, name="a.bin"), Memory())
    file = codec_of(File).decode(data)
    assert (file.name, file.size, file.digest) == ("a.bin", len(LARGE), blake3(LARGE).hex())
    assert file == File(LARGE, name="a.bin")
    for read in (file.read_bytes, file.read_text, file.open, file.__fspath__):
        with pytest.raises(FormatError, match="has parts that lie in a store, which is not at hand here"):
            read()


def test_V4_the_tree_of_a_value_is_written_again_without_its_parts():
    for annotation, value in ((bytes, LARGE), (np.ndarray, ARRAY), (Any, {"a": [LARGE, ARRAY]})):
        data = codec_of(annotation).encode(value, Memory())
        assert pack(unpack(data)) == data
        head, names = opened(data)
        assert pack([unpack(data)]) == in_parts(b"\x91" + head, names)


@pytest.mark.parametrize("make", [lambda: File(LARGE, name="a"), lambda: [File(LARGE, name="a"), LARGE]])
def test_V4_a_file_that_is_kept_in_two_places_is_in_both(make):
    value, first, second = make(), Memory(), Memory()
    data = codec_of(Any).encode(value, first)
    assert codec_of(Any).encode(value, second) == data
    for parts in (first, second):
        assert codec_of(Any).decode(data, parts) == value
        assert list(parts.kept) == [PartName(blake3(LARGE), len(LARGE))]
    assert not has_parts(codec_of(Any).encode(value))


def test_V4_a_file_from_one_place_is_kept_in_another():
    first, second = Memory(), Memory()
    file = codec_of(File).decode(codec_of(File).encode(File(LARGE, name="a"), first), first)
    data = codec_of(File).encode(file, second)
    assert codec_of(File).decode(data, second).read_bytes() == LARGE


# --- files and directories --------------------------------------------------------------------------------------------


def test_V4_a_large_file_is_read_from_its_parts_into_a_file(tmp_path):
    (tmp_path / "large.bin").write_bytes(LARGE)
    parts = Memory()
    data = codec_of(File).encode(File(tmp_path / "large.bin"), parts)
    file = codec_of(File).decode(data, parts)
    assert (file.path.read_bytes(), file.read_bytes()) == (LARGE, LARGE)
    assert file == File(tmp_path / "large.bin")
    assert hash(file) == hash(File(LARGE, name="large.bin"))


def test_V4_a_file_that_its_store_has_on_this_machine_is_not_copied(tmp_path):
    class Folder(Memory):
        def path_of(self, names):
            (tmp_path / "part").write_bytes(self.mapped(names))
            return str(tmp_path / "part")

    parts = Folder()
    file = codec_of(File).decode(codec_of(File).encode(File(LARGE, name="a.bin"), parts), parts)
    assert os.path.realpath(file) == str(tmp_path / "part")
    assert (file.path.name, file.path.read_bytes()) == ("a.bin", LARGE)


def test_V4_a_directory_has_the_parts_of_its_large_files(tmp_path):
    for name, content in (("large", LARGE), ("again", LARGE), ("small", b"x")):
        (tmp_path / name).write_bytes(content)
    parts = Memory()
    data = codec_of(Directory).encode(Directory(tmp_path), parts)
    assert list(parts.kept) == [PartName(blake3(LARGE), len(LARGE))]
    again = codec_of(Directory).decode(data, parts)
    assert again == Directory(tmp_path)
    assert (again.path / "again").read_bytes() == LARGE


# --- more than one part -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch):
    """A buffer has a part for each 65536 of its bytes."""
    monkeypatch.setattr("promissory.typesys.buffer.LARGEST_PART", PART_LIMIT)
    return PART_LIMIT


@pytest.mark.parametrize("extra", [0, 1, -1])
def test_V4_a_buffer_beyond_the_largest_part_is_several(small_parts, extra):
    content = os.urandom(3 * small_parts + extra)
    pieces = [content[at : at + small_parts] for at in range(0, len(content), small_parts)]
    for value in (content, File(content, name="a"), [content, content], np.frombuffer(content, np.uint8)):
        parts = Memory()
        data = codec_of(Any).encode(value, parts)
        names = opened(data)[1]
        assert names == tuple(PartName(blake3(piece), len(piece)) for piece in pieces)
        again = codec_of(Any).decode(data, parts)
        assert np.array_equal(again, value) if isinstance(value, np.ndarray) else again == value


def test_V4_the_digest_of_a_file_of_several_parts_is_that_of_each(small_parts):
    content = os.urandom(2 * small_parts + 5)
    file = File(content, name="a")
    parts = Memory()
    again = codec_of(File).decode(codec_of(File).encode(file, parts), parts)
    pieces = [content[:small_parts], content[small_parts:-5], content[-5:]]
    assert again.digest == file.digest == "-".join(blake3(piece).hex() for piece in pieces)
    assert (again.size, again.read_bytes(), again) == (len(content), content, file)


# --- buffers ----------------------------------------------------------------------------------------------------------


def test_V4_a_buffer_gives_its_bytes_as_often_as_it_is_asked():
    for memory, content in ((b"abc", b"abc"), (None, b""), (b"", b""), (ARRAY, ARRAY.tobytes()), (np.array(1), None)):
        content = memory.tobytes() if content is None else content
        one = Buffer.of(memory)
        for _ in range(2):
            pieces = []
            one.write_to(lambda piece, pieces=pieces: pieces.append(bytes(piece)))
            assert (one.size, b"".join(pieces), one.content(), bytes(one.view())) == (len(content), *[content] * 3)
        assert names_of(one) == (PartName(blake3(content), len(content)),)
        view = one.view()
        view[:] = bytes(len(content))
        assert one.content() == content
        assert (one.path(), repr(one)) == (None, f"Buffer({len(content)} bytes)")


@QUICK
@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 30))
def test_V4_names_do_not_depend_on_the_pieces_in_which_bytes_come(pieces, largest):
    whole = b"".join(pieces)
    before = buffer.LARGEST_PART
    buffer.LARGEST_PART = largest
    try:
        cut = Buffer(len(whole), lambda take: [take(memoryview(piece)) for piece in pieces])
        names = names_of(cut)
    finally:
        buffer.LARGEST_PART = before
    wanted = [whole[at : at + largest] for at in range(0, len(whole), largest)] or [b""]
    assert names == tuple(PartName(blake3(piece), len(piece)) for piece in wanted)


# --- trees in parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (dict[str, bytes], {"a": LARGE}),
        (list[bytes | None], [LARGE, None]),
        (np.ndarray, ARRAY),
        (File, File(LARGE, name="x.csv")),
        (Record, Record("a", LARGE)),
        (set[bytes], {LARGE}),
        (set[bytes], {LARGE, OTHER}),
        (set[tuple[bytes, int]], {(LARGE, 1), (OTHER, 2), (b"x", 3)}),
        (dict[bytes, int], {LARGE: 1}),
    ],
)
def test_V4_a_tree_in_parts_goes_to_any_and_back(annotation, value):
    codec, parts = codec_of(annotation), Memory()
    data = codec.encode(value, parts)
    # A set that holds large bytes holds them in itself, so it may be a long list, which can't be looked into unread.
    for source in (None, parts) if long_list_in(opened(data)[0]) is None else (parts,):
        tree = unpack(data, parts=source)
        assert fits(tree, codec.type)
        there = transcode(tree, codec.type, ANY)
        assert pack(there, Memory()) == codec_of(Any).encode(value, Memory())
        assert pack(transcode(there, ANY, codec.type), Memory()) == data


def test_V4_large_bytes_of_any_take_the_arm_for_bytes():
    tree = unpack(codec_of(Any).encode([LARGE], Memory()))
    for target in (list[bytes], list[bytes | str], list[str | bytes | None]):
        assert pack(transcode(tree, ANY, type_of(target))) == codec_of(target).encode([LARGE], Memory())


@pytest.mark.parametrize("target", [str, int, None, bytearray, Literal[b"x"], File, np.ndarray, list[bytes]])
def test_V4_large_bytes_of_any_that_do_not_fit_are_told_as_bytes(target):
    for data in (codec_of(Any).encode([LARGE], Memory()), codec_of(Any).encode([b"x" * 5])):
        tree = unpack(data)
        with pytest.raises(TypeMismatch) as caught:
            transcode(tree, ANY, type_of(list[target]))
        assert str(caught.value) == f"[0]: expected {type_of(target)}, got bytes"


def test_V4_an_array_in_parts_is_no_bytes():
    tree = unpack(codec_of(Any).encode(ARRAY, Memory()))
    with pytest.raises(TypeMismatch, match="expected bytes, got ndarray"):
        transcode(tree, ANY, type_of(bytes))
    data = codec_of(np.ndarray).encode(ARRAY, Memory())
    with pytest.raises(FormatError):
        codec_of(tuple[str, tuple[int, ...], bool, np.ndarray]).decode(data)


def test_V4_large_bytes_are_shown_as_json():
    parts = Memory()
    for annotation in (bytes, Any):
        codec = codec_of(annotation)
        shown = to_json(unpack(codec.encode(LARGE, parts), parts=parts), codec.type)
        assert shown == base64.b64encode(LARGE).decode()


# --- bytes that are no value ------------------------------------------------------------------------------------------

NAME = [b"x" * 32, 70_000]


def extension(code, payload):
    return msgpack.packb(msgpack.ExtType(code, payload))


@pytest.mark.parametrize("code", [EXT_BYTES, EXT_BUFFER])
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        pack([]),
        pack(3),
        pack(None),
        pack([3]),
        pack([[b"x", 5]]),
        pack([[b"x" * 32, 0]]),
        pack([[b"x" * 32, -1]]),
        pack([[b"x" * 32, 2**40]]),
        pack([[b"x" * 32, True]]),
        pack([["x" * 32, 5]]),
        pack([[b"x" * 32, 5, 5]]),
        pack([NAME]) + b"\0",
    ],
)
def test_T1_a_buffer_that_is_named_wrongly_is_a_format_error(code, payload):
    data = extension(code, payload)
    with pytest.raises(FormatError):
        unpack(data)
    with pytest.raises(FormatError):
        parts_mentioned(data)
    with pytest.raises(FormatError):
        codec_of(Any).decode(data, Memory())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        pack([1]),
        pack(1),
        pack([1, 3]) + pack(1),
        pack([1, [[b"x", 5]]]) + pack(1),
        pack([1, [NAME]]),
        pack([1, [NAME]]) + pack(1) + pack(2),
        b"\xff" * 20,
    ],
)
def test_T1_a_value_in_parts_that_is_malformed_is_a_format_error(payload):
    with pytest.raises(FormatError):
        codec_of(Any).decode(extension(EXT_IN_PARTS, payload), Memory())


def test_T1_an_algorithm_of_the_future_is_told():
    with pytest.raises(FormatError, match="names them by algorithm 2, which is not known here"):
        opened(extension(EXT_IN_PARTS, pack([2, [NAME]]) + pack(1)))


def test_T1_parts_stand_for_a_whole_value_only():
    inner = codec_of(bytes).encode(LARGE, Memory())
    with pytest.raises(FormatError):
        codec_of(list[bytes]).decode(b"\x91" + inner, Memory())


def test_V4_whether_a_value_has_parts_is_told_by_its_first_bytes():
    data = codec_of(bytes).encode(LARGE, Memory())
    assert has_parts(data)
    assert has_parts(memoryview(data))
    for other in (b"", data[:2], pack(1), pack(2**70), extension(EXT_BYTES, pack([NAME])), b"\xc7", b"\xc9\0\0\0"):
        assert not has_parts(other)


@QUICK
@given(st.data())
def test_T1_changed_bytes_of_a_value_in_parts_are_a_value_or_a_format_error(data):
    parts = Memory()
    annotation, value = data.draw(st.sampled_from([(Any, {"a": [LARGE, ARRAY]}), (list[bytes], [LARGE, OTHER])]))
    whole = codec_of(annotation).encode(value, parts)
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, min(at + 3, len(whole))))
    changed = whole[:at] + data.draw(st.binary(max_size=4)) + whole[end:]
    for read in (opened, lambda one: codec_of(annotation).decode(one), lambda one: parts_mentioned(opened(one)[0])):
        try:
            read(changed)
        except FormatError:
            pass


def test_T1_a_value_in_parts_cut_short_or_continued_is_a_format_error():
    parts = Memory()
    whole = codec_of(list[bytes]).encode([LARGE, OTHER], parts)
    for data in [*(whole[:end] for end in range(len(whole))), whole + b"\0"]:
        with pytest.raises(FormatError):
            codec_of(list[bytes]).decode(data, parts)
