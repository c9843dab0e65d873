"""X11: telling a failure can't fail, whatever the exception's own code does while it is told; and exceptions are
rebuilt without calling their class.
"""

import json
import textwrap

import pytest

from promissory import Store, run
from promissory.errors import RemoteError

ENGINES = pytest.mark.parametrize("engine", ["inline", "threads", "processes"])

MODULE = """
import functools, pathlib, threading
from dataclasses import dataclass
from promissory import Loop, Retry, promise, task, workflow

class Unsayable:
    def __repr__(self):
        raise RuntimeError("no repr")

class StillDown(Exception):
    pass

def long_chain(n):
    last = None
    for number in range(n):
        try:
            raise StillDown(number) from last
        except StillDown as error:
            last = error
    return last

def long_context(n):
    last = None
    for number in range(n):
        error = StillDown(number)
        error.__context__ = last
        last = error
    return last

def deep_group(n):
    error = ValueError("innermost")
    for number in range(n):
        error = ExceptionGroup(f"group {number}", [error])
    return error

class Looks(Exception):
    def __getattr__(self, name):
        raise RuntimeError(f"there is no {name}")

class LooksMore(Exception):
    def __getattribute__(self, name):
        raise RuntimeError(f"there is no {name}")

class OddNotes(Exception):
    @property
    def __notes__(self):
        raise RuntimeError("no notes")

class Exits(Exception):
    def __str__(self):
        raise SystemExit(3)

class Loops(Exception):
    def __str__(self):
        raise Loop(1)

class OddText(str):
    def __len__(self):
        raise RuntimeError("no length")

class Says(Exception):
    def __str__(self):
        return OddText("said")

class PickleExits(Exception):
    def __reduce__(self):
        raise SystemExit(4)

class MadeOnce(Exception):
    made = 0
    def __init__(self, *args):
        MadeOnce.made += 1
        if MadeOnce.made > 1:
            raise SystemExit(5)
        super().__init__(*args)

class Nameless(type):
    def __getattribute__(cls, name):
        if name in ("__mro__", "__module__", "__qualname__", "__name__"):
            raise RuntimeError(name)
        return type.__getattribute__(cls, name)

class OddClass(Exception, metaclass=Nameless):
    pass

class OtherClass(Exception):
    @property
    def __class__(self):
        raise RuntimeError("no class")

class OddModule(Exception):
    pass
OddModule.__module__ = 3

def odd_exit():
    return SystemExit(Unsayable())

def odd_syntax():
    error = SyntaxError("wrong")
    error.filename = error.text = error.lineno = Unsayable()
    return error

KINDS = {
    "a long chain of causes": (lambda: long_chain(1200), "StillDown"),
    "a long chain of contexts": (lambda: long_context(20_000), "StillDown"),
    "deep groups": (lambda: deep_group(2000), "ExceptionGroup"),
    "wide groups": (lambda: ExceptionGroup("wide", [ValueError(n) for n in range(5000)]), "ExceptionGroup"),
    "getattr": (Looks, "Looks"),
    "getattribute": (LooksMore, "LooksMore"),
    "notes": (OddNotes, "OddNotes"),
    "exits": (Exits, "Exits"),
    "loops": (Loops, "Loops"),
    "text": (Says, "Says"),
    "pickle": (PickleExits, "PickleExits"),
    "constructor": (lambda: MadeOnce("once"), "MadeOnce"),
    "metaclass": (OddClass, "OddClass"),
    "class": (OtherClass, "OtherClass"),
    "module": (OddModule, "OddModule"),
    "exit code": (odd_exit, "SystemExit"),
    "syntax": (odd_syntax, "SyntaxError"),
}

@task(retries=1)
def hostile(kind: str) -> str:
    MadeOnce.made = 0
    raise KINDS[kind][0]()

@workflow
def all_kinds() -> list[str]:
    return [promise(hostile(kind).with_overrides(name=kind)).on_error("handled") for kind in KINDS]

class Interrupts(Exception):
    def __str__(self):
        raise KeyboardInterrupt

@task
def interrupts() -> None:
    raise Interrupts

@task
def raises_its_own() -> None:
    class Local(Exception):
        pass
    raise Local("here")

# --- exceptions that are rebuilt ---

class MakesItsText(Exception):
    def __init__(self, name):
        super().__init__(f"no such thing: {name}")
        self.name = name

class Keywords(Exception):
    def __init__(self, *, status, detail):
        super().__init__(f"{status}: {detail}")
        self.status = status

class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")

class NeverCallsUp(KeyError):
    def __init__(self, a, b):
        self.a = a

class File(OSError):
    def __init__(self, name):
        super().__init__(2, "gone", name)

class Words(UnicodeDecodeError):
    def __init__(self):
        super().__init__("ascii", b"a\\xff", 1, 2, "no letter")

class Missing(ImportError):
    def __init__(self, which):
        super().__init__(f"no {which}", name=which)

class Many(ExceptionGroup):
    def __new__(cls, *parts):
        return super().__new__(cls, "many", list(parts))

class Slots(Exception):
    __slots__ = ("code",)
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code

@dataclass(frozen=True)
class Frozen(Exception):
    code: int

class OwnNew(Exception):
    def __new__(cls, *, detail):
        return super().__new__(cls, detail)
    def __init__(self, *, detail):
        super().__init__(detail)

class Notes(Exception):
    def __init__(self):
        super().__init__("noted")
        self.add_note("a note")

class Counts(Exception):
    def __init__(self, word):
        super().__init__(word)
        with open(pathlib.Path(__file__).with_name("made"), "a") as calls:
            calls.write("made\\n")

class HoldsALock(Exception):
    def __init__(self):
        super().__init__("locked")
        self.lock, self.code = threading.Lock(), 7

MADE = {
    "text": lambda: MakesItsText("pear"),
    "keywords": lambda: Keywords(status=500, detail="try later"),
    "two arguments": lambda: TwoArguments("this", "that"),
    "never calls up": lambda: NeverCallsUp("a", "b"),
    "file": lambda: File("a.txt"),
    "unicode": Words,
    "import": lambda: Missing("there"),
    "group": lambda: Many(ValueError(1), MakesItsText("plum")),
    "slots": lambda: Slots(3),
    "frozen": lambda: Frozen(3),
    "new": lambda: OwnNew(detail="d"),
    "notes": Notes,
    "lock": HoldsALock,
}

@task
def raises(kind: str) -> int:
    raise MADE[kind]()

@task
def counts() -> int:
    raise Counts("counted")
"""


GO = """
import json, sys
import hostile
from promissory import resume, run
if __name__ == "__main__":
    engine = sys.argv[1]
PROGRAM
    print(json.dumps(said))
"""


@pytest.fixture
def hostile(write_module):
    """The module above."""
    return write_module("hostile", MODULE)


@pytest.fixture
def told(project):
    """A function (program, engine) → what it prints, as JSON. In a process of its own, as an exception that can't be
    told would end the tests.
    """
    project.write("hostile.py", MODULE)

    def printed(program, engine):
        project.write("go.py", GO.replace("PROGRAM", textwrap.indent(textwrap.dedent(program), "    ")))
        return json.loads(project.python("go.py", engine))

    return printed


@ENGINES
def test_X11_whatever_an_exception_does_while_it_is_told_its_node_fails_by_its_name(told, engine):
    ended = told(
        """
        ended = run(hostile.all_kinds, engine=engine, echo=False)
        rows = {row.path: [row.state, row.attempts, row.why[:200]] for row in ended.nodes()}
        names = {kind: name for kind, (_, name) in hostile.KINDS.items()}
        said = {"result": ended.result, "rows": rows, "names": names}
    """,
        engine,
    )
    assert set(said_result := ended["result"]) == {"handled"} and len(said_result) == len(ended["names"])
    for kind, name in ended["names"].items():
        state, attempts, why = ended["rows"][f"main/{kind}"]
        runs = 1 if kind == "exit code" else 2  # its retry is used, and its body runs no third time
        assert (state, attempts) == ("FAILED", runs), kind
        assert name in why, kind


@ENGINES
def test_X11_a_run_that_fails_of_it_has_its_error_and_can_be_resumed(told, engine):
    ended = told(
        """
        said = []
        for kind in ("a long chain of causes", "deep groups", "getattr"):
            ended = run(hostile.hostile, {"kind": kind}, engine=engine, echo=False)
            said.append([ended.state, type(ended.error).__name__, ended.reason[:200], hostile.KINDS[kind][1]])
            said[-1].append(resume(ended.id, engine=engine, echo=False).state)
    """,
        engine,
    )
    for state, error, reason, name, again in ended:
        assert (state, error, again) == ("FAILED", "RunFailed", "FAILED")
        assert name in reason


def test_X11_an_exception_that_interrupts_while_it_is_told_is_its_nodes_failure(project):
    project.write("hostile.py", MODULE)
    said = project.code("""
        import hostile, promissory
        print(promissory.run(hostile.interrupts, echo=False).reason)
    """)
    assert "Interrupts" in said


def test_X11_a_long_chain_is_told_with_its_ends_and_what_was_left_out(hostile):
    error = run(hostile.hostile, {"kind": "a long chain of causes"}, store=Store(None), echo=False).error
    assert "StillDown: 1199" in error.remote_traceback
    assert "StillDown: 0" in error.remote_traceback
    assert len(error.remote_traceback) < 70_000


@ENGINES
def test_X11_exceptions_are_of_their_own_class_with_their_own_text_and_state(hostile, tmp_path, engine):
    for kind, make in hostile.MADE.items():
        there = make()
        cause = run(hostile.raises, {"kind": kind}, engine=engine, store=tmp_path / "store", echo=False).error.__cause__
        assert type(cause) is type(there), kind
        assert str(cause) == str(there), kind
        kept = {name: value for name, value in vars(there).items() if name != "lock"}
        assert {name: vars(cause).get(name) for name in kept} == kept, kind


def test_X11_what_c_keeps_of_an_exception_is_kept(hostile):
    def cause(kind):
        return run(hostile.raises, {"kind": kind}, store=Store(None), echo=False).error.__cause__

    assert (cause("file").errno, cause("file").filename) == (2, "a.txt")
    assert cause("unicode").start == 1
    assert cause("import").name == "there"
    assert cause("slots").code == 3
    assert [type(one).__name__ for one in cause("group").exceptions] == ["ValueError", "MakesItsText"]


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_X11_an_exceptions_class_is_called_by_the_body_alone(hostile, tmp_path, engine):
    ended = run(hostile.counts, engine=engine, store=tmp_path / "store", echo=False)
    assert type(ended.error.__cause__) is hostile.Counts
    assert (tmp_path / "modules" / "made").read_text().splitlines() == ["made"]


def test_X11_what_no_import_gives_is_a_remote_error_that_names_the_class(hostile):
    cause = run(hostile.raises_its_own, store=Store(None), echo=False).error.__cause__
    assert type(cause) is RemoteError
    assert cause.type_name.endswith("Local")
    assert "here" in str(cause)
