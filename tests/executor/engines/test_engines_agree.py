"""X3: inline, threads and processes give the same result, the same objects and the same futures files, to the byte; and
fail at the same node in the same way.

Processes run twice: with a store that workers share, and with one in memory, whose contents travel with the batches
(rule J5).
"""

import importlib.util
import random
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from promissory import Store, Workflow, run
from promissory.executor.engines.inline import Inline
from promissory.executor.engines.processes.pool import Processes
from promissory.executor.engines.threads import Threads

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
INSTANCES = EXAMPLES.parents[1] / "shared" / "data" / "wfinstances"
RUN = "agreed"


def loaded(name, file):
    """A module from a file, known under its name, as an import would have it."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


flows = loaded("engines_agree_flows", Path(__file__).with_name("engines_agree_flows.py"))


@pytest.fixture
def example(monkeypatch):
    """A function (file name) → the example as a module, forgotten after the test."""

    def load(name):
        monkeypatch.setitem(sys.modules, Path(name).stem, None)  # so that it is put back
        return loaded(Path(name).stem, EXAMPLES / name)

    return load


# --- carrying one plan by each engine ---------------------------------------------------------------------------------

ENGINES = {"inline": Inline(), "threads": Threads(), "processes": Processes(), "processes, memory": Processes()}
"""One of each for all tests: workers that served one run serve the next."""


def kept(store, *prefixes):
    """What a store holds below some folders of folders, by key."""
    return {key: store.get(key) for prefix in prefixes for folder in store.list(prefix) for key in store.list(folder)}


def carried(target, inputs, engine, folder, **limits):
    """A run by one engine: what it gave, what it left, how it failed."""
    if engine.endswith("memory"):
        store = Store(None)
    else:
        store = Store(folder / engine)
    ended = run(
        target,
        inputs,
        engine=ENGINES[engine],
        store=store,
        run_id=RUN,
        durability="process",
        echo=False,
        max_parallelism=2,
        **limits,
    )
    error = ended.error
    return SimpleNamespace(
        engine=engine,
        state=ended.state,
        outputs=ended.encoded_outputs() if error is None else None,
        objects=kept(store, "objects"),
        futures=kept(store, f"runs/{RUN}/futures"),
        nodes={row.path: (row.state, row.called, row.kind, row.depth, row.attempts) for row in ended.nodes()},
        failure=None
        if error is None
        else (error.path, error.attempt, type(error.__cause__).__name__, str(error.__cause__)),
        result=None if error is not None else ended.result,
    )


def agreed(target, inputs=None, **limits):
    """The run by the first engine, after all have given the same.

    Of a run that fails only the failure is compared: what else was begun is a matter of time.
    """
    with tempfile.TemporaryDirectory() as folder:
        first, *others = [carried(target, inputs, engine, Path(folder), **limits) for engine in ENGINES]
    for other in others:
        assert other.state == first.state, other.engine
        assert other.failure == first.failure, other.engine
        if first.failure is None:
            assert other.outputs == first.outputs, other.engine
            assert list(other.objects) == list(first.objects), f"{other.engine}: the names of objects"
            assert other.objects == first.objects, other.engine
            assert other.futures == first.futures, other.engine
            assert other.nodes == first.nodes, other.engine
    return first


# --- examples ---------------------------------------------------------------------------------------------------------


def test_X3_count_characters_is_the_same_on_every_engine(example):
    found = agreed(example("count_characters.py").start_wf, {"s1": "Pear", "s2": "Earth"})
    assert found.result == 3
    assert len(found.futures) == 1


def test_X3_merge_sort_is_the_same_on_every_engine(example, tmp_path):
    draw = random.Random(3)
    values = [draw.randrange(10**6) for _ in range(2500)]
    (tmp_path / "numbers.txt").write_text(" ".join(map(str, values)))
    found = agreed(example("merge_sort.py").sort_file, {"path": tmp_path / "numbers.txt", "threshold": 400})
    assert len(found.futures) == 15 + 7, "2,500 numbers in halves of at most 400: 15 sorts, 7 of them split"
    assert len(found.objects) == 9, (
        "lists too long to stand in the journal: of all, of two halves, of four quarters; halves and all again, sorted"
    )


def test_X3_census_is_the_same_on_every_engine(example, tmp_path):
    for folder in ("", "a", "a/b", "a/b/c", "d"):
        (tmp_path / "tree" / folder).mkdir()
        for n in range(4):
            (tmp_path / "tree" / folder / f"m{n}.py").write_text(
                f"import os\n\ndef f{n}(x):\n    return x\n" + "\n" * n
            )
    (tmp_path / "tree" / "broken.py").write_text("def f(:\n")
    found = agreed(example("census.py").census, {"root": tmp_path / "tree"})
    assert len(found.futures) == 5
    assert found.nodes["main/take_census"][0] == "SUCCEEDED"


def test_X3_a_replay_is_the_same_on_every_engine_but_for_times(example, tmp_path):
    """Its results tell when and in which process bodies ran, so the plan that it emits and what stands in it are
    compared.
    """
    file = INSTANCES / "epigenomics-hep-1seq-100k.json"
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    wf = example("wfformat.py")
    found = [carried(wf.main, {"instance": file, "scale": 0.0001}, engine, tmp_path) for engine in ENGINES]
    instance = wf.read.signature.result.encode(wf.read(file))
    for one in found:
        assert one.futures == found[0].futures
        assert one.nodes == found[0].nodes
        assert instance in one.objects.values(), "it is large"
        report, same = one.result, found[0].result
        assert report.tasks == 41
        assert (report.edges, report.bytes_handed_on) == (same.edges, same.bytes_handed_on)
        assert (report.critical_path, report.work) == (same.critical_path, same.work)
    assert len(found[0].futures) == 1


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    ("target", "inputs"),
    [
        (flows.fib, {"n": 9}),
        (flows.count_down, {"n": 40, "sum": 0}),
        (flows.tree, {"n": 3, "values": list(range(10**6, 10**6 + flows.LARGE))}),
        (flows.spread, {"values": [1, 2, 3], "n": 4}),
        (flows.shaped, {"n": 3}),
        (flows.plain, {"n": 6}),
        (flows.weighed, {"values": [1, 2], "n": 4}),
        (flows.add, {"a": 1}),
    ],
    ids=lambda one: getattr(one, "name", "").rpartition(":")[2],
)
def test_X3_dynamics_workflows_and_tasks_are_the_same_on_every_engine(target, inputs):
    found = agreed(target, inputs)
    assert found.state == "SUCCEEDED"
    assert found.result == target(**inputs), "and as a plain call gives it"


@pytest.mark.full(keep=3)
@pytest.mark.parametrize("failing", flows.FAILING, ids=lambda one: one.name.rpartition(":")[2])
def test_X3_a_failure_is_the_same_on_every_engine(failing):
    found = agreed(failing, {"x": 2}, max_depth=6)
    assert found.state == "FAILED"
    assert found.failure[0].startswith("main/")


@pytest.mark.full
def test_X3_a_run_with_a_snapshot_leaves_the_same_objects_on_every_engine():
    with Workflow("long") as long:
        made = [flows.add(n % 10) for n in range(10_500)]
    long.add_workflow_output("y", made[-1], int)
    agreed(long)


# --- plans that are drawn ---------------------------------------------------------------------------------------------

Pools = dict[str, list[Any]]


def one_of(draw, values):
    return values[draw(st.integers(0, len(values) - 1))]


def some_of(draw, values, most=3):
    return [one_of(draw, values) for _ in range(draw(st.integers(0, most)))]


def literal_or(draw, pools):
    return draw(st.integers(-3, 300)) if draw(st.booleans()) else one_of(draw, pools["int"])


def drawn_call(draw, kind, pools, depth):
    """A call of some kind, whose values go into the pools; gives its promise."""
    ints, lists = pools["int"], pools["list"]
    if kind == "numbers":
        made = flows.numbers(one_of(draw, ints), draw(st.sampled_from([0, 3, flows.LARGE])))
        lists.append(made)
    elif kind == "backwards":
        made = flows.backwards(one_of(draw, lists))
        lists.append(made)
    elif kind == "total":
        made = flows.total(some_of(draw, ints) + [1]) if draw(st.booleans()) else flows.total(one_of(draw, lists))
        ints.append(made)
    elif kind == "mean":
        made = flows.mean([*some_of(draw, ints), *some_of(draw, pools["float"]), 2])
        pools["float"].append(made)
    elif kind == "half":
        made = flows.half(one_of(draw, ints))
        pools["float"].append(made)
    elif kind == "table":
        made = flows.table(one_of(draw, lists))
        ints += [made["k"], made["n"]]
    elif kind == "halves":
        made = flows.halves(one_of(draw, lists))
        first, second = made
        lists += [first, second]
    elif kind == "ends":
        made = flows.ends(one_of(draw, lists))
        ints += [made.first, made[1]]
    elif kind == "point":
        made = flows.point(literal_or(draw, pools), one_of(draw, [*ints, *pools["float"]]))
        ints.append(made.x)
        pools["float"].append(made.y)
        pools["point"].append(made)
    elif kind == "outline":
        points = [*some_of(draw, pools["point"]), flows.Point(one_of(draw, ints), one_of(draw, pools["float"]))]
        made = flows.outline(
            points, {"a": one_of(draw, ints), "b": 2}, (one_of(draw, ints), one_of(draw, [*ints, *pools["float"]]))
        )
        pools["float"] += [flows.area(made), made.pair[1]]
    elif kind == "text":
        made = flows.text(one_of(draw, ints), draw(st.sampled_from([1, 1000])))
        ints.append(flows.length(made))
    elif kind == "nothing":
        made = flows.nothing(one_of(draw, ints))
    elif kind == "fib":
        made = flows.fib(draw(st.integers(0, 4)))
        ints.append(made)
    elif kind == "count_down":
        made = flows.count_down(draw(st.integers(0, 5)), one_of(draw, ints))
        ints.append(made)
    elif kind == "tree":
        made = flows.tree(draw(st.integers(0, 2)), one_of(draw, lists))
        ints.append(made)
    elif kind == "spread":
        made = flows.spread(one_of(draw, lists), one_of(draw, ints))
        pools["float"].append(flows.mean(made))
    elif kind == "shaped":
        made = flows.shaped(one_of(draw, ints))
        pools["float"].append(flows.area(made))
        pools["point"].append(made.points[0])
    elif kind == "plain":
        made = flows.plain(one_of(draw, ints))
        ints.append(made)
    else:
        assert kind == "nested"
        made = draw(workflows(depth + 1))(x=one_of(draw, ints), values=one_of(draw, lists))
        ints.append(made)
    return made


KINDS = [
    *(
        "numbers",
        "backwards",
        "total",
        "mean",
        "half",
        "table",
        "halves",
        "ends",
        "point",
        "outline",
        "text",
        "nothing",
    ),
    *("fib", "count_down", "tree", "spread", "shaped", "plain", "nested"),
]


@st.composite
def workflows(draw, depth=0, failing=False):
    """A workflow of calls that take each other's values, whole, in part or inside literals, or wait for each other;
    nested at most twice. One that shall fail has one failing call.
    """
    made = Workflow(f"level{depth}")
    x, values = made.add_workflow_input("x", int, 5), made.add_workflow_input("values", list[int], [1, 2, 3])
    pools: Pools = {"int": [x, 7], "float": [0.5], "list": [values], "point": []}
    nodes: list[Any] = []
    with made:
        kinds = draw(st.lists(st.sampled_from(KINDS if depth < 2 else KINDS[:-1]), min_size=1, max_size=7))
        pools["point"].append(flows.point(1, 2))
        place = draw(st.integers(0, len(kinds) - 1)) if failing else -1
        for number, kind in enumerate(kinds):
            node = (
                draw(st.sampled_from(flows.FAILING))(one_of(draw, pools["int"]))
                if number == place
                else drawn_call(draw, kind, pools, depth)
            )
            if nodes and draw(st.booleans()):
                one_of(draw, nodes) >> node
            nodes.append(node)
        if depth == 0 and draw(st.booleans()):
            made.add_workflow_output("floats", [*pools["float"], *some_of(draw, pools["int"])], list[float])
            made.add_workflow_output("by_name", {"a": one_of(draw, pools["list"]), "b": []}, dict[str, list[int]])
            made.add_workflow_output("points", tuple(some_of(draw, pools["point"])), tuple[flows.Point, ...])
        made.add_workflow_output("y", one_of(draw, pools["int"]), int)
    return made


DRAWN = settings(
    max_examples=20,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.full
@DRAWN
@given(workflows())
def test_X3_a_drawn_plan_gives_the_same_on_every_engine(made):
    found = agreed(made, {"x": 11})
    assert found.state == "SUCCEEDED", found.failure
    assert found.result == made(x=11), "and as a plain call gives it"


@pytest.mark.full
@DRAWN
@given(workflows(failing=True))
def test_X3_a_drawn_plan_that_fails_does_so_at_the_same_node_in_the_same_way(made):
    assert agreed(made, {"x": 11}, max_depth=9).state == "FAILED"
