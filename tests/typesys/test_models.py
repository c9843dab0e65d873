"""Models of pydantic, attrs and msgspec: records, field by field, and not pickles."""

from functools import cached_property
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pydantic = pytest.importorskip("pydantic")
attrs = pytest.importorskip("attrs")
msgspec = pytest.importorskip("msgspec")

from promissory import type_of  # noqa: E402
from promissory.errors import AnnotationError, FormatError, ParseError, TypeMismatch  # noqa: E402
from promissory.typesys import assignable, codec_of, why_not  # noqa: E402
from promissory.typesys.as_json import to_json  # noqa: E402
from promissory.typesys.canonical import pack  # noqa: E402
from promissory.typesys.infer import mentions_opaque  # noqa: E402
from promissory.typesys.names import find  # noqa: E402
from promissory.typesys.parse import parse_json  # noqa: E402
from promissory.typesys.records import required_fields  # noqa: E402
from promissory.typesys.self_describing import holds_opaque, lower_any  # noqa: E402
from promissory.typesys.transcode import transcode  # noqa: E402
from promissory.typesys.type_format import type_bytes, type_from_bytes  # noqa: E402
from promissory.typesys.types import ANY  # noqa: E402
from promissory.typesys.wire import codec_for  # noqa: E402

QUICK = settings(max_examples=20, deadline=None, database=None, derandomize=True)
T = TypeVar("T")


def travel(value, annotation):
    codec = codec_of(annotation)
    data = codec.encode(value)
    again = codec.decode(data)
    assert codec.encode(again) == data
    return again


def shown(value, annotation):
    codec = codec_of(annotation)
    return to_json(codec.lower(value), codec.type)


def apart(model):
    """What a model of pydantic has beside its fields."""
    return model.__pydantic_fields_set__, model.__pydantic_extra__, model.__pydantic_private__


class Item(pydantic.BaseModel):
    name: str
    count: int = 1
    tags: list[str] = pydantic.Field(default_factory=list)


class Priced(Item):
    price: float = 1.0


class Open(pydantic.BaseModel):
    model_config = {"extra": "allow"}
    a: int = 1


class Hidden(pydantic.BaseModel):
    a: int
    _level: int = pydantic.PrivateAttr(default=3)
    _seen: list[int] = pydantic.PrivateAttr(default_factory=list)
    _unset: int


class OpenAndHidden(Open):
    _level: int = 3


class Frozen(pydantic.BaseModel):
    model_config = {"frozen": True}
    a: int


class Doubled(pydantic.BaseModel):
    a: int

    @pydantic.field_validator("a")
    @classmethod
    def double(cls, value):
        return value * 2


class Named(pydantic.BaseModel):
    a: int = pydantic.Field(alias="theA")


class Linked(pydantic.BaseModel):
    value: int
    next: Optional["Linked"] = None
    kids: list["Linked"] = []


class Box(pydantic.BaseModel, Generic[T]):
    inside: T


class Chain(pydantic.BaseModel, Generic[T]):
    inside: T
    next: Optional["Chain[T]"] = None


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    age: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    age: int


class Owner(pydantic.BaseModel):
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]
    site: pydantic.HttpUrl
    rank: pydantic.PositiveInt = 1
    either: int | str | Item = 0


class Numbers(pydantic.RootModel[list[int]]):
    pass


@attrs.define
class Part:
    name: str
    count: int = 1
    tags: list[str] = attrs.field(factory=list)


@attrs.define
class PricedPart(Part):
    price: float = 1.0


class UndecoratedPart(Part):
    pass


@attrs.frozen
class FrozenPart:
    a: int


@attrs.frozen(cache_hash=True)
class HashedPart:
    a: int


@attrs.define
class Converted:
    _a: int = attrs.field(converter=int)
    b: int = attrs.field(default=1, validator=attrs.validators.instance_of(int))
    c: int = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.c = self._a * 2


@attrs.define
class LinkedPart:
    value: int
    next: Optional["LinkedPart"] = None


@attrs.define
class BoxPart(Generic[T]):
    inside: T


@attrs.define
class Unset:
    a: int
    b: int = attrs.field(init=False)


class Row(msgspec.Struct):
    name: str
    count: int = 1
    tags: list[str] = []


class PricedRow(Row):
    price: float = 1.0


class FrozenRow(msgspec.Struct, frozen=True):
    a: int


class HashedRow(msgspec.Struct, frozen=True, cache_hash=True):
    a: int


class Keywords(msgspec.Struct, kw_only=True):
    x: int
    y: int = 2


class MoreKeywords(Keywords):
    z: int
    w: int = 5


class Maybe(msgspec.Struct):
    a: int | msgspec.UnsetType = msgspec.UNSET


class Left(msgspec.Struct, tag="left", array_like=True, rename="camel"):
    one_value: int


class Right(msgspec.Struct, tag="right", array_like=True, rename="camel"):
    one_value: int


class LinkedRow(msgspec.Struct):
    value: int
    next: Optional["LinkedRow"] = None


class BoxRow(msgspec.Struct, Generic[T]):
    inside: T


class Counted(msgspec.Struct):
    a: int

    def __post_init__(self):
        self.a += 1


VALUES = {
    "a model": (Item, Item(name="x")),
    "all fields": (Item, Item(name="x", count=2, tags=["a"])),
    "extra": (Open, Open(a=1, b=[1], c={"d": None})),
    "no extra": (Open, Open()),
    "frozen": (Frozen, Frozen(a=1)),
    "validated": (Doubled, Doubled(a=1)),
    "an alias": (Named, Named(theA=1)),
    "recursion": (Linked, Linked(value=1, next=Linked(value=2), kids=[Linked(value=3)])),
    "generic": (Box[int], Box[int](inside=1)),
    "generic of a model": (Box[Item], Box[Item](inside=Item(name="x"))),
    "generic without argument": (Box, Box(inside=[1, "a"])),
    "unions": (Owner, Owner(pet=Dog(age=3), site="http://x.y/z?q=1#f", either=Item(name="x"))),
    "constructed": (Item, Item.model_construct(name="x")),
    "attrs": (Part, Part("x")),
    "attrs, all fields": (Part, Part("x", 2, ["a"])),
    "attrs, frozen": (FrozenPart, FrozenPart(1)),
    "attrs, converted": (Converted, Converted("5")),
    "attrs, recursion": (LinkedPart, LinkedPart(1, LinkedPart(2))),
    "attrs, generic": (BoxPart[int], BoxPart(1)),
    "msgspec": (Row, Row("x")),
    "msgspec, all fields": (Row, Row("x", 2, ["a"])),
    "msgspec, frozen": (FrozenRow, FrozenRow(1)),
    "msgspec, keywords": (MoreKeywords, MoreKeywords(1, x=4)),
    "msgspec, not set": (Maybe, Maybe()),
    "msgspec, set": (Maybe, Maybe(3)),
    "msgspec, tagged": (Left | Right, Right(1)),
    "msgspec, recursion": (LinkedRow, LinkedRow(1, LinkedRow(2))),
    "msgspec, generic": (BoxRow[int], BoxRow(1)),
    "msgspec, changed after it was made": (Counted, Counted(1)),
}


@pytest.mark.parametrize("name", VALUES)
def test_V2_a_model_comes_back_equal_and_of_its_class(name):
    annotation, value = VALUES[name]
    for wanted in (annotation, Any, annotation | None):
        again = travel(value, wanted)
        assert again == value
        assert type(again) is type(value) or (wanted is Any and "generic" in name)
        assert again is not value
        if isinstance(value, pydantic.BaseModel):
            assert apart(again) == apart(value)
            assert vars(again) == vars(value)
    assert travel([value, value], list[annotation]) == [value, value]


@pytest.mark.parametrize("name", VALUES)
def test_V2_a_model_is_a_record_and_no_pickle(name):
    annotation, value = VALUES[name]
    type_ = type_of(annotation)
    assert not mentions_opaque(type_)
    assert not holds_opaque(lower_any(value))
    assert type_from_bytes(type_bytes(type_)) == type_
    assert codec_for(type_from_bytes(type_bytes(type_))).encode(value) == codec_of(annotation).encode(value)


@pytest.mark.parametrize("name", VALUES)
def test_V2_a_model_goes_to_any_and_back_without_its_class(name):
    annotation, value = VALUES[name]
    codec = codec_of(annotation)
    there = transcode(codec.lower(value), codec.type, ANY)
    assert pack(there) == codec_of(Any).encode(value)
    assert pack(transcode(there, ANY, codec.type)) == codec.encode(value)


@pytest.mark.parametrize(
    "name", [name for name in VALUES if name not in ("extra", "msgspec, not set", "msgspec, tagged", "unions")]
)
def test_a_model_is_shown_as_json_and_read_back(name):
    annotation, value = VALUES[name]
    codec = codec_of(annotation)
    again = codec.lift_tree(parse_json(shown(value, annotation), codec.type))
    assert again == value
    assert shown(value, Any) == shown(value, annotation)


# --- pydantic ---------------------------------------------------------------------------------------------------------


def test_V2_the_fields_that_were_set_are_known_again():
    again = travel(Item(name="x", tags=[]), Item)
    assert again.model_fields_set == {"name", "tags"}
    assert again.model_dump(exclude_unset=True) == {"name": "x", "tags": []}
    assert codec_of(Item).encode(Item(name="x")) != codec_of(Item).encode(Item(name="x", count=1, tags=[]))


def test_V2_extra_and_private_values_come_back_and_only_the_first_are_shown():
    value = OpenAndHidden(a=2, more=[1, "x"])
    value._level = 9
    for annotation in (OpenAndHidden, Any, list[OpenAndHidden]):
        again = travel([value] if annotation == list[OpenAndHidden] else value, annotation)
        again = again[0] if isinstance(again, list) else again
        assert (again.model_extra, again._level, again.more) == ({"more": [1, "x"]}, 9, [1, "x"])
        assert again == value
    assert shown(value, OpenAndHidden) == shown(value, Any) == {"a": 2, "more": [1, "x"]}


def test_V2_private_values_come_back_with_those_that_were_never_set():
    value = Hidden(a=1)
    value._seen.append(5)
    again = travel(value, Hidden)
    assert (again._level, again._seen, again == value) == (3, [5], True)
    assert not hasattr(again, "_unset")
    value._unset = 7
    assert travel(value, Hidden)._unset == 7
    assert again._seen is not value._seen


def test_V2_a_model_that_came_back_works_as_one():
    again = travel(Item(name="x"), Item)
    again.count = 5
    assert again.model_copy(update={"name": "y"}) == Item(name="y", count=5)
    assert again.model_dump_json() == '{"name":"x","count":5,"tags":[]}'
    frozen = travel(Frozen(a=1), Frozen)
    assert hash(frozen) == hash(Frozen(a=1))
    with pytest.raises(pydantic.ValidationError):
        frozen.a = 2


def test_V2_a_model_of_one_root_comes_back_as_it_was():
    again = travel(Numbers([1, 2]), Numbers)
    assert (again, again.root, again.model_dump()) == (Numbers([1, 2]), [1, 2], [1, 2])
    assert vars(again) == vars(Numbers([1, 2]))


def test_V2_a_generic_model_of_any_is_one_of_any_arguments():
    assert type(travel(Box[int](inside=1), Any)) is Box


def test_V2_a_generic_model_that_holds_itself_is_a_record_with_a_name_that_lasts():
    value = Chain[int](inside=1, next=Chain[int](inside=2))
    type_ = type_of(Chain[int])
    assert not mentions_opaque(type_)
    assert str(id(Chain)) not in repr(type_)
    assert travel(value, Chain[int]) == value


def test_V2_a_value_that_is_computed_is_no_field():
    class Computed(pydantic.BaseModel):
        a: int

        @pydantic.computed_field
        @property
        def twice(self) -> int:
            return self.a * 2

        @cached_property
        def thrice(self):
            return self.a * 3

    value = Computed(a=2)
    assert value.thrice == 6
    assert shown(value, Computed) == {"a": 2}


def test_P4_a_field_that_was_changed_to_another_type_is_refused_with_its_path():
    value = Item(name="x", tags=["a"])
    value.tags.append(3)
    with pytest.raises(TypeMismatch) as caught:
        codec_of(dict[str, list[Item]]).encode({"rows": [Item(name="y"), value]})
    assert str(caught.value) == "['rows'][1].tags[1]: expected str, got int"


@pytest.mark.parametrize("value", [Item.model_construct(count=2), Unset(1)], ids=["pydantic", "attrs"])
def test_V2_a_field_that_was_never_set_is_a_mismatch(value):
    for annotation, path in ((list[type(value)], r"\[0\]"), (list[Any], r"\[0\]"), (Any, r"\[0\]")):
        with pytest.raises(TypeMismatch, match=rf"^{path}: .*never set"):
            codec_of(annotation).encode([value])


@pytest.mark.parametrize(
    "secret", [pydantic.SecretStr("hush"), pydantic.SecretBytes(b"hush"), pydantic.Secret[int](4)], ids=repr
)
def test_V2_a_secret_of_pydantic_is_refused(secret):
    cls = type(secret)
    for annotation in (cls, list[cls], dict[str, cls | None]):
        with pytest.raises(AnnotationError, match=r"would be stored with its value: use Secret\(…\), which isn't"):
            type_of(annotation)
    with pytest.raises(TypeMismatch, match=r"^\['a'\]\[0\]: a Secret\w* would be stored with its value: use Secret"):
        codec_of(Any).encode({"a": [secret]})


def test_V2_a_model_with_a_secret_is_refused_with_the_field():
    class Login(pydantic.BaseModel):
        user: str
        password: pydantic.SecretStr | None = None

    with pytest.raises(AnnotationError, match="SecretStr would be stored with its value"):
        type_of(Login)
    with pytest.raises(TypeMismatch, match=r"^password: a SecretStr would be stored with its value"):
        codec_of(Any).encode(Login(user="x", password="hush"))


def test_V2_a_url_is_its_text_and_checked_where_a_person_writes_it():
    url = pydantic.HttpUrl("http://x.y/z")
    again = travel([url], list[pydantic.HttpUrl])[0]
    assert (type(again), again) == (type(url), url)
    assert shown(url, pydantic.HttpUrl) == "http://x.y/z"
    with pytest.raises(ParseError, match="is not a HttpUrl"):
        parse_json("no url", type_of(pydantic.HttpUrl))


# --- derived classes and unions ---------------------------------------------------------------------------------------

DERIVED = [(Item, Priced, {"name": "x", "price": 2.5}), (Part, PricedPart, {"name": "x", "price": 2.5})]
DERIVED.append((Row, PricedRow, {"name": "x", "price": 2.5}))


@pytest.mark.parametrize(("base", "derived", "fields"), DERIVED)
def test_V2_a_model_of_a_derived_class_stays_what_it_is(base, derived, fields):
    value = derived(**fields)
    assert assignable(type_of(derived), type_of(base))
    assert not assignable(type_of(base), type_of(derived))
    for annotation in (base, derived, base | None, Any):
        again = travel(value, annotation)
        assert (type(again), again, again.price) == (derived, value, 2.5)
        assert shown(value, annotation)["price"] == 2.5
    codec = codec_of(derived)
    as_base = transcode(codec.lower(value), codec.type, type_of(base))
    assert codec_of(base).decode(pack(as_base)) == value
    assert pack(as_base) == codec_of(base).encode(value)


@pytest.mark.parametrize(("base", "derived", "fields"), DERIVED)
def test_V2_in_a_union_a_model_takes_the_arm_of_its_class(base, derived, fields):
    for value in (derived(**fields), base(name="y")):
        for annotation in (base | derived | None, derived | base, int | derived | base):
            assert type(travel(value, annotation)) is type(value)
    with pytest.raises(TypeMismatch, match=f"expected .*{derived.__name__}"):
        codec_of(derived | int).encode(base(name="y"))


def test_V2_what_a_derived_model_has_beside_its_fields_comes_back_through_its_base():
    value = OpenAndHidden(a=2, more=1)
    value._level = 4
    again = travel(value, Open)
    assert (type(again), apart(again)) == (OpenAndHidden, apart(value))


def test_V2_a_class_that_derives_without_a_decorator_is_a_record_too():
    assert not mentions_opaque(type_of(UndecoratedPart))
    assert type(travel(UndecoratedPart("x"), Part)) is UndecoratedPart


def test_T1_a_model_goes_where_its_own_class_is_wanted():
    assert why_not(type_of(Item), type_of(Row)) == "Item is not Row"
    assert why_not(type_of(Box[int]), type_of(Box[float])) is None
    assert why_not(type_of(Box[str]), type_of(Box[int])) == "its field inside: str is not int"
    with pytest.raises(TypeMismatch, match=r"^\[0\]: expected Item, got dict"):
        codec_of(list[Item]).encode([{"name": "x"}])


# --- attrs and msgspec ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [FrozenPart(1), HashedPart(1), FrozenRow(1), HashedRow(1), Frozen(a=1)], ids=repr)
def test_V2_a_frozen_model_is_a_key(value):
    assert {travel(value, type(value)): 1} == {value: 1}
    assert travel({value: 1}, dict[type(value), int]) == {value: 1}
    assert travel({value}, Any) == {value}


@pytest.mark.parametrize(
    ("cls", "required"),
    [
        (Item, {"name": True, "count": False, "tags": False}),
        (Part, {"name": True, "count": False, "tags": False}),
        (Row, {"name": True, "count": False, "tags": False}),
        (MoreKeywords, {"z": True, "w": False, "x": True, "y": False}),
        (Maybe, {"a": False}),
    ],
)
def test_T1_the_fields_without_a_default_are_known(cls, required):
    assert required_fields(cls) == required


@pytest.mark.parametrize("cls", [Item, Part, Row])
def test_a_field_that_a_person_leaves_out_has_the_default_of_its_class(cls):
    codec = codec_of(cls)
    again = codec.lift_tree(parse_json({"name": "x"}, codec.type, find))
    assert again == cls(name="x")
    with pytest.raises(ParseError, match="name"):
        parse_json({"count": 1}, codec.type, find)
    with pytest.raises(ParseError, match=r"^\['rows'\]\[0\]\.count: "):
        parse_json({"rows": [{"name": "x", "count": "many"}]}, type_of(dict[str, list[cls]]), find)


def test_V2_unset_is_the_one_object_that_it_is():
    assert travel({"a": [msgspec.UNSET]}, Any)["a"][0] is msgspec.UNSET
    assert travel(Maybe(), Maybe).a is msgspec.UNSET


# --- depth ------------------------------------------------------------------------------------------------------------


def chain(cls, depth):
    value = None
    for number in range(depth):
        value = cls(value=number, next=value)
    return value


def cycle(cls):
    value = cls(value=1)
    value.next = value
    return value


@pytest.mark.parametrize("cls", [Linked, LinkedPart, LinkedRow])
def test_V2_a_model_that_is_too_deep_or_contains_itself_is_one_clear_error(cls):
    deepest = chain(cls, 99)
    assert travel(deepest, cls) == deepest
    for value in (chain(cls, 1000), cycle(cls)):
        for annotation in (cls, Any):
            with pytest.raises(TypeMismatch, match=r"^next\.next\.next…: is nested more than 100 levels deep, or con"):
                codec_of(annotation).encode(value)


# --- every value ------------------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=()), max_size=3)
numbers = st.integers() | st.sampled_from([10**400, -(2**64)])
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False).map(lambda one: one + 0.0) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=5,
)
models = st.one_of(
    st.builds(Part, words, numbers, st.lists(words, max_size=2)),
    st.builds(Row, words, numbers, st.lists(words, max_size=2)),
    st.builds(lambda **given: Item.model_construct(**given), name=words, count=numbers, tags=st.lists(words)),
    st.dictionaries(st.sampled_from(["b", "c"]), plain).map(lambda extra: Open(a=1, **extra)),
    plain.map(BoxRow),
    plain.map(BoxPart),
    st.lists(st.integers(), max_size=4).map(lambda values: chain(LinkedPart, len(values)) or LinkedPart(0)),
)


@QUICK
@given(models)
def test_V2_any_model_comes_back_the_same(value):
    for annotation in (type(value), Any):
        again = travel(value, annotation)
        assert again == value
        assert type(again) is type(value)


@QUICK
@given(models, st.data())
def test_T1_changed_bytes_are_a_model_or_a_format_error(value, data):
    codec = codec_of(type(value))
    whole = codec.encode(value)
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, min(at + 3, len(whole))))
    try:
        codec.decode(whole[:at] + data.draw(st.binary(max_size=4)) + whole[end:])
    except FormatError:
        pass


def test_V2_the_bytes_of_models_are_the_same_in_every_process(project, write_module):
    source = """
        import hashlib
        from typing import Any
        import attrs, msgspec, pydantic
        from promissory.typesys import codec_of, type_of
        from promissory.typesys.type_format import type_bytes

        class Open(pydantic.BaseModel):
            model_config = {"extra": "allow"}
            a: int = 1
            b: int = 2
            c: int = 3
            tags: set[str] = set()

        @attrs.define
        class Part:
            one: Open

        class Row(msgspec.Struct):
            part: Part

        def digest():
            value = Row(Part(Open(z={"x", "y", "w"}, y=1, tags={"a", "b", "c"})))
            data = codec_of(Row).encode(value) + codec_of(Any).encode(value) + type_bytes(type_of(Row))
            return hashlib.sha256(data).hexdigest()
    """
    project.write("models_of_test.py", source)
    there = project.code("import models_of_test; print(models_of_test.digest())", PYTHONHASHSEED="1").strip()
    assert there == write_module("models_of_test", source).digest()
