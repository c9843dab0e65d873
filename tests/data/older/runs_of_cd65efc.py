"""The runs of an old store: how each was made, and how it goes on. Data only, so that tests can read it too; `expected.json` says what came of it."""

from typing import Any, NamedTuple


class Spec(NamedTuple):
    """A run of the store.

    Attributes:
        id: its name.
        target: the workflow in the flows module; for others see `how`.
        inputs: of the run.
        engine: on which it was made.
        how: "run", or what else was done with it (functions of make.py).
        broken: whether it was made with OLD_STORE_BROKEN set.
        options: of `run` when it was made.
        resume_options: which a resume or rerun needs.
        answers: to gates, before it is resumed.
        rerun: the node to begin again at; by default the one that failed, else the last one of the root; empty for none.
        dies: whether the making process was killed.
    """

    id: str
    target: str
    inputs: dict[str, Any]
    engine: str = "inline"
    how: str = "run"
    broken: bool = True
    options: dict[str, Any] = {}
    resume_options: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    rerun: str | None = None
    dies: bool = False


GATES = {"copies": 3, "ship": True}
SOFT = {"soft_timeouts": True}

RUNS = (
    # what travels by value
    Spec("closure", "closure", {"n": 1}, "processes"),
    Spec("closure-inline", "closure", {"n": 1}),
    Spec("closures", "closures", {"n": 3}, "processes"),
    Spec("notebook", "around", {"x": 1}, "processes", "notebook"),
    Spec("retry-on-by-value", "tries_by_value", {"n": 1}, "processes"),
    # what failed and was handled
    Spec("rescued", "rescued", {"n": 3}),
    Spec("rescued-waiting", "rescued_waiting", {"n": 3}),
    Spec("rescued-within", "rescued_within", {"n": 3}),
    Spec("rescued-killed", "rescued_killed", {"n": 3}, dies=True, rerun="main/halve"),
    Spec("rescued-record", "rescued_record", {"n": 3}),
    Spec("rescued-record-waiting", "rescued_record_waiting", {"n": 3}),
    Spec("snapshotted", "rescued_levels", {"n": 6}, how="snapshots"),
    Spec("snapshotted-map", "mapped_failed", {"words": ["fee", "", "lo", "fum", "mi", "so"]}, how="snapshots"),
    Spec("snapshotted-signals", "signals", {"amount": 5}, how="snapshots"),
    Spec("snapshotted-loop", "collecting", {"count": 4}, how="snapshots"),
    # errors
    Spec("failed", "failed", {"n": 1, "kind": "cause"}),
    Spec("failed-own", "failed", {"n": 1, "kind": "own"}),
    Spec("failed-lost", "failed", {"n": 1, "kind": "lost"}),
    Spec("failed-subclass", "failed", {"n": 1, "kind": "subclass"}),
    Spec("failed-reduced", "failed", {"n": 1, "kind": "reduced"}),
    Spec("failed-holding", "failed", {"n": 1, "kind": "holding"}),
    Spec("nested", "nested", {"n": 1}, "threads"),
    Spec("alarmed", "alarmed", {"n": 1}),
    # gates
    Spec("gate", "gate", {"title": "plans"}, how="stopped", answers=GATES, rerun=""),
    Spec("gate-answered", "gate", {"title": "plans"}, how="answered", rerun=""),
    Spec("gate-killed", "gate", {"title": "plans"}, how="answered_killed", answers={"ship": True}, dies=True, rerun=""),
    Spec("gated", "gate", {"title": "plans"}, how="gated", rerun="main/printed"),
    Spec("paused", "gate", {"title": "plans"}, how="paused_killed", answers=GATES, dies=True, rerun=""),
    # the cache
    Spec("cached", "cached", {"region": "no", "verbose": False}),
    Spec("cached-again", "cached", {"region": "no", "verbose": True}),
    Spec("cached-later", "cached_later", {"region": "no"}),
    Spec("leased", "leased", {"n": 1}, dies=True, rerun="main/add"),
    # what an attempt leaves, and what ends in the middle
    Spec("checkpointed", "checkpointed", {"names": ["a", "b", "c", "d"]}),
    Spec("killed", "killed", {"n": 1}, dies=True, rerun="main/add"),
    Spec("whole", "killed", {"n": 1}, broken=False, rerun="main/survives"),
    Spec("reran", "killed", {"n": 1}, how="rerun_killed", dies=True, rerun="main/add"),
    # sources in the store
    Spec("bundled", "bundled_of_cd65efc.flow:main", {"count": 2}, "processes", "package"),
    Spec("bundled-both", "bundled_both_of_cd65efc.flow:main", {"count": 2}, "processes", "package"),
    Spec("scripted", "script_of_cd65efc:main", {"x": 3}, "processes", "script"),
    # limits, and what else the executor itself finds
    Spec("depth", "deep", {"n": 6}, options={"max_depth": 3}, resume_options={"max_depth": 50}),
    Spec("nodes", "deep", {"n": 3}, options={"max_nodes": 4}, resume_options={"max_nodes": 100}),
    Spec("futures", "deep", {"n": 3}, options={"max_futures_bytes": 100}, resume_options={"max_futures_bytes": 100_000}),
    Spec("no-progress", "turning", {"n": 2}, rerun="main/wheel"),
    Spec("type-error", "mistyped", {"x": 5}),
    Spec("lost", "lost", {"x": 5}, "processes"),
    Spec("late", "late", {"x": 5}, "processes", resume_options=SOFT),
    Spec("limits-handled", "limits_handled", {"n": 6, "more": ["one"]}, "processes", options={"max_depth": 3}, resume_options=SOFT),
    Spec("limits-waiting", "limits_handled", {"n": 6, "more": ["wait"]}, "processes", options={"max_depth": 3}, resume_options=SOFT),
    # loops and maps
    Spec("looped", "looped", {"count": 4}),
    Spec("shrinking", "shrinking", {"n": 100}),
    Spec("collecting", "collecting", {"count": 4}),
    Spec("mapped", "mapped", {"words": ["lo", "", "mi"]}),
    Spec("mapped-failed", "mapped_failed", {"words": ["fee", "", "lo", "fum", "mi", "so"]}),
    Spec("mapped-workflow", "mapped_workflow", {"words": ["lo", "fee", "mi"]}),
    # attempts
    Spec("retry-on", "retry_on", {"n": 1}),
    Spec("retrying", "retrying", {"n": 1}, how="retrying_killed", dies=True, rerun="main/tries_later"),
    # choices and signals
    Spec("branch", "branch", {"n": 20}),
    Spec("signals", "signals", {"amount": 5}),
    Spec("jumped", "payments", {"amount": 5000}),
    Spec("skipping", "skipping", {"word": "fum"}),
    Spec("terminated", "ending", {"how": "terminate"}, rerun="main/ends"),
    Spec("cancelled", "ending", {"how": "cancel"}, rerun="main/ends"),
    Spec("triggered", "triggered", {"n": 3}),
    # values of many kinds
    Spec("values", "values", {"n": 7}),
    Spec("any-value", "any_value", {"n": 7}),
)

PLANS = {
    "call": "one_call",
    "dynamic": "one_dynamic",
    "map": "maps",
    "nested": "nested",
    "branch": "branch",
    "gate": "gates",
    "rescue": "rescued_record_waiting",
    "rescue-workflow": "rescued_within",
    "merge": "skipping",
    "policies": "policies",
    "triggers": "triggers",
    "on-failure": "alarmed",
    "by-hand": "payments",
    "literals": "literals",
    "values": "values",
    "limits": "limits_handled",
}
"""The workflow of each saved plan."""
