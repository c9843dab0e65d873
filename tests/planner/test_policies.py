"""R1–R3 as an author writes them: what `@task` and `@dynamic` take, what is refused and how it is said, and how it
stands in a plan.
"""

import math
from collections import deque
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promissory import Plan, Resources, dynamic, task, workflow
from promissory.errors import CompileErrors, DecorationError, PlanFormatError, PromiseError
from promissory.planner.plan.policy import Policy, overridden, policy_of

pytestmark = pytest.mark.filterwarnings("ignore::promissory.errors.NoEffectWarning")


class Busy(Exception):
    """An author's own."""


def policy_in_plan(**policy):
    """The policy of a task, as it comes back from the bytes of a plan."""

    @task(**policy)
    def work(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return work(1)

    (callee,) = Plan.from_bytes(flow.compile().to_bytes()).shape.callees
    return callee.policy


def overrides_in_plan(**policy):
    """The overrides of a node, as they come back from the bytes of a plan."""

    @task
    def work(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return work(1).with_overrides(**policy)

    return Plan.from_bytes(flow.compile().to_bytes()).shape.graphs[0].overrides.get(0, {})


def plan_of(work):
    """The bytes of a plan that calls a task."""

    @workflow
    def flow() -> int:
        return work(1)

    return flow.compile().to_bytes()


HUGE = 10**400


# --- what may be said -------------------------------------------------------------------------------------------------

MEANINGS = [
    ({"retries": 3}, {"retries": 3}),
    ({"retries": 1_000_000}, {"retries": 1_000_000}),
    ({"retry_delay": 2}, {"retry_delay": (2.0,)}),
    ({"retry_delay": 0.25}, {"retry_delay": (0.25,)}),
    ({"retry_delay": timedelta(minutes=1)}, {"retry_delay": (60.0,)}),
    ({"retry_delay": [1, timedelta(seconds=5), 2.5]}, {"retry_delay": (1.0, 5.0, 2.5)}),
    ({"retry_delay": (1,)}, {"retry_delay": (1.0,)}),
    ({"backoff": 2}, {"backoff": 2.0}),
    ({"jitter": 1}, {"jitter": 1.0}),
    ({"retry_on": OSError}, {"retry_on": ("builtins:OSError",)}),
    ({"retry_on": (IOError, EnvironmentError, OSError)}, {"retry_on": ("builtins:OSError",)}),
    ({"retry_on": [ValueError, KeyError]}, {"retry_on": ("builtins:KeyError", "builtins:ValueError")}),
    ({"retry_on": Busy}, {"retry_on": (f"{Busy.__module__}:Busy",)}),
    ({"retry_on": SystemExit}, {"retry_on": ("builtins:SystemExit",)}),
    ({"retry_on": ()}, {"retry_on": ()}),
    ({"timeout": 30}, {"timeout": 30.0}),
    ({"timeout": timedelta(milliseconds=1500)}, {"timeout": 1.5}),
    ({"commit": "each"}, {"commit": "each"}),
    ({"pool": "db"}, {"pool": "db"}),
    ({"resources": Resources(cpu=2, memory="2GiB", gpu=1)}, {"resources": Resources(2, 1 << 31, 1)}),
    ({"cache": True, "cache_version": "7"}, {"cache": True, "cache_version": "7"}),
    ({"cache": True, "cache_ignore": ["x"]}, {"cache": True, "cache_ignore": ("x",)}),
    ({"cache": True, "cache_ignore": "x"}, {"cache": True, "cache_ignore": ("x",)}),
    ({"cache": True, "cache_serialize": True}, {"cache": True, "cache_serialize": True}),
]


@pytest.mark.parametrize(("given", "meant"), MEANINGS, ids=repr)
def test_R1_what_an_author_writes_stands_in_the_plan(given, meant):
    assert policy_in_plan(**given) == Policy(**meant)


@pytest.mark.parametrize(("given", "meant"), MEANINGS, ids=repr)
def test_P1_what_may_be_said_of_a_task_may_be_said_of_one_call(given, meant):
    entries = overrides_in_plan(**given)
    assert overridden(Policy(), dict(entries)) == Policy(**meant)


@pytest.mark.parametrize(
    "given",
    [
        {"retries": 0},
        {"retry_delay": 0},
        {"retry_delay": timedelta(0)},
        {"backoff": 1},
        {"jitter": 0.0},
        {"retry_on": None},
        {"timeout": None},
        {"commit": "group"},
        {"cache": False},
        {"cache_ignore": ()},
        {"resources": None},
        {"pool": None},
    ],
    ids=repr,
)
def test_R1_a_default_that_is_said_is_not_written(given):
    def work(x: int) -> int:
        return x

    assert plan_of(task(**given)(work)) == plan_of(task(work))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"retry_delay": 60}, {"retry_delay": timedelta(minutes=1)}),
        ({"retry_delay": 1}, {"retry_delay": [1.0]}),
        ({"retry_on": (OSError, ValueError)}, {"retry_on": [ValueError, IOError]}),
        ({"timeout": 1}, {"timeout": 1.0}),
        ({"backoff": 2}, {"backoff": 2.0}),
    ],
    ids=repr,
)
def test_A5_what_means_the_same_has_the_same_bytes(one, other):
    def work(x: int) -> int:
        return x

    assert plan_of(task(**one)(work)) == plan_of(task(**other)(work))


def test_A11_one_function_may_be_two_tasks_of_two_policies():
    def work(x: int) -> int:
        return x

    plain, patient = task(work), task(retries=3)(work)

    @workflow
    def flow() -> list[int]:
        return [plain(1), patient(2)]

    shape = Plan.from_bytes(flow.compile().to_bytes()).shape
    graph = shape.graphs[0]
    assert [shape.callees[target].policy.retries for target in graph.targets] == [0, 3]


def test_D6_a_dynamic_takes_all_that_a_task_takes_and_more():
    @dynamic(retries=2, retry_delay=1, retry_on=OSError, timeout=3, commit="each", max_depth=5, allow_repeat=True)
    def grows(x: int) -> int:
        return x

    meant = Policy(5, True, retries=2, retry_delay=(1.0,), retry_on=("builtins:OSError",), timeout=3.0, commit="each")
    (callee,) = Plan.from_bytes(grows.compile().to_bytes()).shape.callees
    assert callee.policy == meant


POLICIES = st.builds(
    Policy,
    retries=st.integers(0, 1_000_000),
    retry_delay=st.lists(st.floats(0, 1e9), min_size=1, max_size=3).map(tuple),
    backoff=st.floats(1, 1e9),
    jitter=st.floats(0, 1),
    retry_on=st.none() | st.lists(st.text(min_size=1, max_size=5), max_size=3).map(tuple),
    timeout=st.none() | st.floats(0.001, 1e9),
    commit=st.sampled_from(["group", "each"]),
)


@given(POLICIES)
def test_R1_a_policy_is_its_map(policy):
    assert Policy.from_map(policy.to_map()) == policy


OVERRIDES = st.fixed_dictionaries(
    {}, optional={"retries": st.integers(0, 9), "timeout": st.none() | st.floats(1, 9), "backoff": st.floats(1, 9)}
)


@given(POLICIES, OVERRIDES)
def test_P1_an_override_changes_what_it_says_and_nothing_else(policy, given):
    changed = overridden(policy, policy_of(given).entries(given))
    for name in Policy.__slots__:
        assert getattr(changed, name) == given.get(name, getattr(policy, name))


# --- what is refused --------------------------------------------------------------------------------------------------

WRONG = [
    (
        "retries",
        [-1, 1.0, True, "3", None, 1_000_001, HUGE, [1]],
        "retries must be a whole number from 0 to 1,000,000, not",
    ),
    (
        "retry_delay",
        [-1, "1", None, True, [], (), [1, -1], ["1"], math.inf, math.nan, timedelta(seconds=-1), {1}, [[1]]],
        "retry_delay must be a number of seconds of at least 0, a timedelta, or a list of those, not",
    ),
    ("backoff", [0.5, 0, -1, "2", None, True, math.inf, math.nan, [2]], "backoff must be a number of at least 1, not"),
    (
        "jitter",
        [-0.1, 1.1, "1", None, True, math.nan],
        "jitter must be a number from 0 to 1, the part of the delay that may change, not",
    ),
    (
        "retry_on",
        ["OSError", OSError("x"), int, (OSError, int), [OSError, "ValueError"], {OSError}, 5, (OSError, None)],
        "retry_on must be an exception class, or several, not",
    ),
    (
        "timeout",
        [0, -1, "1", True, math.inf, math.nan, [1], timedelta(0)],
        "timeout must be a number of seconds above 0, not",
    ),
    ("commit", ["all", "EACH", "", None, True, 1, ["each"]], 'commit must be "group" or "each", not'),
    ("pool", ["", 5, ["db"], True], "pool must be the name of a pool, not"),
    ("resources", ["2GiB", 2, {"cpu": 2}, (1, 2, 3)], "resources must be Resources"),
    ("cache", [1, "yes", None], "cache and cache_serialize must be True or False"),
    ("cache_version", ["", 1, None, 1.5], "cache_version must be a text"),
]
REFUSED = [(name, value, said) for name, values, said in WRONG for value in values]
REFUSED += [
    pytest.param(name, HUGE, said, id=f"{name} huge")
    for name, _, said in WRONG
    if name in ("retry_delay", "backoff", "jitter", "timeout")
]
REFUSED += [
    pytest.param("cache_ignore", value, "cache_ignore must be names of inputs", id=f"cache_ignore {value}")
    for value in (5, None, [1, "x"], [["x"]])
]


@pytest.mark.parametrize(("name", "value", "said"), REFUSED)
@pytest.mark.parametrize("decorator", [task, dynamic])
def test_R1_what_makes_no_sense_is_refused_at_the_authors_line(decorator, name, value, said):
    with pytest.raises(DecorationError) as told:

        @decorator(**{name: value})
        def work(x: int) -> int:
            return x

    assert said in told.value.message
    assert Path(told.value.where.file).name == Path(__file__).name


@pytest.mark.parametrize(("name", "value", "said"), REFUSED)
def test_R1_what_makes_no_sense_is_refused_of_one_call(name, value, said, problem_of):
    @task
    def work(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return work(1).with_overrides(**{name: value})

    problem = problem_of(flow)
    assert said in problem.message
    assert Path(problem.where.file).name == Path(__file__).name
    assert problem.way_out is not None


@pytest.mark.parametrize("value", [deque([1, 2]), range(3)], ids=repr)
def test_R1_any_sequence_of_delays_is_one_or_is_refused_in_words(value):
    try:
        assert policy_in_plan(retry_delay=value).retry_delay == tuple(map(float, value))
    except DecorationError as error:
        assert "or a list of those" in error.message


def test_A7_what_is_wrong_with_several_calls_is_told_together(problem_of):
    @task
    def work(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        first = work(1).with_overrides(retries=-1)
        return work(first).with_overrides(timeout=0)

    problem = problem_of(flow)
    assert isinstance(problem, CompileErrors)
    assert [one.message.partition(" ")[0] for one in problem.problems] == ["retries", "timeout"]
    assert problem.problems[0].where.line + 1 == problem.problems[1].where.line


UNKNOWN = [(task, "retrys"), (task, "max_retries"), (dynamic, "retrys"), (task, "max_depth"), (task, "allow_repeat")]


@pytest.mark.parametrize(("decorator", "name"), UNKNOWN)
def test_A1_an_unknown_argument_is_what_python_raises(decorator, name):
    with pytest.raises(TypeError, match=rf"{decorator.__name__}\(\) got an unexpected keyword argument '{name}'"):
        decorator(**{name: 3})


def test_A1_the_message_says_what_there_is():
    with pytest.raises(TypeError) as told:
        task(retrys=3)
    assert {"retries", "retry_delay", "retry_on"} <= set(str(told.value).replace(",", " ").split())


def test_A1_the_message_offers_nothing_that_is_refused():
    with pytest.raises(TypeError) as told:
        task(retrys=3)
    assert "max_depth" not in str(told.value)


@pytest.mark.parametrize("name", ["retrys", "max_depth", "allow_repeat", "strict"])
def test_P1_an_unknown_override_is_a_type_error_that_says_what_there_is(name):
    @task
    def work(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return work(1).with_overrides(**{name: 3})

    with pytest.raises(
        TypeError,
        match=rf"with_overrides\(\) got an unexpected keyword argument '{name}'.*; there are: name, .*retries",
    ):
        flow.compile()


def test_R3_cache_ignore_names_inputs_of_the_task():
    with pytest.raises(DecorationError, match=r"cache_ignore names 'debug', and .*work has no such input"):

        @task(cache=True, cache_ignore="debug")
        def work(x: int) -> int:
            return x


def test_R3_so_does_that_of_one_call(problem_of):
    @task
    def work(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return work(1).with_overrides(cache=True, cache_ignore="debug")

    assert "debug" in problem_of(flow).message


# --- overrides --------------------------------------------------------------------------------------------------------


@task(retries=3, timeout=60, retry_on=OSError)
def patient(x: int) -> int:
    return x


def test_P1_an_override_gives_a_promise_of_the_same_value_and_leaves_other_calls_alone():
    @workflow
    def flow() -> list[int]:
        return [patient(1).with_overrides(retries=0), patient(2)]

    shape = Plan.from_bytes(flow.compile().to_bytes()).shape
    assert [shape.graphs[0].overrides.get(node) for node in (0, 1)] == [{"retries": 0}, None]
    assert shape.callees[0].policy.retries == 3


def test_P1_none_lifts_a_time_out_and_a_choice_of_exceptions():
    @workflow
    def flow() -> int:
        return patient(1).with_overrides(timeout=None, retry_on=None)

    shape = Plan.from_bytes(flow.compile().to_bytes()).shape
    changed = overridden(shape.callees[0].policy, dict(shape.graphs[0].overrides[0]))
    assert (changed.timeout, changed.retry_on, changed.retries) == (None, None, 3)


def test_P1_overrides_add_up_and_the_last_word_counts():
    @workflow
    def flow() -> int:
        return patient(1).with_overrides(retries=1, name="first").with_overrides(retries=2).with_overrides(timeout=5)

    assert Plan.from_bytes(flow.compile().to_bytes()).shape.graphs[0].overrides[0] == {
        "name": "first",
        "retries": 2,
        "timeout": 5.0,
    }


def test_P1_overrides_keep_with_their_node_when_order_edges_move_it():
    @workflow
    def flow() -> list[int]:
        last = patient(1).with_overrides(retries=1)
        first = patient(2).with_overrides(retries=2)
        first >> last
        return [last, first]

    graph = Plan.from_bytes(flow.compile().to_bytes()).shape.graphs[0]
    assert graph.after == {1: (0,)}
    assert [graph.overrides[node]["retries"] for node in (0, 1)] == [2, 1]


def test_P1_overrides_stand_in_a_dynamics_futures_file_and_in_nested_workflows():
    @workflow
    def inner(x: int) -> int:
        return patient(x).with_overrides(commit="each")

    @workflow
    def flow() -> int:
        return inner(patient(1).with_overrides(retries=1))

    outer, nested = Plan.from_bytes(flow.compile().to_bytes()).shape.graphs
    assert (outer.overrides, nested.overrides) == ({0: {"retries": 1}}, {0: {"commit": "each"}})


def test_P1_a_whole_workflow_has_no_policy(problem_of):
    @workflow
    def inner(x: int) -> int:
        return patient(x)

    @workflow
    def flow() -> int:
        return inner(1).with_overrides(retries=3)

    problem = problem_of(flow)
    assert problem.message == "retries can't be set for a whole workflow"
    assert problem.way_out == "set it for the tasks in it"


def test_P1_an_input_and_a_part_of_a_value_have_no_policy():
    @task
    def pair(x: int) -> tuple[int, int]:
        return x, x

    @workflow
    def of_input(x: int) -> int:
        return x.with_overrides(retries=1)

    @workflow
    def of_part() -> int:
        return pair(1)[0].with_overrides(retries=1)

    for target in (of_input, of_part):
        with pytest.raises(PromiseError, match=r"with_overrides\(\) is for what a call gives"):
            target.compile()


@pytest.mark.parametrize("of_task", [{"cache_version": "code"}, {}], ids=["task says code", "call says code"])
def test_R3_the_version_of_a_call_that_is_cached_by_an_override_is_that_of_the_code(of_task):
    @task(**of_task)
    def work(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return work(1).with_overrides(cache=True, cache_version="code")

    shape = flow.compile().shape
    assert overridden(shape.callees[0].policy, dict(shape.graphs[0].overrides[0])).cache_version != "code"


def test_A11_two_closures_that_an_override_caches_are_two_callables():
    def adds(k):
        @task
        def add(x: int) -> int:
            return x + k

        return add

    one, hundred = adds(1), adds(100)

    @workflow
    def flow() -> list[int]:
        first = one(1).with_overrides(cache=True)
        second = hundred(1).with_overrides(cache=True)
        first >> second
        return [first, second]

    assert flow() == [2, 101]


# --- bytes that are no policy -----------------------------------------------------------------------------------------

BAD_ENTRIES = [
    {"retries": -1},
    {"retries": 0},
    {"retries": 1 << 63},
    {"retry_delay": []},
    {"retry_delay": 5},
    {"retry_delay": {"a": 1}},
    {"retry_delay": [math.nan]},
    {"retry_delay": [-1.0]},
    {"retry_on": [5]},
    {"retry_on": "builtins:OSError"},
    {"backoff": 0.0},
    {"jitter": 2.0},
    {"timeout": 5},
    {"timeout": -5.0},
    {"commit": ["each"]},
    {"commit": "all"},
    {"resources": 5},
    {"resources": []},
    {"resources": [1.0, 1, 1, 1]},
    {"resources": ["x", 1, 1]},
    {"resources": {"cpu": 1}},
    {"cache_ignore": 5},
    {"cache_version": ""},
    {"unheard_of": 1},
    {"retries": None},
]


class Written:
    """What stands where a policy does."""

    def __init__(self, entries):
        self.to_map = lambda: entries


@pytest.mark.parametrize("entries", BAD_ENTRIES, ids=repr)
def test_T1_bytes_with_a_bad_policy_are_no_plan(entries):
    @workflow
    def flow() -> int:
        return patient(1)

    plan = flow.compile()
    (callee,) = plan.shape.callees
    bad = replace(plan.shape, callees=(replace(callee, policy=Written(entries)),))
    data = replace(plan, shape=bad).to_bytes()
    with pytest.raises(PlanFormatError):
        Plan.from_bytes(data)


@pytest.mark.parametrize(
    "entries", [one for one in BAD_ENTRIES if one != {"retries": 0}], ids=repr
)  # an override may say a default
def test_T1_bytes_with_a_bad_override_are_no_plan(entries):
    @workflow
    def flow() -> int:
        return patient(1)

    plan = flow.compile()
    (graph,) = plan.shape.graphs
    data = replace(plan, shape=replace(plan.shape, graphs=(replace(graph, overrides={0: entries}),))).to_bytes()
    with pytest.raises(PlanFormatError):
        Plan.from_bytes(data)
