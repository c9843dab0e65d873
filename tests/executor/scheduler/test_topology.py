"""What a graph's topology says agrees with a naive reading of the graph."""

from hypothesis import given, settings
from hypothesis import strategies as st

from promissory import Workflow, task, workflow
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.topologies import Topologies
from promissory.executor.scheduler.topology import ShapeCode, Topology
from promissory.planner.plan.model import INPUT, NODE, references
from promissory.typesys.types import FLOAT, INT

QUICK = settings(max_examples=150, deadline=None, database=None, derandomize=True)


@task
def whole(x: int) -> int:
    return x


@task
def real(x: float) -> float:
    return x


@task
def pair(x: int) -> tuple[int, str]:
    return x, ""


@task
def listed(xs: list[float]) -> list[float]:
    return xs


@st.composite
def plans(draw):
    made = Workflow("made")
    ints = [made.add_workflow_input("x", int)]
    nodes = []
    with made:
        for _ in range(draw(st.integers(0, 12))):
            x = ints[draw(st.integers(0, len(ints) - 1))]
            kind = draw(st.sampled_from(["whole", "real", "pair", "listed"]))
            if kind == "whole":
                node = whole(x)
                ints.append(node)
            elif kind == "pair":
                node = pair(x)
                ints.append(node[0])
            elif kind == "real":
                node = real(x)
            else:
                node = listed([x, 1.5, x, ints[-1]])
            if nodes and draw(st.booleans()):
                nodes[draw(st.integers(0, len(nodes) - 1))] >> node
            nodes.append(node)
    for index in range(draw(st.integers(0, 3))):
        made.add_workflow_output(
            f"y{index}", ints[draw(st.integers(0, len(ints) - 1))], float if draw(st.booleans()) else int
        )
    return made.compile()


def rows(offsets, items, index):
    return list(items[offsets[index] : offsets[index + 1]])


@QUICK
@given(plans())
def test_X2_cells_successors_and_takes_agree_with_the_graph(plan):
    topology = Topology(plan.shape, 0, ShapeCode(plan.shape))
    graph, size = plan.graph, topology.size
    bindings = [graph.bindings_of(index) for index in range(len(graph))] + [[binding] for binding, _ in topology.joints]
    taken = [{node for one in each for node in references(one)} for each in bindings]
    before = [one | set(graph.after.get(index, ())) for index, one in enumerate(taken)]
    uses = [sum(node in one for one in taken) + topology.outputs.count(node) for node in range(size)]
    assert size == len(graph) + len(topology.joints)
    assert list(topology.cells[:size]) == [len(one) for one in before]
    assert list(topology.cells[size : 2 * size]) == uses
    assert not any(topology.cells[2 * size :])
    for index in range(size):
        followers = rows(topology.successor_offsets, topology.successor_list, index)
        assert followers == [other for other in range(size) if index in before[other]]
        assert sorted(rows(topology.take_offsets, topology.take_list, index)) == sorted(taken[index])
    assert sorted(topology.first) == [index for index in range(size) if not before[index]]


@QUICK
@given(plans())
def test_X2_a_joint_stands_exactly_where_a_plain_value_is_not_enough(plan):
    topology = Topology(plan.shape, 0, ShapeCode(plan.shape))
    results = [node.target.interface.result for node in plan.nodes()]
    joints = iter(range(len(plan), topology.size))
    for output, where in zip(plan.outputs, topology.outputs, strict=True):
        binding = output.binding
        if isinstance(binding, int):
            plain = binding < 0 or results[binding] == output.type
        else:
            plain = binding[0] == INPUT and len(binding) == 2 and plan.inputs[binding[1]].type == output.type
        assert where == (binding if plain else next(joints))
    assert next(joints, None) is None
    for node in plan.nodes():
        simple = all(
            (isinstance(b, int) and (b < 0 or results[b] == p.type))
            or (isinstance(b, list) and b == [INPUT, 0] and p.type == INT)
            for b, p in zip(node.bindings, node.target.interface.parameters, strict=True)
        )
        assert bool(topology.simple[node.index]) == simple


def test_X2_a_frame_has_its_own_counts():
    plan = Workflow("made")
    x = plan.add_workflow_input("x", int)
    plan.add_workflow_output("y", plan.add_entity(whole, x=plan.add_entity(whole, x=x)))
    topology = Topologies().get(plan.compile().shape, 0)
    frames = [Frame(n, None, 0, 0, topology, (), (b"\x01",), bytes(16), "main", None, None) for n in range(2)]
    frames[0].set_state(1, 2)
    assert (frames[0].state(1), frames[1].state(1), list(topology.cells)) == (2, 0, [0, 1, 1, 1, 0, 0])


def test_X2_more_than_255_followers_are_counted():
    @workflow
    def wide(x: int) -> list[int]:
        first = whole(x)
        return [whole(first) for _ in range(300)]

    plan = wide.compile()
    scheduler = Scheduler(Limits())
    scheduler.open_root(plan, (b"\x01",))
    topology = scheduler.frames[0].topology
    assert topology.cells[topology.size] == 300
    assert topology.cells[topology.size - 1] == 300
    assert topology.joints[0][0][0] not in (NODE, INPUT)


def test_X2_frames_of_one_shape_share_a_topology():
    @workflow
    def small(x: int) -> float:
        return whole(x)

    topologies = Topologies()
    plan = small.compile()
    assert topologies.get(plan.shape, 0) is topologies.get(plan.shape, 0)
    assert topologies.get(plan.shape, 0).joints == [(0, FLOAT)]
