"""`register_codec`: a class of the author's own gets a wire form; and how other processes find it."""

import enum
import os
import subprocess
import sys
import textwrap
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import pytest

import promissory
import promissory.typesys.families.registry as families
from promissory.typesys import (
    AnnotationError,
    FormatError,
    Opaque,
    ParseError,
    TypeMismatch,
    assignable,
    check,
    codec_of,
    register_codec,
    type_of,
    why_not,
)
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.families.registry import family_named
from promissory.typesys.infer import Inference, mentions_opaque
from promissory.typesys.parse import parse_json, parse_text
from promissory.typesys.transcode import fits, transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import ANY, FLOAT, STR, NamedType
from promissory.typesys.wire import codec_for

ROOT = Path(promissory.__file__).parent.parent


class Valued:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is type(self) and other.value == self.value

    def __hash__(self):
        return hash(self.value)

    def __repr__(self):
        return f"{type(self).__name__}({self.value!r})"


def value_of(one):
    return one.value


class Celsius(Valued):
    pass


class Point(Valued):
    """Of x and y."""


class Tags(Valued):
    __hash__ = None


class Animal(Valued):
    pass


class Dog(Animal):
    pass


class Code(Valued):
    pass


class Polygon(Valued):
    pass


class Line(NamedTuple):
    start: int
    end: int


@dataclass
class Corner:
    x: float
    label: str | None = None


register_codec(Celsius, wire=float, to_wire=value_of, from_wire=Celsius)
register_codec(Point, wire=tuple[int, int], to_wire=value_of, from_wire=Point)
register_codec(Tags, wire=set[str], to_wire=value_of, from_wire=Tags, hashable=False)
register_codec(Animal, wire=str, to_wire=value_of, from_wire=Animal, subclasses=True)
register_codec(Code, wire=str, to_wire=value_of, from_wire=Code, name="acme-code")
register_codec(Polygon, wire=list[Corner], to_wire=value_of, from_wire=Polygon)


@dataclass
class Reading:
    at: Celsius
    where: Point | None = None
    shape: Polygon | None = None


class Report(TypedDict):
    readings: list[Celsius]


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


VALUES = [
    (Celsius, Celsius(20.5), "Celsius"),
    (Point, Point((1, 2)), "Point"),
    (Tags, Tags({"b", "a"}), "Tags"),
    (Code, Code("x"), "acme-code"),
    (Polygon, Polygon([Corner(1.0), Corner(2.0, "b")]), "Polygon"),
    (list[Celsius | None], [Celsius(1.0), None], "list[Celsius | None]"),
    (dict[Point, Celsius], {Point((1, 2)): Celsius(1.0)}, "dict[Point, Celsius]"),
    (set[Code], {Code("a"), Code("b")}, "set[acme-code]"),
    (deque[Celsius], deque([Celsius(1.0)]), "deque[Celsius]"),
    (Celsius | Point | float | str, Celsius(1.0), "float | str | Celsius | Point"),
    (Report, {"readings": [Celsius(1.0)]}, "Report"),
]
IDS = [f"{i}-{text}" for i, (_, _, text) in enumerate(VALUES)]


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_value_comes_back_equal_and_of_its_class(annotation, value, text):
    for wanted in (annotation, annotation | None, Any):
        again = travel(value, wanted)
        assert (again, type(again)) == (value, type(value))
    check(value, annotation)


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_type_is_printed_by_its_class_and_read_back_from_its_bytes(annotation, value, text):
    type_ = type_of(annotation)
    assert str(type_) == text
    again = type_from_bytes(type_bytes(type_))
    assert again == type_
    assert codec_for(again).encode(value) == codec_of(annotation).encode(value)
    assert not mentions_opaque(type_)


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_value_goes_to_any_and_back_and_to_json_and_back(annotation, value, text):
    codec = codec_of(annotation)
    tree = codec.lower(value)
    there = transcode(tree, codec.type, ANY)
    assert pack(there) == codec_of(Any).encode(value)
    assert pack(transcode(there, ANY, codec.type)) == codec.encode(value)
    assert fits(unpack(pack(tree)), codec.type)
    if "|" not in text or "None" in text:  # in JSON a Celsius is a number as another
        assert pack(parse_json(to_json(tree, codec.type), codec.type)) == codec.encode(value)


def test_a_value_in_a_record_comes_back():
    value = Reading(Celsius(1.0), Point((1, 2)), Polygon([Corner(1.0)]))
    again = travel(value, Reading)
    assert (again.at, again.where, again.shape.value) == (value.at, value.where, value.shape.value)


def test_a_record_that_holds_a_value_that_is_written_as_records_is_read_back_from_its_bytes():
    type_ = type_of(Reading)
    assert type_from_bytes(type_bytes(type_)) == type_
    assert type_from_bytes(type_bytes(type_of(list[Reading] | Polygon))) == type_of(list[Reading] | Polygon)


def test_a_class_is_named_as_an_import_names_it_unless_a_name_is_given():
    assert type_of(Celsius) == NamedType(f"{__name__}:Celsius", FLOAT)
    assert type_of(Code) == NamedType("acme-code", STR)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Celsius, Celsius(1.0), "cb3ff0000000000000"),
        (Point, Point((1, 2)), "920102"),
        (Tags, Tags({"b", "a"}), "92a161a162"),
        (Code, Code("x"), "a178"),
        (Polygon, Polygon([Corner(1.0)]), "9192cb3ff00000000000009201c0"),
        (Any, Code("x"), "9305a9" + b"acme-code".hex() + "a178"),
    ],
)
def test_a_value_has_these_bytes_and_no_others(annotation, value, expected):
    codec = codec_of(annotation)
    assert codec.encode(value).hex() == expected
    assert codec.encode(codec.decode(bytes.fromhex(expected))).hex() == expected


def test_a_class_that_is_registered_is_no_class_that_nothing_knows():
    inference = Inference()
    inference.infer(dict[str, Celsius])
    assert inference.unknown == []


# --- subclasses, keys -------------------------------------------------------------------------------------------------


def test_subclasses_are_welcome_only_where_it_was_said():
    class Warm(Celsius):
        pass

    with pytest.raises(TypeMismatch) as caught:
        codec_of(Celsius).encode(Warm(1.0))
    assert str(caught.value) == "expected Celsius, got Warm"
    assert travel(Dog("rex"), Animal) == Animal("rex")
    assert travel([Dog("rex")], Any) == [Animal("rex")]


def test_what_cannot_be_hashed_is_refused_as_a_key():
    for annotation in (set[Tags], dict[Tags, int], frozenset[tuple[int, Tags]]):
        with pytest.raises(AnnotationError, match="Tags can't be a key or a member of a set, it is not hashable"):
            type_of(annotation)


# --- what does not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        (20.5, Celsius, "expected Celsius, got float"),
        (None, Celsius, "expected Celsius, got None"),
        ([Celsius(1.0), 2.0], list[Celsius], "[1]: expected Celsius, got float"),
        (Reading(5), Reading, "at: expected Celsius, got int"),
        ({"readings": [5]}, Report, "['readings'][0]: expected Celsius, got int"),
    ],
)
def test_P4_another_class_is_refused_with_its_path(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


def test_P4_a_value_whose_wire_form_is_not_what_was_said_is_refused():
    with pytest.raises(TypeMismatch, match="expected float, got str"):
        codec_of(list[Celsius]).encode([Celsius("warm")])
    with pytest.raises(TypeMismatch, match="expected float, got str"):
        codec_of(Any).encode([Celsius("warm")])


def test_an_int_where_the_wire_form_is_a_float_has_the_same_bytes_as_a_value_of_any():
    codec = codec_of(Celsius)
    assert codec.encode(Celsius(20)) == codec.encode(Celsius(20.0))
    assert codec_of(Any).encode(Celsius(20)) == pack(transcode(codec.lower(Celsius(20)), codec.type, ANY))


def test_P3_it_goes_by_name():
    assert assignable(type_of(Celsius), type_of(Celsius | None))
    assert why_not(type_of(float), type_of(Celsius)) == "float is not Celsius"
    assert why_not(type_of(Celsius), type_of(float)) == "Celsius is not float"
    assert why_not(type_of(Celsius), type_of(Code)) == "Celsius is not acme-code"


class Leaky(Valued):
    pass


def leak(one):
    raise LookupError(f"no {one!r}")


register_codec(Leaky, wire=int, to_wire=leak, from_wire=leak)


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [(Leaky, Leaky(1), ""), (list[Leaky], [Leaky(1)], "[0]: "), (Any, {"a": Leaky(1)}, "['a']: ")],
    ids=range(3),
)
def test_P4_a_to_wire_that_raises_is_a_mismatch_that_names_the_class_and_the_reason(annotation, value, path):
    for ask in (codec_of(annotation).encode, lambda value: check(value, annotation)):
        with pytest.raises(TypeMismatch) as caught:
            ask(value)
        assert str(caught.value) == f"{path}a Leaky can't be written down: LookupError: no Leaky(1)"


@pytest.mark.parametrize(
    ("annotation", "tree"), [(Leaky, 1), (list[Leaky], [1]), (Any, [5, f"{__name__}:Leaky", 1])], ids=range(3)
)
def test_a_from_wire_that_raises_is_a_format_error_that_names_the_reason(annotation, tree):
    with pytest.raises(FormatError, match="can't be read: LookupError: no 1"):
        codec_of(annotation).decode(pack(tree))


def test_a_from_wire_that_raises_makes_a_parse_error_of_what_was_typed():
    class Broken(Valued):
        pass

    def fail(tree):
        raise AttributeError("broken")

    register_codec(Broken, wire=int, to_wire=value_of, from_wire=fail, name="test:Broken")
    for read, given in ((parse_json, 1), (parse_text, "1")):
        with pytest.raises(ParseError, match=r"1 is not a Broken: .*broken"):
            read(given, type_of(Broken))


# --- what can't be registered -----------------------------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    """What a test registers is forgotten after it."""
    for name in ("_by_class", "_by_name"):
        monkeypatch.setattr(families, name, dict(getattr(families, name)))


class Free(Valued):
    """A class that no test registers for good."""


class Colour(enum.Enum):
    RED = 1


class Access(enum.Flag):
    READ = 1


@pytest.mark.parametrize("cls", [Corner, Line, Report, Colour, Access], ids=lambda cls: cls.__name__)
def test_a_class_that_has_a_wire_form_already_is_refused(registry, cls):
    before = type_of(cls)
    with pytest.raises(AnnotationError) as caught:
        register_codec(cls, wire=str, to_wire=str, from_wire=cls)
    assert cls.__name__ in str(caught.value)
    assert type_of(cls) == before


@pytest.mark.parametrize("cls", [int, str, list, dict, tuple, type(None), object, bool], ids=lambda cls: cls.__name__)
def test_a_class_of_the_language_is_refused(registry, cls):
    with pytest.raises(AnnotationError, match=cls.__name__):
        register_codec(cls, wire=bytes, to_wire=repr, from_wire=cls)


@pytest.mark.parametrize("cls", [Decimal, Path, deque])
def test_a_class_that_has_a_codec_already_is_refused(registry, cls):
    with pytest.raises(AnnotationError, match=f"a codec for {cls.__name__} .*is there already"):
        register_codec(cls, wire=str, to_wire=str, from_wire=cls)


def test_a_class_registered_under_another_name_is_refused():
    with pytest.raises(AnnotationError, match=r"a codec for Celsius .*is there already"):
        register_codec(Celsius, wire=float, to_wire=value_of, from_wire=Celsius, name="other:Celsius")
    assert family_named(f"{__name__}:Celsius").cls is Celsius
    with pytest.raises(AnnotationError):
        family_named("no_such_module_of_celsius:Celsius")


def test_a_name_that_stands_for_another_class_is_refused():
    with pytest.raises(AnnotationError) as caught:
        register_codec(Free, wire=str, to_wire=str, from_wire=Free, name="acme-code")
    assert str(caught.value) == f"the name 'acme-code' stands for {__name__}.Code already: give another one"
    assert type_of(Code) == NamedType("acme-code", STR)
    with pytest.raises(AnnotationError, match=r"the name 'datetime\.date' stands for datetime\.date already"):
        register_codec(Free, wire=str, to_wire=str, from_wire=Free, name="datetime.date")


def test_a_local_class_without_a_name_is_refused_with_the_way_out():
    class Local(Valued):
        pass

    with pytest.raises(AnnotationError) as caught:
        register_codec(Local, wire=str, to_wire=value_of, from_wire=Local)
    assert str(caught.value).endswith(
        "Local is defined inside a function, where no worker finds it: define it at module level, or give a name"
    )
    register_codec(Local, wire=str, to_wire=value_of, from_wire=Local, name="test:Local")
    assert travel(Local("a"), Local) == Local("a")


@pytest.mark.parametrize("thing", [5, "Money", None, list[int], register_codec], ids=range(5))
def test_what_is_no_class_is_refused(registry, thing):
    with pytest.raises(AnnotationError) as caught:
        register_codec(thing, wire=str, to_wire=str, from_wire=str)
    assert str(caught.value) == f"{thing!r} is no class"


@pytest.mark.parametrize(
    "wire", [Valued, Opaque[Valued], list[Valued], Free, dict[list[int], int], "Later", 5, complex | Valued], ids=str
)
def test_a_wire_form_that_has_none_itself_is_refused(registry, wire):
    with pytest.raises(AnnotationError):
        register_codec(Free, wire=wire, to_wire=value_of, from_wire=Free)
    assert "Opaque" in str(type_of(Free))


def test_a_module_that_was_loaded_again_registers_its_new_class(write_module):
    source = """
        from promissory import register_codec

        class Money:
            def __init__(self, cents):
                self.cents = cents

        register_codec(Money, wire=int, to_wire=lambda money: money.cents, from_wire=Money)
    """
    first = write_module("loaded_again", source).Money
    assert travel(first(5), first).cents == 5
    del sys.modules["loaded_again"]
    second = write_module("loaded_again", source).Money
    assert second is not first
    assert type(travel(second(5), second)) is second
    assert type(travel(second(5), Any)) is second


# --- other processes --------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path):
    """A function (program) → what a new Python process prints, with the files of a folder on its path."""

    def start(program):
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    return start


@pytest.fixture
def installed(tmp_path):
    """A function (entry point) that makes a tiny distribution which names it in the group `promissory.codecs`."""

    def install(entry):
        (tmp_path / "shop.py").write_text("class Money:\n    def __init__(self, cents):\n        self.cents = cents\n")
        (tmp_path / "shop_codecs.py").write_text(
            "from promissory import register_codec\nfrom shop import Money\n\n"
            "def register():\n    register_codec(Money, wire=int, to_wire=lambda money: money.cents, from_wire=Money)\n"
        )
        (tmp_path / "shop_registered.py").write_text("import shop_codecs\n\nshop_codecs.register()\n")
        (tmp_path / "shop_broken.py").write_text("raise OSError('no shop today')\n")
        folder = tmp_path / "shop-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[promissory.codecs]\nshop = {entry}\n")

    return install


@pytest.mark.parametrize("entry", ["shop_codecs:register", "shop_registered"])
def test_an_installed_package_registers_by_its_entry_point(installed, fresh, entry):
    installed(entry)
    said = fresh("""
        from shop import Money
        from promissory.typesys import codec_of
        codec = codec_of(list[Money])
        print(codec.type, codec.encode([Money(5)]).hex(), codec.decode(codec.encode([Money(5)]))[0].cents)
    """)
    assert said == "list[Money] 9105 5"


def test_a_value_of_any_finds_the_codec_of_an_installed_package(installed, fresh):
    installed("shop_codecs:register")
    data = fresh(
        "from shop import Money; from typing import Any; from promissory.typesys import codec_of; "
        "print(codec_of(Any).encode([Money(5)]).hex())"
    )
    assert bytes.fromhex(data) == pack([0, [[5, "shop:Money", 5]]])
    again = fresh(
        "from typing import Any; from promissory.typesys import codec_of; "
        f"print(codec_of(Any).decode(bytes.fromhex('{data}'))[0].cents)"
    )
    assert again == "5"


def test_a_type_of_a_plan_finds_the_codec_of_an_installed_package(installed, fresh):
    installed("shop_codecs:register")
    said = fresh("""
        from promissory.typesys.type_format import type_from_bytes
        from promissory.typesys.canonical import pack
        from promissory.typesys.wire import codec_for
        print(codec_for(type_from_bytes(pack([21, "shop:Money", 3]))).decode(pack(7)).cents)
    """)
    assert said == "7"


def test_packages_are_looked_for_only_when_something_is_not_known(installed, fresh):
    installed("shop_codecs:register")
    said = fresh("""
        import sys
        from decimal import Decimal
        from typing import Any
        from promissory.typesys import codec_of
        codec_of(dict[str, Decimal]).encode({"a": Decimal(1)})
        codec_of(Any).encode([Decimal(1)])
        print([name for name in ("shop", "shop_codecs", "importlib.metadata") if name in sys.modules])
    """)
    assert said == "[]"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("shop_broken", "OSError: no shop today"),
        ("shop_nowhere", "No module named 'shop_nowhere'"),
        ("shop_codecs:nothing", "nothing"),
    ],
)
def test_an_entry_point_that_cannot_be_loaded_is_named_with_the_reason(installed, fresh, entry, reason):
    installed(entry)
    said = fresh("""
        from shop import Money
        from promissory.typesys import AnnotationError, type_of
        try:
            print(type_of(Money))
        except AnnotationError as error:
            print(error)
    """)
    assert said.startswith(f"the codecs of {entry} (entry point 'shop') can't be loaded: ")
    assert reason in said


def test_a_type_whose_module_registers_it_is_found_by_its_name(write_module, fresh):
    write_module(
        "found_by_name",
        "class Money(int):\n"
        "    pass\n\n"
        "from promissory import register_codec\n"
        "register_codec(Money, wire=int, to_wire=int, from_wire=Money)\n",
    )
    said = fresh("""
        from promissory.typesys.canonical import pack
        from promissory.typesys.types import INT, NamedType
        from promissory.typesys.wire import codec_for
        print(type(codec_for(NamedType("found_by_name:Money", INT)).decode(pack(5))).__name__)
    """)
    assert said == "Money"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_shop:Money", "cannot import module 'no_such_shop' to find 'Money': No module named 'no_such_shop'"),
        ("decimal:Money", "module 'decimal' has no 'Money'"),
        ("decimal:Context", "the module that calls register_codec has to be imported, or found by an entry point"),
        ("no-colon", "the module that calls register_codec has to be imported, or found by an entry point"),
    ],
)
def test_a_value_whose_type_nobody_registers_is_an_error_that_names_it(name, reason):
    codec = codec_for(NamedType(name, FLOAT))  # who only looks at a run needs nothing more
    with pytest.raises(AnnotationError) as caught:
        codec.encode(1.0)
    with pytest.raises(FormatError) as read:
        codec.decode(codec_for(FLOAT).encode(1.0))
    for said in (str(caught.value), str(read.value)):
        assert f"no codec is registered for the type {name!r}" in said
        assert reason in said


def test_T1_reading_and_showing_imports_nothing(write_module, tmp_path):
    (tmp_path / "shop_that_tells.py").write_text("raise SystemError('imported')\n")
    type_ = type_from_bytes(pack([21, "shop_that_tells:Money", 4]))
    assert str(type_) == "Money"
    assert to_json(1.5, type_) == 1.5
    assert fits(1.5, type_)
    assert transcode(1.5, type_, ANY) == [5, "shop_that_tells:Money", 1.5]
    assert "shop_that_tells" not in sys.modules


@pytest.mark.parametrize(("value", "tree"), [(2, 2.0), (1.5, 1.5)])
def test_T1_reading_what_was_typed_imports_nothing(write_module, tmp_path, value, tree):
    (tmp_path / "shop_that_tells.py").write_text("raise SystemError('imported')\n")
    type_ = NamedType("shop_that_tells:Money", FLOAT)
    assert parse_json(value, type_) == tree
    assert parse_text(str(value), type_) == tree


def test_T1_what_was_typed_is_checked_by_its_wire_form_also_if_the_class_is_not_known():
    with pytest.raises(ParseError):
        parse_json("warm", NamedType("no_such_shop:Money", FLOAT))
