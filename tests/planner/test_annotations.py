"""A10: annotations are resolved where the author's names are: as text, ahead of their class, in functions."""

import pytest

from promissory.errors import DecorationError
from promissory.typesys import UntypedWarning

POSTPONED = """
    from __future__ import annotations
    from dataclasses import dataclass
    from promissory import task, workflow

    @task
    def make(x: int) -> Later:
        return Later(x)

    @workflow
    def flow(x: int) -> Later:
        return make(x)

    @dataclass
    class Later:
        x: int
        inner: Later | None = None
"""


def test_A10_postponed_annotations_name_a_class_further_down(write_module):
    module = write_module("postponed", POSTPONED)
    assert str(module.make.signature.interface) == "(x: int) -> Later"
    assert module.make(3) == module.Later(3)
    assert len(module.flow.compile()) == 1


def test_A10_a_quoted_annotation_names_a_class_further_down(write_module):
    module = write_module(
        "quoted",
        """
        from dataclasses import dataclass
        from promissory import task

        @task
        def size(row: "Row", rows: "list[Row]") -> int:
            return len(rows)

        @dataclass
        class Row:
            x: int
        """,
    )
    assert module.size(module.Row(1), [module.Row(2)]) == 1


def test_A10_postponed_annotations_in_a_function_see_its_names(write_module):
    module = write_module(
        "local_names",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from promissory import task, workflow

        def build():
            @dataclass
            class Local:
                x: int

            @task
            def make(x: int) -> Local:
                return Local(x)

            @workflow
            def flow(x: int) -> Local:
                return make(x)

            return flow
        """,
    )
    assert str(module.build().compile().outputs[0].type) == "Local"


def test_A10_postponed_and_plain_annotations_give_the_same_interface(write_module):
    source = """
        from dataclasses import dataclass
        from promissory import task

        @dataclass
        class Row:
            x: int

        @task
        def use(row: Row, n: int | None = None, *, names: dict[str, list[Row]]) -> tuple[Row, ...]:
            return (row,)
    """
    plain = write_module("plain_annotations", source).use
    text = write_module(
        "text_annotations", "from __future__ import annotations\n" + "\n".join(line[8:] for line in source.splitlines())
    ).use
    assert str(plain.signature.interface) == str(text.signature.interface)


def test_A10_a_name_that_never_comes_is_an_error_at_the_first_use(write_module):
    module = write_module(
        "never_defined",
        """
        from promissory import task

        @task
        def use(x: "Nowhere") -> int:
            return 1
        """,
    )
    with pytest.raises(DecorationError) as caught:
        module.use(1)
    assert (
        caught.value.message
        == "an annotation of use mentions a name that is not defined: name 'Nowhere' is not defined"
    )
    assert caught.value.where.file == module.__file__
    assert caught.value.way_out == "define or import it in the module"


def test_A10_a_name_that_never_comes_fails_the_compile_of_who_calls_it(write_module, problem_of):
    module = write_module(
        "never_defined_either",
        """
        from promissory import task, workflow

        @task
        def use(x: "Nowhere") -> int:
            return 1

        @workflow
        def flow(x: int) -> int:
            return use(x)
        """,
    )
    assert isinstance(problem_of(module.flow), DecorationError)


def test_A10_the_warning_of_a_task_read_late_comes_once(write_module):
    module = write_module(
        "read_late",
        """
        from promissory import task

        @task
        def use(x: "Later", y) -> int:
            return y

        class Later(int):
            pass
        """,
    )
    with pytest.warns(UserWarning) as caught:
        module.use.signature
        module.use.signature
    assert [warning.category for warning in caught].count(UntypedWarning) == 1


def test_A10_a_function_may_be_named_as_one_of_its_own_parameters_types(write_module):
    module = write_module(
        "shadowing",
        """
        from dataclasses import dataclass
        from promissory import task

        @dataclass
        class Item:
            x: int

        @task
        def item(item: Item) -> Item:
            return item
        """,
    )
    assert module.item(module.Item(1)) == module.Item(1)
