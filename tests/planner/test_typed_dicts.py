"""P1, P3: promises of TypedDicts and what is in them; dict literals with promises where a TypedDict is wanted."""

from array import array
from dataclasses import replace
from typing import Any, Generic, NotRequired, TypedDict, TypeVar

import pytest

from promissory import dynamic, run, task, workflow
from promissory.errors import EdgeTypeError, PlanError, PromiseAttributeError, PromiseError, RunFailed
from promissory.planner.plan.model import NODE, RECORD, TUPLE
from promissory.planner.plan.plan import Plan
from promissory.typesys.canonical import pack

T = TypeVar("T")


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Review(TypedDict):
    movie: Movie
    stars: list[float]


class Person(TypedDict, total=False):
    name: str


class Page(TypedDict, Generic[T]):
    items: list[T]
    next: NotRequired[T]


@task
def find(title: str, year: int | None = None) -> Movie:
    return {"title": title} if year is None else {"title": title, "year": year}


@task
def text() -> str:
    return "M"


@task
def number() -> int:
    return 1931


@task
def anything(kind: str) -> Any:
    return {"movie": {"title": "M"}, "number": 5, "wrong": {"title": "M", "yaer": 1}}[kind]


@task
def told(movie: Movie) -> str:
    return repr(movie)


@task
def told_all(movies: list[Movie | None]) -> str:
    return repr(movies)


@task
def told_review(review: Review) -> str:
    return repr(review)


@task
def told_page(page: Page[float]) -> str:
    return repr(page)


@task
def told_anything(x: Any) -> str:
    return repr(x)


@task
def told_either(x: Movie | Person | dict[str, int]) -> str:
    return repr(x)


@task
def add(x: int) -> int:
    return x + 1


def result_of(body, **inputs):
    """What a workflow gives on the inline engine; its plan is verified and read back from its bytes."""
    flow = workflow(body)
    plan = flow.compile()
    plan.verify()
    assert Plan.from_bytes(plan.to_bytes()).digest == plan.digest
    assert str(plan)
    return run(flow, inputs, store="memory://typed-dicts", echo=False).result


# --- what is in a promise ---------------------------------------------------------------------------------------------


def test_P1_a_key_that_its_type_has_may_be_taken():
    def flow(title: str, year: int) -> list[Any]:
        movie = find(title, year)
        return [movie["title"], add(movie["year"])]

    assert result_of(flow, title="M", year=1931) == ["M", 1932]


def test_P1_keys_of_inputs_and_keys_of_keys_may_be_taken():
    def flow(review: Review) -> list[Any]:
        return [review["movie"]["title"], review["stars"][0], told(review["movie"])]

    assert result_of(flow, review={"movie": {"title": "M"}, "stars": [4.5]}) == ["M", 4.5, "{'title': 'M'}"]


def test_P1_the_plan_shows_the_key():
    @workflow
    def flow(movie: Movie) -> str:
        return movie["title"]

    assert str(flow.compile()) == "plan flow(movie: Movie) -> str\n  return movie['title']"


def test_P3_the_type_of_a_key_is_checked(problem_of):
    @workflow
    def flow() -> int:
        return add(find("M")["title"])

    error = problem_of(flow)
    assert isinstance(error, EdgeTypeError)
    assert error.message == "add(x=…) wants int, but find()['title'] gives str"


@pytest.mark.parametrize(
    ("key", "said"), [("yaer", "'yaer'"), (0, "0"), (b"title", "b'title'"), (None, "None")], ids=str
)
def test_P2_a_key_that_its_type_has_not_raises_at_once_and_names_those_it_has(problem_of, key, said):
    @workflow
    def flow() -> Any:
        return find("M")[key]

    error = problem_of(flow)
    assert isinstance(error, PromiseError)
    assert error.message.startswith(f"find()[{said}]: Movie has no such key")
    assert error.way_out == "it has title, year"
    assert (error.where.file, error.where.line) == (__file__, flow.function.__code__.co_firstlineno + 2)


def test_P2_a_key_is_no_attribute(problem_of):
    @workflow
    def flow() -> Any:
        return find("M").title

    assert isinstance(problem_of(flow), PromiseAttributeError)


@pytest.mark.parametrize(
    "use",
    [
        len,
        list,
        dict,
        lambda movie: movie["title":],
        lambda movie: "title" in movie,
        lambda movie: movie.get("title"),
        lambda movie: movie | movie,
    ],
    ids=range(7),
)
def test_P2_everything_else_that_a_dict_can_do_raises_at_once(problem_of, use):
    @workflow
    def flow() -> Any:
        return [use(find("M"))]

    assert isinstance(problem_of(flow), PromiseError | PromiseAttributeError | TypeError)


def test_P4_a_key_that_may_be_missing_and_is_fails_the_run_with_its_name():
    def flow() -> int:
        return add(find("M")["year"])

    with pytest.raises(RunFailed) as caught:
        result_of(flow)
    assert "add(x=…): the value that was passed has no key 'year'; it has 'title'" in str(caught.value)


def test_P4_a_key_that_is_missing_further_in_is_named_with_its_path():
    @task
    def review() -> Review:
        return {"movie": {"title": "M"}, "stars": []}

    def flow() -> int:
        return add(review()["movie"]["year"])

    with pytest.raises(RunFailed) as caught:
        result_of(flow)
    assert "add(x=…)['movie']: has no key 'year'; it has 'title'" in str(caught.value)


# --- dict literals with promises --------------------------------------------------------------------------------------


LITERALS = [
    (lambda: told({"title": text()}), "{'title': 'M'}"),
    (lambda: told({"title": text(), "year": number()}), "{'title': 'M', 'year': 1931}"),
    (lambda: told({"year": number(), "title": "N"}), "{'title': 'N', 'year': 1931}"),
    (lambda: told({"title": text(), "year": 5}), "{'title': 'M', 'year': 5}"),
    (lambda: told({"title": "N", "year": 5}), "{'title': 'N', 'year': 5}"),
    (lambda: told(find("M")), "{'title': 'M'}"),
    (lambda: told(find("M", number())), "{'title': 'M', 'year': 1931}"),
    (lambda: told(anything("movie")), "{'title': 'M'}"),
    (lambda: told({"title": find("M", 5)["title"], "year": find("M", 5)["year"]}), "{'title': 'M', 'year': 5}"),
    (
        lambda: told_all([find("M"), {"title": text()}, None, {"title": "N", "year": number()}]),
        "[{'title': 'M'}, {'title': 'M'}, None, {'title': 'N', 'year': 1931}]",
    ),
    (
        lambda: told_review({"movie": {"title": text()}, "stars": [number(), 0.5]}),
        "{'movie': {'title': 'M'}, 'stars': [1931.0, 0.5]}",
    ),
    (lambda: told_review({"movie": find("M", 5), "stars": []}), "{'movie': {'title': 'M', 'year': 5}, 'stars': []}"),
    (lambda: told_page({"items": [number(), 2], "next": number()}), "{'items': [1931.0, 2.0], 'next': 1931.0}"),
    (lambda: told_anything({"title": text()}), "{'title': 'M'}"),
    (
        lambda: told_anything([find("M", 5), {"movie": find("M")}]),
        "[{'title': 'M', 'year': 5}, {'movie': {'title': 'M'}}]",
    ),
    (lambda: told_either({"title": text()}), "{'title': 'M'}"),
    (lambda: told_either({"name": text()}), "{'name': 'M'}"),
    (lambda: told_either({"k": number()}), "{'k': 1931}"),
    (lambda: told_either(find("M")), "{'title': 'M'}"),
]


@pytest.mark.parametrize(("make", "shown"), LITERALS, ids=range(len(LITERALS)))
def test_P1_promises_may_stand_in_dicts_where_a_typed_dict_is_wanted(make, shown):
    def flow() -> str:
        return make()

    assert result_of(flow) == shown


def test_P1_one_may_be_returned_and_is_a_plain_dict():
    def flow(title: str) -> Review:
        return {"movie": {"title": title, "year": number()}, "stars": [1]}

    result = result_of(flow, title="M")
    assert result == {"movie": {"title": "M", "year": 1931}, "stars": [1.0]}
    assert type(result) is type(result["movie"]) is dict


def test_P1_a_dynamic_may_give_and_take_one():
    @dynamic
    def grow(movie: Movie, times: int) -> Movie:
        if not times:
            return movie
        return grow({"title": movie["title"], "year": add(movie.get("year", 0))}, times - 1)

    def flow() -> Movie:
        return grow(find("M"), 3)

    assert result_of(flow) == {"title": "M", "year": 3}


def test_A5_the_order_in_which_a_literal_was_written_is_not_part_of_the_plan():
    @task
    def take(movie: Movie) -> int:
        return 1

    def plan_of(order):
        @workflow
        def flow(title: str, year: int) -> int:
            return take({name: {"title": title, "year": year}[name] for name in order})

        return flow.compile().digest

    assert plan_of(["title", "year"]) == plan_of(["year", "title"])


REFUSED = [
    (lambda: told({"year": number()}), "told(movie=…) wants Movie, but a dict was given: the key 'title' is missing"),
    (
        lambda: told({"title": text(), "yaer": number()}),
        "told(movie=…) wants Movie, but a dict was given: it has no key 'yaer'",
    ),
    (lambda: told({"title": text(), 5: number()}), "told(movie=…) wants Movie, but a dict was given: it has no key 5"),
    (lambda: told({"title": text(), "year": text()}), "told(movie=…) (at ['year']) wants int, but text() gives str"),
    (lambda: told({"title": number()}), "told(movie=…) (at ['title']) wants str, but number() gives int"),
    (lambda: told({"title": text(), "year": "x"}), "told(movie=…) (at ['year']): expected int, got str"),
    (lambda: told({"title": "M", "year": "x"}), "told(movie=…) (at ['year']): expected int, got str"),
    (lambda: told({"title": "M", "z": 1}), "told(movie=…): expected Movie, which has no key 'z'"),
    (lambda: told({}), "told(movie=…): expected Movie, and the key 'title' is missing"),
    (lambda: told([text()]), "told(movie=…) wants Movie, but list with promises in it was given"),
    (lambda: told(text()), "told(movie=…) wants Movie, but text() gives str"),
    (
        lambda: told_all([{"title": text()}, {"title": number()}]),
        "told_all(movies=…) (at [1]) wants Movie | None, but dict with promises in it was given",
    ),
    (
        lambda: told_review({"movie": {"title": number()}, "stars": []}),
        "told_review(review=…) (at ['movie']['title']) wants str, but number() gives int",
    ),
    (lambda: told_page({"items": [text()]}), "told_page(page=…) (at ['items'][0]) wants float, but text() gives str"),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED, ids=range(len(REFUSED)))
def test_P3_what_does_not_fit_is_named_with_its_place(problem_of, make, sentence):
    @workflow
    def flow() -> str:
        return make()

    error = problem_of(flow)
    assert isinstance(error, EdgeTypeError)
    assert error.message == sentence


RUN_TIME = [
    (lambda: told({"title": anything("number")}), "told(movie=…)['title']: expected str, got int"),
    (lambda: told({"title": "M", "year": anything("movie")}), "told(movie=…)['year']: expected int, got dict"),
    (
        lambda: told_review({"movie": {"title": anything("number")}, "stars": []}),
        "told_review(review=…)['movie']['title']: expected str, got int",
    ),
    (
        lambda: told_review({"movie": anything("wrong"), "stars": []}),
        "told_review(review=…)['movie']: expected Movie, which has no key 'yaer'",
    ),
    (lambda: told(anything("wrong")), "told(movie=…): expected Movie, which has no key 'yaer'"),
    (lambda: told(anything("number")), "told(movie=…): expected Movie, got int"),
]


@pytest.mark.parametrize(("make", "sentence"), RUN_TIME, ids=range(len(RUN_TIME)))
def test_P4_a_value_of_any_that_is_something_else_is_named_with_its_path(make, sentence):
    def flow() -> str:
        return make()

    with pytest.raises(RunFailed) as caught:
        result_of(flow)
    assert sentence in str(caught.value)


def test_P4_a_task_that_returns_another_dict_than_it_declares_fails():
    @task
    def wrong() -> Movie:
        return {"title": "M", "yaer": 1931}

    def flow() -> Movie:
        return wrong()

    with pytest.raises(RunFailed) as caught:
        result_of(flow)
    assert "wrong() returned something else than it declares: result: expected Movie, which has no key 'yaer'" in str(
        caught.value
    )


# --- plans that others wrote ------------------------------------------------------------------------------------------


@workflow
def two() -> str:
    return told({"title": text(), "year": number()})


def plan_with(binding):
    """The plan of `two` with another binding for what `told` takes."""
    plan = two.compile()
    graph, data = plan.shape.graphs[0], pack([binding])
    begin = graph.offsets[-2]
    changed = replace(
        graph, bindings=graph.bindings[:begin] + data, offsets=array("I", [*graph.offsets[:-1], begin + len(data)])
    )
    return replace(plan, shape=replace(plan.shape, graphs=(changed,)))


@pytest.mark.parametrize(
    "binding", [[RECORD, None, [0, [TUPLE, [1]]]], [RECORD, None, [0, [TUPLE, []]]]], ids=["there", "missing"]
)
def test_a_plan_with_a_typed_dict_of_promises_is_verified(binding):
    plan_with(binding).verify()


@pytest.mark.parametrize(
    "binding",
    [
        [RECORD, None, [0, [TUPLE, [1, 1]]]],
        [RECORD, None, [0, 1]],
        [RECORD, None, [[TUPLE, [0]], [TUPLE, []]]],
        [RECORD, None, [0]],
        [RECORD, None, [1, [TUPLE, []]]],
        [NODE, 0, [["title"]]],
    ],
    ids=["twice", "not in an array", "required in an array", "too few", "another type", "a key of a text"],
)
def test_T1_a_plan_that_gives_a_typed_dict_otherwise_is_refused(binding):
    with pytest.raises(PlanError):
        plan_with(binding).verify()
