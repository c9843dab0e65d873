"""Names that people know from other systems, and the way the same is written here. Errors about an unknown name tell
it, and the page `docs/explanation/coming-from.md` shows the same table."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final, NamedTuple


class Foreign(NamedTuple):
    """A name of another system.

    Attributes:
        place: where it is written: `import`, `@task` (and the other decorators), `ctx`, or `call` (an attribute of a
            task or workflow).
        name: the name there.
        systems: where it comes from.
        ours: the way it is written here.
    """

    place: str
    name: str
    systems: str
    ours: str


_RESOURCES: Final = "resources=Resources(cpu=…, memory='2GiB', gpu=…)"
_CODE: Final = "nothing: the code travels with the run; what is installed is the workers' own business"

TABLE: Final[tuple[Foreign, ...]] = (
    # What is imported.
    Foreign("import", "LOOP", "Prefect 1", "raise Loop(result)"),
    Foreign("import", "SKIP", "Prefect 1", "raise Skip(reason)"),
    Foreign("import", "RETRY", "Prefect 1", "raise Retry(after=…)"),
    Foreign("import", "FAIL", "Prefect 1", "raise any exception"),
    Foreign("import", "SUCCESS", "Prefect 1", "return; ctx.terminate(…) ends the whole run"),
    Foreign("import", "flow", "Prefect", "workflow"),
    Foreign("import", "Flow", "Prefect 1", "with Workflow(name) as wf:"),
    Foreign("import", "Parameter", "Prefect 1", "a parameter of the @workflow's function"),
    Foreign("import", "case", "Prefect 1", "conditional(name).if_(…).then(…)"),
    Foreign("import", "context", "Prefect 1", "current_context()"),
    Foreign("import", "dag", "Airflow", "workflow"),
    Foreign("import", "DAG", "Airflow", "with Workflow(name) as wf:"),
    Foreign("import", "op", "Dagster", "task"),
    Foreign("import", "job", "Dagster", "workflow"),
    Foreign("import", "asset", "Dagster", "task"),
    Foreign("import", "activity", "Temporal", "task"),
    Foreign("import", "delayed", "Dask", "task"),
    Foreign("import", "remote", "Ray", "task"),
    Foreign("import", "get_run_logger", "Prefect", "current_context().logger"),
    Foreign("import", "get_run_context", "Prefect", "current_context()"),
    Foreign("import", "chain", "Graflow", "a >> b"),
    Foreign("import", "parallel", "Graflow", "call both: what does not wait runs at one time"),
    Foreign("import", "TaskWorkflow", "Graflow", "with Workflow(name) as wf:"),
    Foreign("import", "map", "Prefect", "map_task(f)(x=xs), or f.map(xs)"),
    Foreign("import", "reference_task", "Flyte", "import the task's module"),
    Foreign("import", "ImageSpec", "Flyte", _CODE),
    Foreign("import", "Deck", "Flyte", "return what is to be seen; `promissory result RUN NODE` shows it"),
    Foreign("import", "LaunchPlan", "Flyte", "the workflow itself; defaults of its parameters are default inputs"),
    Foreign("import", "TaskEnvironment", "Flyte 2", "the options of @task"),
    Foreign("import", "signals", "Prefect 1", "raise Loop(…), Skip(…), Retry(…), or any exception"),
    Foreign("import", "TaskGroup", "Airflow", "a workflow that a workflow calls"),
    Foreign("import", "continue_as_new", "Temporal", "@cycle: finished rounds leave memory"),
    Foreign("import", "CronSchedule", "Flyte, Prefect 1", 'Cron("…"), the points of a @cycle'),
    Foreign("import", "FixedRate", "Flyte", "@cycle(start=…, points=timedelta(…))"),
    Foreign("import", "IntervalSchedule", "Prefect 1", "@cycle(start=…, points=timedelta(…))"),
    Foreign("import", "PythonOperator", "Airflow", "task"),
    # Arguments of decorators.
    Foreign("@task", "max_retries", "Prefect 1, Graflow, Ray", "retries="),
    Foreign("@task", "retry_delay_seconds", "Prefect", "retry_delay="),
    Foreign("@task", "retry_condition_fn", "Prefect", "retry_on=(ErrorClass, …)"),
    Foreign("@task", "retry_jitter_factor", "Prefect", "jitter="),
    Foreign("@task", "retry_exceptions", "Ray", "retry_on="),
    Foreign("@task", "retry_policy", "Temporal", "retries=, retry_delay=, backoff=, retry_on="),
    Foreign("@task", "timeout_seconds", "Prefect", "timeout="),
    Foreign("@task", "execution_timeout", "Airflow", "timeout="),
    Foreign("@task", "start_to_close_timeout", "Temporal", "timeout="),
    Foreign("@task", "cache_for", "Prefect 1", "cache=True, cache_version=…"),
    Foreign("@task", "cache_validator", "Prefect 1", "cache=True, cache_version=…, cache_ignore=…"),
    Foreign("@task", "cache_key_fn", "Prefect", "cache=True, cache_version=…, cache_ignore=…"),
    Foreign("@task", "cache_policy", "Prefect", "cache=True, cache_version=…, cache_ignore=…"),
    Foreign(
        "@task", "cache_expiration", "Prefect", "cache=True, another cache_version=; `promissory cache rm` removes"
    ),
    Foreign("@task", "cache_serializable", "Flyte", "cache_serialize="),
    Foreign("@task", "cache_ignore_input_vars", "Flyte", "cache_ignore="),
    Foreign("@task", "target", "Prefect 1", "cache=True, cache_version=…"),
    Foreign("@task", "checkpoint", "Prefect 1", "nothing: results are kept; ctx.checkpoint keeps a body's progress"),
    Foreign("@task", "persist_result", "Prefect", "nothing: results are kept"),
    Foreign("@task", "log_prints", "Prefect", "nothing: what is printed is kept"),
    Foreign("@task", "log_stdout", "Prefect 1", "nothing: what is printed is kept"),
    Foreign("@task", "name", "Prefect, Airflow", ".with_overrides(name=…) of a call; a task is called as its function"),
    Foreign("@task", "task_run_name", "Prefect", ".with_overrides(name=…) of a call"),
    Foreign("@task", "tags", "Prefect", "pool=, where tags limit how many run at one time"),
    Foreign("@task", "trigger", "Prefect 1", ".with_overrides(trigger=…) of a call"),
    Foreign("@task", "trigger_rule", "Airflow", ".with_overrides(trigger=…) of a call"),
    Foreign("@task", "skip_on_upstream_skip", "Prefect 1", ".with_overrides(trigger=…) of a call"),
    Foreign("@task", "nout", "Prefect 1, Dask", "-> tuple[A, B]"),
    Foreign("@task", "num_returns", "Ray", "-> tuple[A, B]"),
    Foreign("@task", "inject_context", "Graflow", "a first parameter annotated Context"),
    Foreign("@task", "max_cycles", "Graflow", "max_iterations="),
    Foreign("@task", "handler", "Graflow", "run(engine=…)"),
    Foreign("@task", "resolve_keyword_args", "Graflow", "pass the value: f(x=g())"),
    Foreign("@task", "container_image", "Flyte", _CODE),
    Foreign("@task", "image", "Flyte 2", _CODE),
    Foreign("@task", "runtime_env", "Ray", _CODE),
    Foreign("@task", "requests", "Flyte", _RESOURCES),
    Foreign("@task", "limits", "Flyte", _RESOURCES),
    Foreign("@task", "num_cpus", "Ray", "resources=Resources(cpu=…)"),
    Foreign("@task", "num_gpus", "Ray", "resources=Resources(gpu=…)"),
    Foreign("@task", "memory", "Ray", "resources=Resources(memory='2GiB')"),
    Foreign("@task", "environment", "Flyte", "an input, or os.environ before the run; Secret(name) for what is secret"),
    Foreign("@task", "secret_requests", "Flyte", "Secret(name) as the value of an input"),
    Foreign("@task", "enable_deck", "Flyte", "return what is to be seen; `promissory result RUN NODE` shows it"),
    Foreign("@task", "disable_deck", "Flyte", "nothing: there are no decks"),
    Foreign("@task", "interruptible", "Flyte", "nothing: a lost worker is not charged to a task's retries"),
    Foreign("@task", "task_config", "Flyte", "run(engine=…)"),
    Foreign("@task", "executor", "redun, Parsl", "run(engine=…)"),
    Foreign("@task", "version", "redun", "cache_version="),
    Foreign("@task", "namespace", "redun", "nothing: a task is known by its module and name"),
    Foreign("@task", "task_queue", "Temporal", "pool="),
    Foreign("@task", "queue", "Celery, Airflow", "pool="),
    Foreign("@task", "max_concurrency", "Flyte", "map_task(f, concurrency=…), or pool= and run(pools={name: n})"),
    # Attributes of the context.
    Foreign("ctx", "graph", "Graflow", "the plan: wf.compile(); in a run, `promissory show RUN`"),
    Foreign("ctx", "get_channel", "Graflow", "ctx.channel()"),
    Foreign("ctx", "get_typed_channel", "Graflow", "ctx.channel()"),
    Foreign("ctx", "terminate_workflow", "Graflow", "ctx.terminate(reason, outputs=…)"),
    Foreign("ctx", "cancel_workflow", "Graflow", "ctx.cancel(reason)"),
    Foreign("ctx", "get_result", "Graflow", "pass the value: f(x=g())"),
    Foreign("ctx", "cycle_count", "Graflow", "ctx.loop_count"),
    Foreign("ctx", "max_cycles", "Graflow", "ctx.max_iterations"),
    Foreign("ctx", "can_iterate_more", "Graflow", "ctx.can_iterate()"),
    Foreign("ctx", "session_id", "Graflow", "ctx.run_id"),
    Foreign("ctx", "task_id", "Graflow", "ctx.path"),
    Foreign("ctx", "task_run", "Prefect", "ctx.path, ctx.attempt"),
    Foreign("ctx", "flow_run", "Prefect", "ctx.run_id"),
    Foreign("ctx", "task_loop_result", "Prefect 1", "ctx.loop_result"),
    Foreign("ctx", "task_loop_count", "Prefect 1", "ctx.loop_count"),
    Foreign("ctx", "execution_id", "Flyte", "ctx.run_id"),
    Foreign("ctx", "logging", "Flyte", "ctx.logger"),
    Foreign("ctx", "secrets", "Flyte", "Secret(name) as the value of an input"),
    Foreign("ctx", "working_directory", "Flyte", "tempfile.TemporaryDirectory()"),
    Foreign("ctx", "info", "Temporal", "ctx.run_id, ctx.path, ctx.attempt"),
    Foreign("ctx", "heartbeat", "Temporal", "ctx.checkpoint.write(…); ctx.cancelled tells whether to end"),
    # Attributes of tasks and workflows.
    Foreign("call", "execute", "Graflow", "wf.run(…), or promissory.run(wf, {…})"),
    Foreign("call", "submit", "Prefect", "call it in a workflow: that gives a promise at once"),
    Foreign("call", "delay", "Celery", "call it in a workflow: that gives a promise at once"),
    Foreign("call", "apply_async", "Celery", "call it in a workflow, and .with_overrides(…)"),
    Foreign("call", "remote", "Ray", "call it in a workflow: that gives a promise at once"),
    Foreign("call", "options", "Ray, redun", ".with_overrides(…) of a call"),
    Foreign("call", "with_options", "Prefect", ".with_overrides(…) of a call"),
    Foreign("call", "with_overrides", "Flyte", "of a call, not of the task: f(x).with_overrides(…)"),
    Foreign("call", "fn", "Prefect", ".function"),
    Foreign("call", "task_function", "Flyte", ".function"),
    Foreign("call", "visualize", "Prefect, Dask", "print(wf.compile()), or wf.compile().to_mermaid()"),
    Foreign("call", "set_upstream", "Prefect 1, Airflow", "a >> b"),
    Foreign("call", "set_downstream", "Prefect 1, Airflow", "a >> b"),
    Foreign("call", "set_dependencies", "Prefect 1", "a >> b, and arguments"),
    Foreign("call", "add_edge", "Prefect 1", "a >> b"),
    Foreign("call", "compute", "Dask", "call the workflow, or promissory.run(wf, {…})"),
    Foreign("call", "start_workflow", "Temporal", "promissory.start(wf, {…})"),
)

_FOUND: Final = {(one.place, one.name): one for one in TABLE}


def meant(place: str, name: str, known: Iterable[str] = ()) -> str:
    """The end of a sentence about an unknown name: what was meant, by the table, or by a name that is nearly the same.
    Empty if neither tells.

    >>> meant("@task", "max_retries")
    '; what Prefect 1, Graflow, Ray call max_retries is written here: retries='
    >>> meant("@task", "retires", ["retries", "timeout"])
    '; did you mean retries?'
    """
    found = _FOUND.get((place, name))
    if found is not None:
        calls = "call" if "," in found.systems else "calls"
        return f"; what {found.systems} {calls} {name} is written here: {found.ours}"
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
