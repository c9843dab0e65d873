"""A user of another system who types a name of that system is told ours."""

from pathlib import Path

import pytest

import promissory
from promissory import Workflow, current_context, dynamic, task, workflow
from promissory._foreign import TABLE, meant
from promissory.errors import DecorationError

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "coming-from.md"


@task
def one() -> int:
    return 1


@workflow
def flow() -> int:
    return one()


def told(place, name):
    """The error that a user gets who writes a name there."""
    with pytest.raises((TypeError, AttributeError, ImportError)) as caught:
        if place == "import":
            exec(f"from promissory import {name}", {})
        elif place == "@task":
            task(**{name: 1})
        elif place == "ctx":
            getattr(current_context(), name)
        else:
            getattr(one, name)
    return str(caught.value)


@pytest.mark.parametrize("foreign", TABLE, ids=lambda one: f"{one.place}-{one.name}")
def test_A1_a_name_of_another_system_tells_ours(foreign):
    said = told(foreign.place, foreign.name)
    assert f"what {foreign.systems} call" in said
    assert said.endswith(foreign.ours)


def test_A1_the_page_for_people_of_other_systems_shows_the_same_table():
    page = PAGE.read_text(encoding="utf-8")
    rows = [f"| `{one.name}` | {one.systems} | {one.ours} |" for one in TABLE]
    assert [row for row in rows if row not in page] == []
    assert page.partition("## Names")[2].count("\n| `") == len(rows)


def test_A1_no_name_of_the_table_is_ours_already():
    for one_of in TABLE:
        if one_of.place == "import":
            assert not hasattr(promissory, one_of.name)


@pytest.mark.parametrize("entity", [one, flow, dynamic(one.function), Workflow("by_hand")])
def test_A1_every_kind_of_entity_tells(entity):
    with pytest.raises(AttributeError, match=r"what Graflow calls execute is written here: wf\.run"):
        entity.execute()


def test_A1_a_word_that_is_nearly_right_is_told():
    with pytest.raises(TypeError, match="did you mean retries"):
        task(retires=3)
    with pytest.raises(AttributeError, match="did you mean loop_result"):
        current_context().loop_results
    with pytest.raises(ImportError, match="did you mean workflow"):
        exec("from promissory import workflows", {})
    assert meant("@task", "nothing_like_it", ["retries"]) == ""


def test_A1_a_look_whether_a_name_is_there_raises_nothing():
    assert not hasattr(promissory, "LOOP")
    assert not hasattr(one, "execute")
    assert not hasattr(current_context(), "graph")
    assert getattr(promissory, "flow", 5) == 5


def test_A1_a_workflow_tells_about_arguments_that_are_a_tasks():
    with pytest.raises(TypeError, match="timeout_seconds is written here: timeout="):
        workflow(timeout_seconds=5)(one.function)
    with pytest.raises(TypeError, match="there are: strict, on_failure, failure_policy"):
        workflow(color=5)(one.function)


def test_A1_a_workflow_with_a_name_is_built_by_hand():
    with pytest.raises(DecorationError, match=r"with Workflow\('x'\) as wf:"), workflow("x"):
        pass
