"""Small programs with one mistake each, and what finds it: a type checker, the compile, or the run.

Each program is a module, written behind `HEAD`, whose `main` is compiled, and run with `inputs`. The page
`docs/reference/layers.md` shows this table.
"""

from typing import NamedTuple


class Wrong(NamedTuple):
    """A program with one mistake.

    Attributes:
        mistake: what is wrong with it.
        checked: whether mypy refuses it.
        compiled: the class of the error with which the compile refuses it; empty if it does not.
        ran: the class of the error with which the run ends, of its cause if a node failed; empty if the run ends well,
            or is never reached.
        source: the program. The lines that are wrong, in the eyes of a type checker, end with `# wrong`.
        section: the part of the page.
    """

    mistake: str
    checked: bool
    compiled: str
    ran: str
    source: str
    section: str = ""


HEAD = "from typing import Any\n\nfrom parts import *\nfrom promissory import *\n"

PARTS = '''
"""What the programs are made of."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, NotRequired, TypedDict

from promissory import task


class Color(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Row:
    price: float
    tags: list[str]


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


@task
def inc(x: int) -> int:
    return x + 1


@task
def half(x: float) -> float:
    return x / 2


@task
def shout(text: str) -> str:
    return text.upper()


@task
def is_even(x: int) -> bool:
    return x % 2 == 0


@task
def maybe(x: int) -> int | None:
    return None


@task
def log(text: str) -> None:
    pass


@task
def anything(x: Any) -> Any:
    return x


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def two(pair: tuple[int, int]) -> int:
    return pair[0] + pair[1]


@task
def halves(x: int) -> tuple[int, str]:
    return x // 2, "rest"


@task
def row(price: float) -> Row:
    return Row(price, [])


@task
def title_of(movie: Movie) -> str:
    return movie["title"]


@task
def movie(title: str) -> Movie:
    return {"title": title}


@task
def paint(color: Color, mode: Literal["fast", "slow"] = "fast") -> Color:
    return color
'''

CALLS = [
    Wrong(
        "a `str` is given where an `int` is wanted",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return inc("1")  # wrong
        """,
    ),
    Wrong(
        "an argument is missing",
        True,
        "WrongCall",
        "",
        """
        @workflow
        def main() -> int:
            return inc()  # wrong
        """,
    ),
    Wrong(
        "a keyword that the task does not have",
        True,
        "WrongCall",
        "",
        """
        @workflow
        def main() -> int:
            return inc(y=1)  # wrong
        """,
    ),
    Wrong(
        "a member of an enum is given as a text",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> Color:
            return paint("RED")  # wrong
        """,
    ),
    Wrong(
        "a text that the `Literal` does not name",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> Color:
            return paint(Color.RED, "slowly")  # wrong
        """,
    ),
    Wrong(
        "a `TypedDict` without one of its keys",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> str:
            return title_of({"year": 1931})  # wrong
        """,
    ),
]

EDGES = [
    Wrong(
        "`str` → `int`",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return inc(shout("1"))  # wrong
        """,
    ),
    Wrong(
        "`float` → `int`",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return inc(half(1))  # wrong
        """,
    ),
    Wrong(
        "`bool` → `int`",
        False,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return inc(is_even(1))
        """,
    ),
    Wrong(
        "`int | None` → `int`",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return inc(maybe(1))  # wrong
        """,
    ),
    Wrong(
        "what a task gives that gives nothing → `int`",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return inc(log("a"))  # wrong
        """,
    ),
    Wrong(
        "`list[int]` → `tuple[int, int]`",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return two(numbers(2))  # wrong
        """,
    ),
    Wrong(
        "`datetime` → `date`",
        False,
        "EdgeTypeError",
        "",
        """
        from datetime import date, datetime

        @task
        def moment() -> datetime:
            return datetime(2024, 2, 29, 12)

        @task
        def weekday(day: date) -> int:
            return day.weekday()

        @workflow
        def main() -> int:
            return weekday(moment())
        """,
    ),
    Wrong(
        "the workflow gives a `str` where it declares an `int`",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return shout("a")  # wrong
        """,
    ),
    Wrong(
        "a field of a dataclass literal has the wrong type",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> Row:
            return Row(price=shout("a"), tags=[])  # wrong
        """,
    ),
    Wrong(
        "`Any` → `int`, and it is a `str`",
        False,
        "",
        "TaskTypeError",
        """
        @workflow
        def main() -> int:
            return inc(anything("1"))
        """,
    ),
]

PROMISES = [
    Wrong(
        "`if` of a promise",
        False,
        "PromiseError",
        "",
        """
        @workflow
        def main() -> int:
            return inc(1) if is_even(2) else inc(2)
        """,
    ),
    Wrong(
        "a promise in an f-string",
        False,
        "PromiseError",
        "",
        """
        @workflow
        def main() -> str:
            return shout(f"{inc(1)} pages")
        """,
    ),
    Wrong(
        "the text of a promise, made by `str()`",
        False,
        "ArgumentValueError",
        "",
        """
        @workflow
        def main() -> str:
            return shout(str(inc(1)))
        """,
    ),
    Wrong(
        "arithmetic with a promise",
        False,
        "PromiseError",
        "",
        """
        @workflow
        def main() -> int:
            return inc(1) + 1
        """,
    ),
    Wrong(
        "`for` over a promise of a list",
        False,
        "PromiseError",
        "",
        """
        @workflow
        def main() -> list[int]:
            return [inc(one) for one in numbers(3)]
        """,
    ),
    Wrong(
        "`and` between conditions",
        False,
        "PromiseError",
        "",
        """
        @workflow
        def main(x: int) -> int:
            chosen: int = conditional("size").if_(x > 1 and x < 9).then(inc(x)).else_().then(x)
            return chosen

        inputs = {"x": 1}
        """,
    ),
    Wrong(
        "three names for a tuple of two",
        True,
        "ValueError",
        "",
        """
        @workflow
        def main() -> int:
            a, b, c = halves(4)  # wrong
            return inc(a)
        """,
    ),
    Wrong(
        "a field that the dataclass does not have",
        True,
        "PromiseAttributeError",
        "",
        """
        @workflow
        def main() -> float:
            return half(row(1).cost)  # wrong
        """,
    ),
    Wrong(
        "a key that the `TypedDict` does not have",
        True,
        "PromiseError",
        "",
        """
        @workflow
        def main() -> str:
            return shout(movie("M")["name"])  # wrong
        """,
    ),
    Wrong(
        "a promise of another workflow",
        False,
        "LeakedPromise",
        "",
        """
        kept: list[int] = []

        @workflow
        def other() -> int:
            kept.append(inc(1))
            return kept[0]

        other.compile()

        @workflow
        def main() -> int:
            return inc(kept[0])
        """,
    ),
]

TASKS = [
    Wrong(
        "a task gives another type than it declares",
        True,
        "",
        "TaskTypeError",
        """
        @task
        def count(text: str) -> int:
            return text  # wrong

        @workflow
        def main() -> int:
            return count("a")
        """,
    ),
    Wrong(
        "a task forgets to return",
        True,
        "",
        "TaskTypeError",
        """
        @task
        def sign(x: int) -> int:  # wrong
            if x > 0:
                return 1

        @workflow
        def main() -> int:
            return sign(-1)
        """,
    ),
    Wrong(
        "one item of what a task read is no `int`",
        False,
        "",
        "TaskTypeError",
        """
        import json

        @task
        def read() -> list[int]:
            found: list[int] = json.loads('[1, 2, "3"]')
            return found

        @workflow
        def main() -> int:
            return total(read())
        """,
    ),
    Wrong(
        "JSON with a `NaN` where an `int` is declared",
        False,
        "",
        "TaskTypeError",
        """
        import json

        @task
        def read() -> dict[str, int]:
            found: dict[str, int] = json.loads('{"a": NaN}')
            return found

        @workflow
        def main() -> dict[str, int]:
            return read()
        """,
    ),
    Wrong(
        "a default has the wrong type",
        True,
        "ArgumentValueError",
        "",
        """
        @task
        def later(x: int = "1") -> int:  # wrong
            return x

        @workflow
        def main() -> int:
            return later()
        """,
    ),
    Wrong(
        "a strict task has no annotations",
        True,
        "DecorationError",
        "",
        """
        @task(strict=True)
        def later(x):  # wrong
            return x

        @workflow
        def main() -> Any:
            return later(1)
        """,
    ),
    Wrong(
        "a strict task takes a class that has no wire form",
        False,
        "DecorationError",
        "",
        """
        class Model:
            pass

        @task(strict=True)
        def fit(model: Model) -> int:
            return 1

        @workflow
        def main() -> int:
            return fit(Model())
        """,
    ),
    Wrong(
        "a task takes `*args`",
        False,
        "DecorationError",
        "",
        """
        @task
        def largest(*xs: int) -> int:
            return max(xs)

        @workflow
        def main() -> int:
            return largest(1, 2)
        """,
    ),
    Wrong(
        "an option that `@task` does not have",
        True,
        "TypeError",
        "",
        """
        task(retry=3)  # wrong

        @workflow
        def main() -> int:
            return inc(1)
        """,
    ),
    Wrong(
        "a time-out that is `nan`",
        False,
        "DecorationError",
        "",
        """
        @task(timeout=float("nan"))
        def load() -> int:
            return 1

        @workflow
        def main() -> int:
            return load()
        """,
    ),
    Wrong(
        "a task calls a workflow",
        False,
        "",
        "NestedCallError",
        """
        @workflow
        def inner() -> int:
            return inc(1)

        @task
        def outer() -> int:
            return inner()

        @workflow
        def main() -> int:
            return outer()
        """,
    ),
    Wrong(
        "a task sends the run to a node that is not there",
        False,
        "UnknownTarget",
        "",
        """
        @task
        def choose(ctx: Context) -> int:
            ctx.next_task("nowhere", goto=True)
            return 1

        @workflow
        def main() -> int:
            return choose()
        """,
    ),
    Wrong(
        "the same, by a name that the task computes",
        False,
        "",
        "SignalRefused",
        """
        @task
        def choose(ctx: Context, name: str) -> int:
            ctx.next_task(name + "where", goto=True)
            return 1

        @workflow
        def main() -> int:
            return choose("no")
        """,
    ),
    Wrong(
        "a loop without an end",
        False,
        "",
        "IterationLimitExceeded",
        """
        @task(max_iterations=5)
        def again() -> int:
            raise Loop()

        @workflow
        def main() -> int:
            return again()
        """,
    ),
]

PLANS = [
    Wrong(
        "a workflow calls itself",
        False,
        "StaticRecursion",
        "",
        """
        @workflow
        def main(x: int) -> int:
            return main(inc(x))

        inputs = {"x": 1}
        """,
    ),
    Wrong(
        "two calls wait for each other",
        False,
        "OrderCycle",
        "",
        """
        @workflow
        def main() -> None:
            a, b = log("a"), log("b")
            a >> b
            b >> a
        """,
    ),
    Wrong(
        "the arms of a choice give different types",
        False,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main(x: int) -> int:
            chosen: int = conditional("size").if_(x > 1).then(inc(x)).else_().then(shout("a"))
            return chosen

        inputs = {"x": 1}
        """,
    ),
    Wrong(
        "a choice without `.else_()` is taken as an `int`",
        False,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main(x: int) -> int:
            return inc(conditional("size").if_(x > 1).then(inc(x)))

        inputs = {"x": 1}
        """,
    ),
    Wrong(
        "the fallback of a failure has another type",
        False,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            safe: Any = promise(inc(1)).on_error("none")
            return safe  # type: ignore[no-any-return]
        """,
    ),
]

MAPS = [
    Wrong(
        "a map over an `int`",
        False,
        "MapError",
        "",
        """
        @workflow
        def main() -> list[int]:
            return inc.map(inc(1))
        """,
    ),
    Wrong(
        "a map of a task of `int` over texts",
        False,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main(texts: list[str]) -> list[int]:
            return inc.map(texts)

        inputs = {"texts": ["a"]}
        """,
    ),
    Wrong(
        "lists of different lengths, as the program has them",
        False,
        "MapError",
        "",
        """
        @workflow
        def main() -> list[int]:
            return add.map([1, 2], [1, 2, 3])
        """,
    ),
    Wrong(
        "lists of different lengths, as tasks give them",
        False,
        "",
        "UnequalLengths",
        """
        @workflow
        def main() -> list[int]:
            return add.map(numbers(2), numbers(3))
        """,
    ),
    Wrong(
        "items that may have failed are taken as `int`",
        True,
        "EdgeTypeError",
        "",
        """
        @workflow
        def main() -> int:
            return total(map_task(inc, min_success_ratio=0.5)(numbers(3)))  # wrong
        """,
    ),
    Wrong(
        "a function that is no task",
        False,
        "MapError",
        "",
        """
        def double(x: int) -> int:
            return 2 * x

        @workflow
        def main() -> list[int]:
            return map_task(double)([1, 2])
        """,
    ),
]

DYNAMICS = [
    Wrong(
        "a dynamic gives a call of another type",
        True,
        "",
        "EdgeTypeError",
        """
        @dynamic
        def main(n: int) -> int:
            return shout("a")  # wrong

        inputs = {"n": 1}
        """,
    ),
    Wrong(
        "a dynamic gives a value of another type",
        False,
        "",
        "TaskTypeError",
        """
        @dynamic
        def main(n: Any) -> int:
            found: int = n
            return found

        inputs = {"n": "1"}
        """,
    ),
    Wrong(
        "a dynamic calls itself with the inputs that it has",
        False,
        "",
        "NoProgress",
        """
        @dynamic
        def main(n: int) -> int:
            return main(n)

        inputs = {"n": 1}
        """,
    ),
    Wrong(
        "a dynamic calls itself without an end",
        False,
        "",
        "DepthExceeded",
        """
        @dynamic(max_depth=5)
        def main(n: int) -> int:
            return main(n + 1)

        inputs = {"n": 1}
        """,
    ),
    Wrong(
        "a call is awaited without `value(…)`",
        True,
        "",
        "PromiseError",
        """
        @dynamic
        async def main(n: int) -> int:
            found: int = await inc(n)  # wrong
            return found

        inputs = {"n": 1}
        """,
    ),
]

LIBRARIES = [
    Wrong(
        "an array of `float32` where `float64` is declared",
        True,
        "EdgeTypeError",
        "",
        """
        import numpy as np
        from numpy.typing import NDArray

        @task
        def single(n: int) -> NDArray[np.float32]:
            return np.zeros(n, np.float32)

        @task
        def largest(xs: NDArray[np.float64]) -> float:
            return float(xs.max())

        @workflow
        def main() -> float:
            return largest(single(3))  # wrong
        """,
    ),
    Wrong(
        "an array of two columns where three are declared",
        False,
        "EdgeTypeError",
        "",
        """
        from typing import Annotated

        import numpy as np
        from numpy.typing import NDArray

        @task
        def flat(n: int) -> Annotated[NDArray[np.float64], Shape("N", 2)]:
            return np.zeros((n, 2))

        @task
        def largest(xs: Annotated[NDArray[np.float64], Shape("N", 3)]) -> float:
            return float(xs.max())

        @workflow
        def main() -> float:
            return largest(flat(3))
        """,
    ),
    Wrong(
        "an array has another shape than its task declares",
        False,
        "",
        "TaskTypeError",
        """
        from typing import Annotated

        import numpy as np
        from numpy.typing import NDArray

        @task
        def cloud(n: int) -> Annotated[NDArray[np.float64], Shape("N", 3)]:
            return np.zeros((3, n))

        @workflow
        def main() -> Any:
            return anything(cloud(2))
        """,
    ),
    Wrong(
        "an array of whole numbers where `float64` is declared",
        True,
        "",
        "TaskTypeError",
        """
        import numpy as np
        from numpy.typing import NDArray

        @task
        def counts(n: int) -> NDArray[np.float64]:
            return np.arange(n, dtype=np.int64)  # wrong

        @workflow
        def main() -> Any:
            return anything(counts(2))
        """,
    ),
    Wrong(
        "a file of one format where another is declared",
        True,
        "EdgeTypeError",
        "",
        """
        from typing import Literal

        @task
        def write() -> File[Literal["json"]]:
            return File(b"[]", name="rows.json")

        @task
        def count(table: File[Literal["csv"]]) -> int:
            return table.size

        @workflow
        def main() -> int:
            return count(write())  # wrong
        """,
    ),
    Wrong(
        "a file has another format than its task declares",
        False,
        "",
        "TaskTypeError",
        """
        from typing import Literal

        @task
        def write() -> File[Literal["csv"]]:
            return File(b"[]", name="rows.json")

        @workflow
        def main() -> Any:
            return anything(write())
        """,
    ),
    Wrong(
        "a model of pydantic whose constraint a task violates",
        False,
        "",
        "ValidationError",
        """
        from pydantic import BaseModel, Field

        class Order(BaseModel):
            amount: float = Field(gt=0)

        @task
        def order() -> Order:
            return Order(amount=-1)

        @workflow
        def main() -> Order:
            return order()
        """,
    ),
    Wrong(
        "a model made of promises whose constraint a value violates",
        False,
        "",
        "TaskTypeError",
        """
        from pydantic import BaseModel, Field

        class Order(BaseModel):
            amount: float = Field(gt=0)

        @task
        def checked(order: Order) -> Order:
            return order

        @workflow
        def main() -> Order:
            return checked(Order(amount=half(-1)))
        """,
    ),
    Wrong(
        "a field of a model has the wrong type",
        True,
        "ValidationError",
        "",
        """
        from pydantic import BaseModel

        class Order(BaseModel):
            customer: str

        @task
        def checked(order: Order) -> Order:
            return order

        @workflow
        def main() -> Order:
            return checked(Order(customer=3))  # wrong
        """,
    ),
    Wrong(
        "a promise of another type in a field of a model",
        True,
        "EdgeTypeError",
        "",
        """
        from pydantic import BaseModel

        class Order(BaseModel):
            customer: str

        @task
        def checked(order: Order) -> Order:
            return order

        @workflow
        def main() -> Order:
            return checked(Order(customer=inc(3)))  # wrong
        """,
    ),
]

INPUTS = [
    Wrong(
        "an input of the run has the wrong type",
        False,
        "",
        "InputError",
        """
        @workflow
        def main(x: int) -> int:
            return inc(x)

        inputs = {"x": "1"}
        """,
    ),
    Wrong(
        "an input of the run is missing",
        False,
        "",
        "InputError",
        """
        @workflow
        def main(x: int) -> int:
            return inc(x)
        """,
    ),
    Wrong(
        "an input that the workflow does not have",
        False,
        "",
        "InputError",
        """
        @workflow
        def main() -> int:
            return inc(1)

        inputs = {"y": 1}
        """,
    ),
]

NOTHING = [
    Wrong(
        "two arguments of one type are exchanged",
        False,
        "",
        "",
        """
        @task
        def ratio(part: float, whole: float) -> float:
            return part / whole

        @workflow
        def main() -> float:
            return ratio(100, 50)
        """,
    ),
    Wrong(
        "`nan` where a `float` is wanted",
        False,
        "",
        "",
        """
        @workflow
        def main() -> float:
            return half(float("nan"))
        """,
    ),
    Wrong(
        "a model is given a value that its constraint forbids, after it was made",
        False,
        "",
        "",
        """
        from pydantic import BaseModel, Field

        class Order(BaseModel):
            amount: float = Field(gt=0)

        @task
        def order() -> Order:
            made = Order(amount=1)
            made.amount = -1
            return made

        @workflow
        def main() -> Order:
            return order()
        """,
    ),
    Wrong(
        "two arrays of one declared type that do not go together",
        False,
        "",
        "",
        """
        from typing import Annotated

        import numpy as np
        from numpy.typing import NDArray

        Column = Annotated[NDArray[np.float64], Shape("N")]

        @task
        def column(n: int) -> Column:
            return np.zeros(n)

        @task
        def longer(a: Column, b: Column) -> int:
            return max(a.size, b.size)

        @workflow
        def main() -> int:
            return longer(column(2), column(3))
        """,
    ),
]

SECTIONS = {
    "Calls": CALLS,
    "Edges": EDGES,
    "Promises": PROMISES,
    "Tasks": TASKS,
    "Plans": PLANS,
    "Maps": MAPS,
    "Dynamics": DYNAMICS,
    "Arrays, files, models": LIBRARIES,
    "Inputs of a run": INPUTS,
    "What no layer finds": NOTHING,
}
PROGRAMS = [one._replace(section=section) for section, programs in SECTIONS.items() for one in programs]
