"""Records whose constructor does more than set the fields."""

from collections import namedtuple
from dataclasses import dataclass, field

import pytest

from promissory.typesys import FormatError, TypeMismatch, codec_of


@dataclass
class Normalised:
    text: str

    def __post_init__(self):
        self.text = self.text.strip().lower()
        self.length = len(self.text)


@dataclass
class Validated:
    a: int

    def __post_init__(self):
        if self.a < 0:
            raise ValueError("a is negative")


@dataclass
class OwnInit:
    size: int

    def __init__(self, text):
        self.size = len(text)


@dataclass(init=False)
class NoInit:
    size: int


@dataclass
class NeverSet:
    a: int = field(init=False)


class Counted(namedtuple("Counted", "size")):
    def __new__(cls, text):
        return super().__new__(cls, len(text))


@dataclass
class Checked:
    a: int

    def __post_init__(self):
        assert self.a >= 0, "a is negative"


def travel(value):
    codec = codec_of(type(value))
    return codec.decode(codec.encode(value))


def test_what_post_init_derives_is_there_again_and_fields_are_as_they_were_written():
    value = Normalised(" A ")
    value.text = " B "  # changed after it was made
    again = travel(value)
    assert again.text == " B "
    assert again.length == 1


def test_a_value_that_post_init_refuses_is_a_format_error():
    data = codec_of(tuple[int]).encode((-1,))
    for cls in (Validated, Checked):
        with pytest.raises(FormatError):
            codec_of(cls).decode(data)


def test_a_dataclass_with_a_constructor_of_its_own_comes_back():
    assert travel(OwnInit("abc")) == OwnInit("xyz")


def test_a_dataclass_without_a_constructor_comes_back():
    value = NoInit()
    value.size = 3
    assert travel(value).size == 3


def test_a_named_tuple_with_a_constructor_of_its_own_comes_back():
    again = travel(Counted("abc"))
    assert again == (3,)
    assert type(again) is Counted


def test_P4_a_field_that_was_never_set_is_a_mismatch_that_names_it():
    with pytest.raises(TypeMismatch):
        codec_of(NeverSet).encode(NeverSet())
