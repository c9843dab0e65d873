"""Policies: the settings by which a callable says how it is to be run.

They are declared here, and the executor acts on them.

====================== ======== ===================================================================================
field                  default  meaning
====================== ======== ===================================================================================
max_depth              None     nesting of this dynamic within itself before it fails as `DepthExceeded` (rule D3)
allow_repeat           False    may call itself with equal inputs on its own chain (polling; rule D10)
timeout                None     seconds that one attempt of the body may take (rule R2)
pool                   None     name of a pool: a run limits how many calls of a pool run at one time
resources              None     the resources that a call needs while it runs
retries                0        attempts after one that failed (rule R1)
retry_delay            (0.0,)   seconds before each of them; the last one counts for all that follow
backoff                1.0      the factor from each delay to the next
jitter                 0.0      part of a delay by which it is changed, up or down, so that many don't come back at once
retry_on               None     names of exception classes that are worth another attempt; None for `Exception`
cache                  False    a result is taken from an equal call of any run in the store (rule R3)
cache_version          "1"      changes when the results change; "code" for a digest of the code itself
cache_ignore           ()       inputs that make no difference
cache_serialize        False    of equal calls at one time, one runs and the others wait for it
commit                 "group"  "each" holds successors back until the result is stored for good
max_iterations         None     runs of a body that loops before it fails as `IterationLimitExceeded` (rule S3)
keep_children          False    processes that the body leaves outlive the run (rule X10)
cycle                  None     of a cycle: the number of its first round, the one that no round goes beyond (or None),
                                the step between numbers, how many rounds may be unfinished, and its points in words,
                                "" if they are these numbers (rules C1, C2)
====================== ======== ===================================================================================

Only values that differ from the default are written into a plan, so a field added later changes no existing bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final, Literal, TypedDict

from promissory.typesys.names import qualified_name

_UNITS: Final = {
    "": 1,
    "B": 1,
    "K": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "T": 1000**4,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}
_AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?")


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources that a task needs while it runs. A run starts no more tasks at one time than its resources allow.

    Args:
        cpu: processors.
        memory: bytes, as a number or as text with a unit (`"2GiB"`, `"500MB"`).
        gpu: graphics processors.

    Raises:
        ValueError: a negative or unreadable amount.

    >>> Resources(memory="2GiB").memory
    2147483648
    """

    cpu: float = 1
    memory: int | str = 0
    gpu: int = 0

    def __post_init__(self) -> None:
        if not _is_amount(self.cpu) or self.cpu <= 0:
            raise ValueError(f"cpu is a number above 0, not {self.cpu!r}")
        if self.gpu.__class__ is not int or self.gpu < 0:
            raise ValueError(f"gpu is a whole number of at least 0, not {self.gpu!r}")
        object.__setattr__(self, "memory", memory_bytes(self.memory))

    @property
    def bytes(self) -> int:
        """The memory in bytes."""
        assert isinstance(self.memory, int)
        return self.memory


def memory_bytes(amount: int | str) -> int:
    """Read an amount of memory, in bytes.

    >>> memory_bytes("1.5 GB"), memory_bytes("64Mi"), memory_bytes(100)
    (1500000000, 67108864, 100)
    """
    if isinstance(amount, str):
        match = _AMOUNT.fullmatch(amount.strip())
        if match is None:
            raise ValueError(
                f"{amount!r} is no amount of memory: a number of bytes, or one with a unit, like '2GiB' or '500MB'"
            )
        whole = float(match[1]) * _UNITS[match[2] or ""]
        if whole >= 1 << 62:
            raise ValueError(f"{amount[:40]!r} is more memory than any machine has")
        return int(whole)
    if amount.__class__ is not int or amount < 0:
        raise ValueError(f"memory is a number of bytes of at least 0, or text like '2GiB', not {amount!r}")
    return amount


def _is_amount(value: Any) -> bool:
    if value.__class__ is int:
        return bool(-_LARGEST < value < _LARGEST)
    return value.__class__ is float and math.isfinite(value)


_LARGEST: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of one callable. See the table at the top of the file."""

    max_depth: int | None = None
    allow_repeat: bool = False
    timeout: float | None = None
    pool: str | None = None
    resources: Resources | None = None
    retries: int = 0
    retry_delay: tuple[float, ...] = (0.0,)
    backoff: float = 1.0
    jitter: float = 0.0
    retry_on: tuple[str, ...] | None = None
    cache: bool = False
    cache_version: str = "1"
    cache_ignore: tuple[str, ...] = ()
    cache_serialize: bool = False
    commit: Literal["group", "each"] = "group"
    max_iterations: int | None = None
    keep_children: bool = False
    cycle: tuple[int, int | None, int, int, str] | None = None

    def __setstate__(self, state: Any) -> None:
        # A pickle of a version with fewer settings has their values alone, in this order.
        settings = fields(self)
        for setting, value in zip(settings, [*state, *(one.default for one in settings[len(state) :])], strict=True):
            object.__setattr__(self, setting.name, value)

    def to_map(self) -> dict[str, Any]:
        """Give the fields that differ from the defaults."""
        return self.entries(f.name for f in fields(self) if getattr(self, f.name) != f.default)

    def entries(self, names: Iterable[str]) -> dict[str, Any]:
        """Give some fields as they stand in a plan."""
        found = {name: getattr(self, name) for name in names}
        for name, value in found.items():
            if isinstance(value, Resources):
                found[name] = [float(value.cpu), value.bytes, value.gpu]
            elif isinstance(value, tuple):
                found[name] = list(value)
        return found

    @classmethod
    def from_map(cls, entries: dict[str, Any], redundant: bool = False) -> Policy:
        """Read a policy from its map.

        Raises `ValueError` for an unknown field, and, unless `redundant`, for a default.
        """
        known = {name: value for name, value in entries.items() if name in cls.__slots__}
        if known.get("resources") is not None:
            known["resources"] = Resources(*known["resources"])
        for name in _TUPLES & known.keys():
            known[name] = tuple(known[name]) if isinstance(known[name], list) else known[name]
        policy = cls(**known)
        if (policy.entries(known) if redundant else policy.to_map()) != entries:
            raise ValueError(f"unknown or redundant policy in {sorted(entries)}")
        policy.check()
        return policy

    def check(self) -> None:
        """Raise `ValueError` for a value out of range."""
        if self.max_depth is not None and (self.max_depth.__class__ is not int or self.max_depth < 1):
            raise ValueError(f"max_depth must be a whole number of at least 1, not {self.max_depth!r}")
        if self.allow_repeat.__class__ is not bool:
            raise ValueError(f"allow_repeat must be True or False, not {self.allow_repeat!r}")
        if self.timeout is not None and (self.timeout.__class__ is not float or not (0 < self.timeout < math.inf)):
            raise ValueError(f"timeout must be a number of seconds above 0, not {self.timeout!r}")
        if self.pool is not None and (not isinstance(self.pool, str) or not self.pool):
            raise ValueError(f"pool must be the name of a pool, not {self.pool!r}")
        if self.resources is not None and not isinstance(self.resources, Resources):
            raise ValueError(f"resources must be Resources(…), not {self.resources!r}")
        if self.max_iterations is not None and (self.max_iterations.__class__ is not int or self.max_iterations < 1):
            raise ValueError(f"max_iterations must be a whole number of at least 1, not {self.max_iterations!r}")
        if self.keep_children.__class__ is not bool:
            raise ValueError(f"keep_children must be True or False, not {self.keep_children!r}")
        if self.cycle is not None:
            self._check_cycle(self.cycle)
        self._check_retries()
        self._check_cache()
        if self.commit not in ("group", "each"):
            raise ValueError(f'commit must be "group" or "each", not {self.commit!r}')

    def _check_cycle(self, cycle: Any) -> None:
        if not isinstance(cycle, tuple) or len(cycle) != 5 or not isinstance(cycle[4], str):
            raise ValueError(f"a cycle has a start, a stop, a step, max_active and points, not {cycle!r}")
        start, stop, step, active, _ = cycle
        if active.__class__ is not int or not 1 <= active <= _MOST_ACTIVE:
            raise ValueError(f"max_active must be a whole number from 1 to {_MOST_ACTIVE:,}, not {active!r}")
        numbers = (start, step) if stop is None else (start, stop, step)
        if any(one.__class__ is not int or abs(one) >= _LARGEST for one in numbers) or step < 1:
            raise ValueError(
                "start, stop and step are whole numbers below 2**62, and step is at least 1, not "
                f"{start!r}, {stop!r} and {step!r}"
            )

    def _check_retries(self) -> None:
        if self.retries.__class__ is not int or not 0 <= self.retries <= _MOST_RETRIES:
            raise ValueError(f"retries must be a whole number from 0 to {_MOST_RETRIES:,}, not {self.retries!r}")
        delays = self.retry_delay
        if not isinstance(delays, tuple) or not delays or not all(_is_amount(one) and one >= 0 for one in delays):
            raise ValueError(
                "retry_delay must be a number of seconds of at least 0, a timedelta, or a list of those, not "
                f"{delays!r}"
            )
        if not _is_amount(self.backoff) or self.backoff < 1:
            raise ValueError(f"backoff must be a number of at least 1, not {self.backoff!r}")
        if not _is_amount(self.jitter) or not 0 <= self.jitter <= 1:
            raise ValueError(
                f"jitter must be a number from 0 to 1, the part of the delay that may change, not {self.jitter!r}"
            )
        if self.retry_on is not None and not (
            isinstance(self.retry_on, tuple) and all(isinstance(one, str) for one in self.retry_on)
        ):
            raise ValueError(f"retry_on must be an exception class, or several, not {self.retry_on!r}")

    def _check_cache(self) -> None:
        if self.cache.__class__ is not bool or self.cache_serialize.__class__ is not bool:
            raise ValueError(
                f"cache and cache_serialize must be True or False, not {self.cache!r} and {self.cache_serialize!r}"
            )
        if not isinstance(self.cache_version, str) or not self.cache_version:
            raise ValueError(f"cache_version must be a text, not {self.cache_version!r}")
        if not isinstance(self.cache_ignore, tuple) or not all(isinstance(one, str) for one in self.cache_ignore):
            raise ValueError(f"cache_ignore must be names of inputs, not {self.cache_ignore!r}")


def seconds(duration: float | timedelta | None) -> float | None:
    """Give a duration that an author wrote in seconds. A value that is no duration stays, for `Policy.check` to refuse.

    >>> seconds(timedelta(minutes=1)), seconds(2)
    (60.0, 2.0)
    """
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    return float(duration) if _is_amount(duration) and duration is not None else duration


class TaskPolicy(TypedDict, total=False):
    """The arguments of `@task` beside the function; see the table at the top of the file."""

    timeout: float | timedelta | None
    pool: str | None
    resources: Resources | None
    retries: int
    retry_delay: float | timedelta | Sequence[float | timedelta]
    backoff: float
    jitter: float
    retry_on: type[BaseException] | Sequence[type[BaseException]] | None
    cache: bool
    cache_version: str
    cache_ignore: Sequence[str]
    cache_serialize: bool
    commit: Literal["group", "each"]
    max_iterations: int | None
    keep_children: bool


class DynamicPolicy(TaskPolicy, total=False):
    """The arguments of `@dynamic`: all of `@task`'s, which are about the body, and those for the nesting of the
    dynamic."""

    max_depth: int | None
    allow_repeat: bool


OVERRIDABLE: Final = frozenset(TaskPolicy.__annotations__) - {"keep_children"}
"""The settings that `.with_overrides(…)` can change for one node: not what the body's own code relies on."""

_TUPLES: Final = frozenset(("retry_delay", "retry_on", "cache_ignore", "cycle"))
_MOST_ACTIVE: Final = 100_000
_MOST_RETRIES: Final = 1_000_000


def policy_of(given: dict[str, Any]) -> Policy:
    """Make a policy of an author's keyword arguments. Raises `ValueError` for a value out of range."""
    taken = dict(given)
    if "timeout" in given:
        taken["timeout"] = seconds(given["timeout"])
    if "retry_delay" in given:
        delay = given["retry_delay"]
        taken["retry_delay"] = tuple(
            seconds(one)
            for one in (delay if isinstance(delay, Sequence) and not isinstance(delay, str | bytes) else (delay,))
        )
    for name in ("backoff", "jitter"):
        if _is_amount(given.get(name)):
            taken[name] = float(given[name])
    if given.get("retry_on") is not None:
        taken["retry_on"] = _class_names(given["retry_on"])
    if "cache_ignore" in given:
        names = [given["cache_ignore"]] if isinstance(given["cache_ignore"], str) else given["cache_ignore"]
        if not isinstance(names, list | tuple | set | frozenset) or not all(isinstance(one, str) for one in names):
            raise ValueError(f"cache_ignore must be names of inputs, not {names!r}")
        taken["cache_ignore"] = tuple(sorted(set(names)))
    policy = Policy(**taken)
    policy.check()
    return policy


def _class_names(given: Any) -> tuple[str, ...]:
    classes = (given,) if isinstance(given, type) else given
    if not isinstance(classes, list | tuple) or not all(
        isinstance(one, type) and issubclass(one, BaseException) for one in classes
    ):
        raise ValueError(f"retry_on must be an exception class, or several, not {given!r}")
    return tuple(sorted({qualified_name(one) for one in classes}))


def overridden(policy: Policy, entries: dict[str, Any]) -> Policy:
    """Apply a node's overrides to a policy. Raises `ValueError`."""
    changed = {**policy.to_map(), **{name: value for name, value in entries.items() if name in OVERRIDABLE}}
    return Policy.from_map(changed, redundant=True)
