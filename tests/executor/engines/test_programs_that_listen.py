"""X5: programs that set up logging their own way, or listen to what is printed, hear bodies as they hear themselves."""

import sys

import pytest

PROGRAM = """
import contextlib, io, logging, logging.handlers, queue, sys
from promissory import Context, run, task, workflow

@task
def talk(ctx: Context, x: int) -> int:
    ctx.logger.info("by the context")
    logging.getLogger("lib").info("quiet")
    logging.getLogger("lib").warning("loud")
    print("printed", x)
    return x

@workflow
def flow(x: int = 1) -> int:
    return talk(x)

def plainly():
    flow()

def as_a_run():
    kept = run(flow, store="memory://").logs()
    with open("kept.log", "w") as file:
        file.write(kept)

if __name__ == "__main__":
    heard = io.StringIO()
"""

LEVELS = "logging.basicConfig(level=logging.INFO, format='%(name)s <%(message)s>', "
SHOWN = "promissory.main.talk <by the context>\nlib <quiet>\nlib <loud>\n"
OURS = "INFO promissory.main.talk: by the context\n"


def heard(project, set_up, call="plainly()"):
    source = PROGRAM + "".join(f"    {line}\n" for line in [*set_up.splitlines(), call])
    project.write("listens.py", source)
    process = project.spawn("listens.py")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.parametrize(
    ("set_up", "out", "err"),
    [
        (LEVELS + "stream=sys.stdout)", SHOWN + "printed 1\n", ""),
        (LEVELS + "stream=sys.stderr)", "printed 1\n", SHOWN),
        (LEVELS + "stream=heard)", "printed 1\n", ""),
        ("logging.getLogger().addHandler(logging.NullHandler())", "printed 1\n", ""),
        ("logging.getLogger('promissory').addHandler(logging.NullHandler())", "printed 1\n", "WARNING lib: loud\n"),
        ("logging.getLogger('other').addHandler(logging.StreamHandler())", "printed 1\n", OURS + "WARNING lib: loud\n"),
        ("logging.getLogger('promissory').propagate = False", "printed 1\n", OURS + "WARNING lib: loud\n"),
        ("logging.getLogger('promissory').setLevel('WARNING')", "printed 1\n", "WARNING lib: loud\n"),
        ("logging.disable(logging.CRITICAL)", "printed 1\n", ""),
        ("logging.lastResort = None", "printed 1\n", OURS + "WARNING lib: loud\n"),
        ("lib = logging.getLogger('lib')\nlib.propagate = False\nlib.addHandler(logging.StreamHandler(heard))",
         "printed 1\n", OURS),
    ],
)  # fmt: skip
@pytest.mark.full(keep=4)
def test_X5_a_plain_call_shows_records_where_the_programs_set_up_shows_its_own(project, set_up, out, err):
    assert heard(project, set_up) == (out, err)


@pytest.mark.parametrize(
    "set_up",
    [
        LEVELS + "stream=heard)",
        LEVELS + "filename='there.log')",
        "logging.getLogger().addHandler(logging.handlers.QueueHandler(queue.Queue()))",
        "logging.getLogger('lib').propagate = False\nlogging.getLogger('lib').addHandler(logging.NullHandler())",
    ],
)
def test_X5_wherever_the_program_sends_records_the_log_has_each_of_them_once(project, set_up):
    out, _ = heard(project, set_up, "as_a_run()")
    log = (project.folder / "kept.log").read_text()
    assert out == "printed 1\n"
    assert [log.count(word) for word in ("by the context", "loud", "printed 1")] == [1, 1, 1]


@pytest.mark.parametrize("call", ["plainly()", "as_a_run()"])
def test_X5_a_program_that_redirects_its_streams_hears_bodies_there(project, call):
    out, _ = heard(
        project,
        "with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):\n"
        f"    {call}\n"
        "print(repr(heard.getvalue()))",
        "pass",
    )
    assert out == repr(OURS + "WARNING lib: loud\nprinted 1\n") + "\n"


def test_X5_the_tests_of_a_program_hear_bodies_with_their_own_fixtures(project):
    project.write("listens.py", PROGRAM)
    project.write(
        "test_listens.py",
        """
        import pytest
        from listens import flow
        from promissory import run

        CALLS = [flow, lambda: run(flow, store="memory://").result]

        @pytest.mark.parametrize("call", CALLS)
        def test_what_is_printed(call, capsys):
            assert call() == 1
            assert capsys.readouterr().out == "printed 1\\n"

        @pytest.mark.parametrize("call", CALLS)
        def test_what_reaches_the_descriptors(call, capfd):
            assert call() == 1
            assert capfd.readouterr().out == "printed 1\\n"

        @pytest.mark.parametrize("call", CALLS)
        def test_what_is_logged(call, caplog):
            with caplog.at_level("INFO"):
                assert call() == 1
            assert [record.getMessage() for record in caplog.records] == ["by the context", "quiet", "loud"]
        """,
    )
    process = project.spawn("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_listens.py")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "6 passed" in out, sys.version
