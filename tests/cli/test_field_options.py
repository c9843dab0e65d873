"""`promissory run`: fields of records as options of their own, files by their paths; results that are no plain JSON."""

import json

import pytest

FLOW = """
    from __future__ import annotations
    from dataclasses import dataclass, field
    from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict
    import attrs, msgspec, pydantic
    from promissory import File, Directory, task, workflow

    @dataclass
    class Inner:
        a: int = 1
        b: str = "b"

    @dataclass
    class Point:
        x: int
        y: float = 0.5
        tags: list[str] = field(default_factory=lambda: ["new"])
        hidden: bool = False
        inner: Inner = field(default_factory=Inner)
        maybe: Inner | None = None
        long_name: str = "l"

    class Named(NamedTuple):
        x: int
        y: str = "y"

    class Typed(TypedDict):
        x: int
        y: NotRequired[str]

    class Model(pydantic.BaseModel):
        x: Annotated[int, pydantic.Field(gt=0)]
        y: str = "y"
        size: pydantic.PositiveInt = 1

    class Bill(pydantic.BaseModel):
        model: Model
        n: int = 0

    @attrs.define
    class Part:
        x: int = attrs.field(validator=attrs.validators.gt(0))
        y: str = "y"

    class Row(msgspec.Struct):
        x: int
        y: str = "y"

    @task
    def shown(value: Any) -> str:
        return repr(value)
"""
ONE = """
    @workflow
    def of_{name}({name}: {type}) -> str:
        return shown({name})
"""
TYPES = {
    "point": "Point",
    "big_point": "Point",
    "named": "Named",
    "typed": "Typed",
    "model": "Model",
    "bill": "Bill",
    "part": "Part",
    "row": "Row",
    "optional": "Point | None",
    "nothing": "Point | None = None",
    "origin": "Point = Point(3, 4.0)",
    "points": "list[Point]",
}
POINT = "x={}, y={}, tags={}, hidden={}, inner={}, maybe={}, long_name={}"


def point(x, y=0.5, tags="['new']", hidden=False, inner="Inner(a=1, b='b')", maybe=None, long_name="'l'"):
    """How a point is shown."""
    return f"Point({POINT.format(x, y, tags, hidden, inner, maybe, long_name)})"


@pytest.fixture
def cli(cli):
    """The command; a run is one on the engine `inline`."""
    return lambda command, *arguments: cli(command, *(("--engine", "inline") if command == "run" else ()), *arguments)


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW + "".join(ONE.format(name=name, type=type) for name, type in TYPES.items()))


@pytest.fixture
def given(cli, flow):
    """A function (input, arguments…) → (code, stdout, stderr) of the workflow that takes this input."""
    return lambda name, *arguments: cli("run", "flow.py", f"of_{name}", *arguments)


GIVEN = [
    ("point", ["--point.x", "1"], point(1)),
    ("point", ["--point.x=-1", "--point.y", "2"], point(-1, 2.0)),
    ("point", ["--point.x", "1", "--point.tags", '["a", "b"]'], point(1, tags="['a', 'b']")),
    ("point", ["--point.x", "1", "--point.hidden", "yes"], point(1, hidden=True)),
    ("point", ["--point.x", "1", "--point.hidden", "false"], point(1)),
    ("point", ["--point.x", "1", "--point.inner.a", "5"], point(1, inner="Inner(a=5, b='b')")),
    (
        "point",
        ["--point.x", "1", "--point.inner.a", "5", "--point.inner.b", ""],
        point(1, inner="Inner(a=5, b='')"),
    ),
    ("point", ["--point.x", "1", "--point.inner", '{"b": "c"}'], point(1, inner="Inner(a=1, b='c')")),
    (
        "point",
        ["--point.x", "1", "--point.inner", '{"b": "c"}', "--point.inner.a", "5"],
        point(1, inner="Inner(a=5, b='c')"),
    ),
    ("point", ["--point.x", "1", "--point.maybe.a", "5"], point(1, maybe="Inner(a=5, b='b')")),
    ("point", ["--point.x", "1", "--point.maybe", "null"], point(1)),
    ("point", ["--point.x", "1", "--point.long_name", "n"], point(1, long_name="'n'")),
    ("big_point", ["--big-point.x", "1"], point(1)),
    ("named", ["--named.x", "1"], "Named(x=1, y='y')"),
    ("named", ["--named.y", "z", "--named.x", "1"], "Named(x=1, y='z')"),
    ("typed", ["--typed.x", "1"], "{'x': 1}"),
    ("typed", ["--typed.x", "1", "--typed.y", "z"], "{'x': 1, 'y': 'z'}"),
    ("model", ["--model.x", "1"], "Model(x=1, y='y', size=1)"),
    ("bill", ["--bill.model.x", "1", "--bill.n", "2"], "Bill(model=Model(x=1, y='y', size=1), n=2)"),
    ("part", ["--part.x", "1"], "Part(x=1, y='y')"),
    ("row", ["--row.x", "1"], "Row(x=1, y='y')"),
    ("optional", ["--optional.x", "1"], point(1)),
    ("optional", ["--optional", "null"], "None"),
    ("nothing", [], "None"),
    ("nothing", ["--nothing.x", "1"], point(1)),
    ("origin", [], point(3, 4.0)),
    ("origin", ["--origin.x", "1"], point(1, 4.0)),
    ("points", ["--points", '[{"x": 1}]'], f"[{point(1)}]"),
]


@pytest.mark.full(keep=9)
@pytest.mark.parametrize(("name", "arguments", "shown"), GIVEN, ids=[f"{n} {' '.join(a)}" for n, a, _ in GIVEN])
def test_fields_of_a_record_are_options(given, name, arguments, shown):
    assert given(name, *arguments)[:2] == (0, shown + "\n")


@pytest.mark.parametrize("order", ["whole first", "whole last"])
def test_an_option_of_a_field_goes_before_the_option_of_the_record(given, order):
    whole, one = ["--point", '{"x": 1, "y": 2, "inner": {"a": 3}}'], ["--point.y", "7", "--point.inner.b", "c"]
    said = given("point", *(whole + one if order == "whole first" else one + whole))
    assert said[:2] == (0, point(1, 7.0, inner="Inner(a=3, b='c')") + "\n")


def test_an_option_of_a_field_goes_before_the_document_of_inputs(cli, shell, flow):
    pytest.importorskip("yaml")
    shell.write("inputs.yaml", "point:\n  x: 1\n  y: 2\n  inner:\n    a: 3\n")
    arguments = ("--inputs", "@inputs.yaml", "flow.py", "of_point")
    assert cli("run", *arguments)[:2] == (0, point(1, 2.0, inner="Inner(a=3, b='b')") + "\n")
    said = cli("run", *arguments, "--point.y", "7", "--point.inner.b", "c")
    assert said[:2] == (0, point(1, 7.0, inner="Inner(a=3, b='c')") + "\n")


def test_the_option_of_the_record_goes_before_the_document_of_inputs_as_a_whole(cli, flow):
    arguments = ("--inputs", '{"point": {"x": 1, "y": 2}}', "flow.py", "of_point")
    assert cli("run", *arguments, "--point", '{"x": 5}')[:2] == (0, point(5) + "\n")
    assert cli("run", *arguments, "--point", '{"x": 5}', "--point.y", "3")[:2] == (0, point(5, 3.0) + "\n")


def test_a_field_of_a_record_that_is_none_in_the_document_makes_one(cli, flow):
    arguments = ("--inputs", '{"optional": null}', "flow.py", "of_optional")
    assert cli("run", *arguments)[:2] == (0, "None\n")
    assert cli("run", *arguments, "--optional.x", "5")[:2] == (0, point(5) + "\n")


def test_the_last_of_two_options_of_one_field_counts(given):
    assert given("point", "--point.x", "1", "--point.x", "2")[:2] == (0, point(2) + "\n")


REFUSED = [
    ("point", [], "point"),
    ("point", ["--point.y", "1"], "Point needs the field 'x'"),
    ("point", ["--point.x", "one"], "'one' is not an int"),
    ("point", ["--point.x", "1", "--point.inner.a", "x"], "'x' is not an int"),
    ("point", ["--point.x", "1", "--point.hidden", "maybe"], "'maybe' is not a bool"),
    ("point", ["--point.x", "1", "--point.tags", "a"], "isn't JSON"),
    ("point", ["--point.z", "1"], "--point.z"),
    ("point", ["--point.x"], "--point.x"),
    ("named", ["--named.y", "a"], "Named needs the field 'x'"),
    ("typed", ["--typed.y", "a"], "Typed needs the field 'x'"),
    ("optional", ["--optional.y", "1"], "Point needs the field 'x'"),
    ("model", ["--model.x", "-1"], "x: Input should be greater than 0"),
    ("model", ["--model.x", "1", "--model.size", "0"], "size: Input should be greater than 0"),
    ("model", ["--model", '{"x": -1}'], "x: Input should be greater than 0"),
    ("model", ["--model.y", "a"], "x: Field required"),
    ("bill", ["--bill.model.x", "-1"], "x: Input should be greater than 0"),
    ("bill", ["--bill.n", "1"], "model: Field required"),
    ("part", ["--part.x", "-1"], "'x' must be > 0"),
    ("row", ["--row.y", "a"], "x"),
]


@pytest.mark.full(keep=8)
@pytest.mark.parametrize(("name", "arguments", "sentence"), REFUSED, ids=[f"{n} {' '.join(a)}" for n, a, _ in REFUSED])
def test_what_does_not_fit_a_field_is_a_mistake_in_the_call(given, told, name, arguments, sentence):
    code, out, err = given(name, *arguments)
    assert (code, out) == (2, "")
    assert sentence in told(err)


def test_a_mistake_in_a_nested_record_says_which_field(given, told):
    _, _, err = given("bill", "--bill.model.x", "-1", "--bill.n", "1")
    assert "model: Model can't be made of what was given: x: " in told(err)
    _, _, err = given("point", "--point.x", "1", "--point.inner", '{"a": "x"}')
    assert "point.inner" in told(err)
    assert "a: expected int, got str" in told(err)


def test_a_bad_constraint_in_the_document_of_inputs_is_a_mistake_in_the_call(cli, flow, told):
    code, _, err = cli("run", "--inputs", '{"model": {"x": -1}}', "flow.py", "of_model")
    assert (code, "x: Input should be greater than 0" in told(err)) == (2, True)


def test_a_document_that_lacks_a_field_is_not_made_whole_by_an_option(cli, flow, told):
    arguments = ("--inputs", '{"point": {"y": 2}}', "flow.py", "of_point")
    code, _, err = cli("run", *arguments)
    assert (code, "Point needs the field 'x'" in told(err)) == (2, True)


def test_the_help_lists_the_fields_with_their_types(given):
    code, out, _ = given("point", "--help")
    said = " ".join(out.split())
    assert code == 0
    for option in ("--point ", "--point.x int", "--point.y float", "--point.tags list[str]", "--point.hidden bool"):
        assert option in said
    assert "--point.inner.a int" in said
    assert "--point.maybe.b str" in said


def test_the_help_lists_the_fields_of_a_record_that_may_be_none(given):
    said = " ".join(given("optional", "--help")[1].split())
    assert "--optional.x int" in said


@pytest.mark.parametrize("name", ["points"])
def test_the_items_of_a_list_are_no_fields(given, name):
    assert f"--{name}." not in given(name, "--help")[1]


def test_a_record_in_itself_has_options_to_a_depth(cli, shell):
    shell.write(
        "flow.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from promissory import task

        @dataclass
        class Node:
            value: int
            next: Node | None = None

        @task
        def show(node: Node) -> str:
            return repr(node)
        """,
    )
    said = cli("run", "flow.py", "show", "--node.value", "1", "--node.next.value", "2")
    assert said[:2] == (0, "Node(value=1, next=Node(value=2, next=None))\n")
    assert cli("run", "flow.py", "show", "--help")[0] == 0


def test_fields_whose_names_meet_are_told_apart(cli, shell):
    shell.write(
        "flow.py",
        """
        from dataclasses import dataclass, field
        from promissory import task

        @dataclass
        class Inner:
            b: int = 1

        @dataclass
        class Outer:
            a__b: int = 2
            a: Inner = field(default_factory=Inner)

        @task
        def show(o: Outer, o_: Outer) -> str:
            return f"{o.a__b} {o.a.b} {o_.a__b} {o_.a.b}"
        """,
    )
    said = cli("run", "flow.py", "show", "--o.a__b", "5", "--o.a.b", "6", "--o-.a__b", "7", "--o-.a.b", "8")
    assert said[:2] == (0, "5 6 7 8\n")


# --- files ------------------------------------------------------------------------------------------------------------

FILES = """
    import json
    from dataclasses import dataclass
    from promissory import Context, Directory, File, task, workflow

    @dataclass
    class Job:
        source: File
        n: int = 1

    @task
    def length(file: File) -> str:
        return f"{file.name} {file.size} {file.read_text()[:3]}"

    @task
    def table(file: File["csv"]) -> int:
        return file.size

    @task
    def lengths(files: list[File]) -> list[int]:
        return [file.size for file in files]

    @task
    def tree(folder: Directory) -> list[str]:
        return sorted(folder)

    @task
    def job(job: Job) -> str:
        return f"{job.source.name} {job.source.size} {job.n}"

    @task
    def copy(file: File) -> File:
        return File(file.read_bytes() * 2, name="twice.txt")

    @task
    def folder(ctx: Context, file: File) -> Directory:
        file.copy_to(ctx.workdir)
        return Directory(ctx.workdir)
"""


@pytest.fixture
def files(shell):
    shell.write("files.py", FILES)
    shell.write("a.txt", "abcdef")
    shell.write("b.csv", "x" * 200_000)
    shell.write("tree/deep/c.txt", "c")
    return shell


TAKEN = [
    ("length", ["--file", "a.txt"], "a.txt 6 abc"),
    ("length", ["--file", "./tree/deep/c.txt"], "c.txt 1 c"),
    ("length", ["--file", "b.csv"], "b.csv 200000 xxx"),
    ("table", ["--file", "b.csv"], "200000"),
    ("lengths", ["--files", '["a.txt", "b.csv"]'], "[6, 200000]"),
    ("tree", ["--folder", "tree"], '["deep", "deep/c.txt"]'),
    ("job", ["--job.source", "a.txt"], "a.txt 6 1"),
    ("job", ["--job.source", "b.csv", "--job.n", "3"], "b.csv 200000 3"),
    ("job", ["--job", '{"source": "b.csv"}'], "b.csv 200000 1"),
]


@pytest.mark.full(keep=5)
@pytest.mark.parametrize(("target", "arguments", "shown"), TAKEN, ids=[f"{t} {' '.join(a)}" for t, a, _ in TAKEN])
def test_a_file_is_given_by_its_path(cli, files, target, arguments, shown):
    assert cli("run", "files.py", target, *arguments)[:2] == (0, shown + "\n")


def test_a_file_is_given_by_its_path_in_a_document_too(cli, files):
    assert cli("run", "--inputs", '{"file": "b.csv"}', "files.py", "length")[1] == "b.csv 200000 xxx\n"


NO_FILES = [
    ("length", ["--file", "nothing.txt"], "nothing.txt"),
    ("length", ["--file", "tree"], "tree"),
    ("length", ["--file", ""], ""),
    ("table", ["--file", "a.txt"], "csv"),
    ("lengths", ["--files", '["a.txt", "nothing.txt"]'], "nothing.txt"),
    ("tree", ["--folder", "nothing"], "nothing"),
    ("tree", ["--folder", "a.txt"], "a.txt"),
    ("job", ["--job.source", "nothing.txt"], "nothing.txt"),
]


@pytest.mark.parametrize(
    ("target", "arguments", "sentence"), NO_FILES, ids=[f"{t} {' '.join(a)}" for t, a, _ in NO_FILES]
)
def test_what_is_no_such_file_is_a_mistake_in_the_call(cli, files, told, target, arguments, sentence):
    code, out, err = cli("run", "files.py", target, *arguments)
    assert (code, out) == (2, "")
    assert sentence in told(err)


# --- results ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gave(cli, shell):
    """A function (file, target, arguments…) → what `run` printed, and `result` after it."""

    def both(*arguments):
        code, out, err = cli("run", "--run-id", "r", *arguments)
        assert code == 0, err
        code, again, err = cli("result", "r")
        assert code == 0, err
        as_json = cli("result", "--json", "r")[1]
        return out, again, json.loads(as_json)

    return both


def test_the_result_that_is_an_array_is_printed_as_lists(gave, shell):
    pytest.importorskip("numpy")
    shell.write(
        "flow.py",
        """
        import numpy as np
        from promissory import task

        @task
        def grid(n: int) -> np.ndarray:
            return np.arange(n * 2).reshape(n, 2)
        """,
    )
    out, again, as_json = gave("flow.py", "grid", "--n", "2")
    assert (json.loads(out), again, as_json) == ([[0, 1], [2, 3]], out, [[0, 1], [2, 3]])


def test_the_result_that_is_a_large_array_is_told_by_its_dtype_and_shape(gave, shell):
    pytest.importorskip("numpy")
    shell.write(
        "flow.py",
        """
        import numpy as np
        from promissory import task

        @task
        def grid(n: int) -> np.ndarray:
            return np.arange(n, dtype=np.int32)
        """,
    )
    assert gave("flow.py", "grid", "--n", "20000")[2] == "<an array of int32 with the shape (20000,)>"


@pytest.mark.parametrize("library", ["pandas", pytest.param("polars", marks=pytest.mark.full)])
def test_the_result_that_is_a_frame_is_printed(gave, shell, library):
    pytest.importorskip(library)
    shell.write(
        "flow.py",
        f"""
        import {library} as lib
        from promissory import task

        @task
        def frame(n: int) -> lib.DataFrame:
            return lib.DataFrame({{"number": list(range(n)), "word": ["w"] * n}})
        """,
    )
    out, again, as_json = gave("flow.py", "frame", "--n", "2")
    assert out == again
    assert "number" in out
    assert "word" in out
    assert as_json == json.loads(json.dumps(as_json))
    assert "w" in json.dumps(as_json)


def test_the_result_that_is_a_file_is_printed_so_that_it_can_be_found(gave, files):
    out, again, as_json = gave("files.py", "copy", "--file", "a.txt")
    assert out == again
    assert "twice.txt" in out
    assert "12" in json.dumps(as_json)


def test_the_result_that_is_a_large_file_is_printed_without_its_content(gave, files):
    out, again, as_json = gave("files.py", "copy", "--file", "b.csv")
    assert out == again
    assert len(out) < 1000
    assert "twice.txt" in json.dumps(as_json)
    assert "400000" in json.dumps(as_json)


def test_the_result_that_is_a_directory_is_printed(gave, files):
    out, again, as_json = gave("files.py", "folder", "--file", "tree/deep/c.txt")
    assert out == again
    assert as_json.startswith("<directory ")
    assert as_json.endswith(" with 1 files>")


def test_the_inputs_of_a_run_show_a_file_with_its_name(cli, files):
    assert cli("run", "--run-id", "r", "files.py", "length", "--file", "b.csv")[0] == 0
    code, out, err = cli("inputs", "--json", "r")
    assert (code, json.loads(out)) == (0, {"file": "<file b.csv of 200000 bytes>"}), err
