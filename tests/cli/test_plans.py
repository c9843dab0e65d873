"""`promissory compile`, `check` and `show`: plans as files, as text, as charts; what does not check."""

import pytest

from promissory import Plan
from promissory.typesys.envelope import seal

FLOW = """
    from promissory import dynamic, task, workflow

    print("imported")

    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def deep(x: int) -> int:
        return inc(x)

    @workflow
    def more(x: int = 1) -> int:
        return deep(inc(x))
"""
SHOWN = (
    "plan more(x: int = 1) -> int\n  inc  : int = task inc(x=x)\n  deep : int = dynamic deep(x=inc)\n  return deep\n"
)
QUIET = FLOW.replace('print("imported")', "")


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", QUIET)


@pytest.fixture
def plan(shell, flow, cli):
    cli("compile", "flow.py", "-o", "more.plan")
    return shell.folder / "more.plan"


def test_compile_writes_the_plan_and_tells_what_it_wrote(shell, flow):
    ended = shell.promissory("compile", "flow.py", "more", "-o", "more.plan")
    data = (shell.folder / "more.plan").read_bytes()
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == f"more.plan: 2 nodes, {len(data)} bytes, digest {Plan.from_bytes(data).digest}\n"


def test_A5_compile_gives_the_same_bytes_under_another_hash_seed(shell, flow):
    for seed in ("1", "2"):
        shell.promissory("compile", "flow.py", "more", "-o", f"{seed}.plan", PYTHONHASHSEED=seed)
    assert (shell.folder / "1.plan").read_bytes() == (shell.folder / "2.plan").read_bytes()


def test_compile_refuses_a_plan(cli, plan, told):
    code, _, err = cli("compile", "more.plan", "-o", "again.plan")
    assert code == 2
    assert told(err) == "more.plan is a plan already"


def test_compile_refuses_a_place_that_can_not_be_written(cli, flow, told):
    code, _, err = cli("compile", "flow.py", "-o", "no/where/more.plan")
    assert code == 2
    assert told(err) == "can't write no/where/more.plan: No such file or directory"


def test_show_of_a_file_prints_the_plan(cli, flow):
    assert cli("show", "flow.py") == (0, SHOWN, "")


def test_show_of_a_file_with_what_its_import_prints_keeps_stdout_for_the_plan(shell):
    shell.write("flow.py", FLOW)
    assert shell.promissory("show", "flow.py").stdout == SHOWN


def test_run_of_a_file_with_what_its_import_prints_keeps_stdout_for_the_result(shell):
    shell.write("flow.py", FLOW)
    ended = shell.promissory("run", "flow.py")
    assert ended.stdout == "3\n"
    assert "imported" in ended.stderr


def test_show_of_a_plan_prints_it(cli, plan):
    assert cli("show", "more.plan") == (0, SHOWN, "")


def test_show_of_a_run_prints_its_plan(cli, flow):
    cli("run", "--run-id", "a", "flow.py")
    assert cli("show", "a") == (0, SHOWN, "")


@pytest.mark.parametrize("what", ["flow.py", "more.plan", "a"])
def test_show_mermaid(cli, plan, what):
    cli("run", "--run-id", "a", "flow.py")
    code, out, err = cli("show", "--mermaid", what)
    assert (code, err) == (0, "")
    assert out.startswith("flowchart TD\n")
    assert '["inc"]' in out
    assert "-->" in out


def test_show_of_nothing(cli, told):
    code, _, err = cli("show", "nothing")
    assert code == 2
    assert "nothing" in told(err)


def test_check_tells_of_each_workflow_that_it_is_well(shell, plan):
    ended = shell.promissory("check", "flow.py", "more.plan")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.splitlines() == [
        "flow.py: deep: 1 node, well",
        "flow.py: more: 2 nodes, well",
        "more.plan: plan more, 2 nodes, well",
    ]


def test_check_reports_several_problems_of_several_files_together(shell, flow):
    wrong = QUIET + '\n    @workflow\n    def worse() -> int:\n        inc("a")\n        return inc("b")\n'
    shell.write("first.py", wrong)
    shell.write("second.py", wrong.replace("worse", "worst"))
    ended = shell.promissory("check", "first.py", "flow.py", "second.py")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.count("first.py: worse: inc") == 2
    assert ended.stderr.count("second.py: worst: inc") == 2
    assert "first.py:19" in ended.stderr
    assert "first.py:20" in ended.stderr
    assert "flow.py: more: 2 nodes, well" in ended.stderr


def test_check_of_a_file_that_can_not_be_imported_goes_on_with_the_others(shell, flow):
    shell.write("broken.py", "1 / 0")
    ended = shell.promissory("check", "broken.py", "flow.py")
    assert ended.returncode != 0
    assert "ZeroDivisionError" in ended.stderr
    assert "flow.py: more: 2 nodes, well" in ended.stderr


def test_check_of_a_damaged_plan_goes_on_with_the_others(shell, plan):
    (shell.folder / "bad.plan").write_bytes(plan.read_bytes()[:-1])
    ended = shell.promissory("check", "bad.plan", "flow.py")
    assert ended.returncode == 3
    assert "flow.py: more: 2 nodes, well" in ended.stderr


def test_check_of_a_task_that_is_refused_at_decoration(shell):
    shell.write("flow.py", QUIET + "\n    @task\n    def many(*xs: int) -> int:\n        return 1\n")
    ended = shell.promissory("check", "flow.py")
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
    assert "flow.py:" in ended.stderr


def test_check_of_a_file_without_workflows(cli, shell):
    shell.write("empty.py", "")
    assert cli("check", "empty.py") == (0, "", "empty.py: no workflow\n")


@pytest.fixture(params=["run", "show", "check"])
def command(request):
    return request.param


@pytest.mark.full(keep=4)
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "newer"])
def test_T1_a_plan_that_is_no_good_is_refused_with_the_offset_and_imports_nothing(shell, plan, told, command, damage):
    data = plan.read_bytes()
    changed = {
        "cut": data[:40],
        "flipped": data[:60] + bytes([data[60] ^ 1]) + data[61:],
        "empty": b"",
        "newer": seal(data[:4], 99, 1, b""),
    }[damage]
    plan.write_bytes(changed)
    shell.write("flow.py", 'raise SystemExit("imported")')
    ended = shell.promissory(command, "more.plan")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "at byte" in told(ended.stderr)
    assert "imported" not in ended.stderr


def test_show_of_a_plan_that_is_no_good_names_the_file(cli, plan, told):
    plan.write_bytes(plan.read_bytes()[:40])
    code, _, err = cli("show", "more.plan")
    assert code == 3
    assert "more.plan" in told(err)
