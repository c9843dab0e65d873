"""`python -m promissory.executor.testing.soak`: what it does, what it prints, and that it notices what is lost."""

import re
import textwrap

import pytest

KINDS = ["kill", "operation", "point", "fence", "flaky"]


def soak(project, *arguments, bug=""):
    """(exit code, output, errors) of a soak in a process of its own, with a bug put in before it begins."""
    if bug:
        source = (
            f"{textwrap.dedent(bug)}\n"
            "import sys\n"
            "from promissory.executor.testing import soak\n"
            "sys.exit(soak.main(sys.argv[1:]))\n"
        )
        project.write("with_bug.py", source)
    process = project.spawn(*(["with_bug.py"] if bug else ["-m", "promissory.executor.testing.soak"]), *arguments)
    output, errors = project.finish(process)
    return process.returncode, output, errors


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(("kind", "seed"), [("kill", 1), ("operation", 2), ("point", 4), ("fence", 3), ("flaky", 5)])
def test_a_soak_of_one_kind_ends_well_and_says_what_it_did(project, kind, seed):
    code, output, errors = soak(project, "--rounds", "2", "--only", kind, "--seed", str(seed))
    assert code == 0, errors
    assert re.fullmatch(rf"2 rounds from seed {seed}: 2 {kind}, \d+ {kind} deaths; nothing was lost\n", output)
    assert "Traceback" not in errors


@pytest.mark.full
def test_a_soak_takes_rounds_of_every_kind_and_a_seed_tells_them_again(project):
    first = soak(project, "--rounds", "6", "--seed", "40")
    assert first[0] == 0, first[2]
    counts = dict(reversed(part.split(" ", 1)) for part in re.search(r": (.*);", first[1]).group(1).split(", "))
    rounds = {kind: int(count) for kind, count in counts.items() if kind in KINDS}
    assert sum(rounds.values()) == 6
    again = soak(project, "--rounds", "6", "--seed", "40")
    assert [f"{kind}" for kind in KINDS if f" {kind}," in again[1]] == [
        f"{kind}" for kind in KINDS if f" {kind}," in first[1]
    ]


@pytest.mark.full
def test_a_soak_ends_when_its_time_is_over(project):
    code, output, errors = soak(project, "--minutes", "0.02", "--only", "point")
    assert code == 0, errors
    assert re.match(r"\d+ rounds from seed \d+: ", output)


def test_a_soak_without_a_seed_tells_the_one_that_it_took(project):
    _, output, _ = soak(project, "--rounds", "1", "--only", "point")
    seed = re.search(r"from seed (\d+)", output).group(1)
    code, again, errors = soak(project, "--rounds", "1", "--only", "point", "--seed", seed)
    assert code == 0, errors
    rounds = output.partition(",")[0]  # how many of them died depends on how far the machine came
    assert again.startswith(f"{rounds},")


def test_an_unknown_kind_is_a_wrong_use(project):
    code, _, errors = soak(project, "--only", "kil")
    assert code == 2
    assert "invalid choice: 'kil'" in errors


def test_help_says_what_it_is_for(project):
    code, output, _ = soak(project, "--help")
    assert code == 0
    assert "Interrupt runs in every way" in output
    assert "--carry" not in output


WRONG_RESULT = """
from dataclasses import replace
from promissory.executor.testing import workloads
workloads.WORKLOADS = tuple(replace(one, result=-1) for one in workloads.WORKLOADS)
"""

BODIES_BEGIN_AGAIN = """
from promissory.executor.history import recovery
from promissory.executor.protocol.events import NODE_DONE
real, held = recovery.replay, []
def forgetful(scheduler, event):
    while held:
        known, one = held.pop()
        if known is scheduler:
            real(scheduler, one)
    if event[0] == NODE_DONE:  # the last node that is done is run again
        held.append((scheduler, event))
    else:
        real(scheduler, event)
recovery.replay = forgetful
"""

NOT_PATIENT = """
from promissory.executor.store import store
store.is_passing = lambda error: False
"""


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("kind", "bug", "said"),
    [
        ("point", WRONG_RESULT, r"seed 7, point: \w+ gives .*, not -1"),
        (
            "operation",
            BODIES_BEGIN_AGAIN,
            r"seed \d+, operation: \w+, .* operation \d+: ('.*' was committed, and began again|committed twice)",
        ),
        pytest.param(
            "flaky",
            NOT_PATIENT,
            r"seed 7, flaky: ",
        ),
    ],
    ids=["wrong result", "bodies begin again", "no patience"],
)
def test_a_soak_finds_a_bug_tells_the_seed_of_the_round_and_ends_with_1(project, kind, bug, said):
    code, output, errors = soak(project, "--rounds", "60", "--only", kind, "--seed", "7", bug=bug)
    assert code == 1, output + errors
    assert re.search(said, errors), errors
    assert "nothing was lost" not in output
    seed = re.search(r"seed (\d+), ", errors)
    assert seed, errors
    if kind != "operation":  # there it is up to the threads which commits come together, and so what is lost with one
        code, _, again = soak(project, "--rounds", "1", "--only", kind, "--seed", seed.group(1), bug=bug)
        assert code == 1, again
