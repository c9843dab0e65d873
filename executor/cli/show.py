"""`promissory show`: a plan as text or as a Mermaid chart."""

from __future__ import annotations

from pathlib import Path

import click

from promissory.executor.cli.loading import choose, is_file, load
from promissory.executor.cli.output import counted, lasted, print_table
from promissory.executor.cli.runs_by_name import run_named
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.errors import StoreNotFound
from promissory.executor.history.history import History
from promissory.executor.history.rounds import paces
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.planner import Plan
from promissory.planner import compile as compile_plan
from promissory.planner.entities.cycle import CycleFunction
from promissory.planner.plan.circuits import Circuit, edges_of, slowest_circuit, unrolled


@click.command()
@store_option
@click.option("--mermaid", is_flag=True, help="As a Mermaid flowchart.")
@click.option("--cycles", is_flag=True, help="The rounds of cycles, and what bounds how fast they come.")
@click.option("--code", is_flag=True, help="Also where each callable is found, and the digest of its code.")
@click.argument("what", metavar="PLAN|RUN|FILE")
@click.argument("workflow", required=False)
def command(what: str, workflow: str | None, mermaid: bool, cycles: bool, code: bool, store: str | None) -> None:
    """Show the plan of a plan file, of a run, or of a workflow in a Python file."""
    if cycles and not is_file(Path(what)):
        _show_paces(what, store)
        return
    plan = _plan(what, workflow, store)
    if cycles:
        _show_rounds(plan, mermaid)
        return
    click.echo(plan.to_mermaid() if mermaid else plan.show(code))


def _plan(what: str, workflow: str | None, store: str | None) -> Plan:
    if is_file(Path(what)):
        loaded = load(what)
        return loaded if isinstance(loaded, Plan) else compile_plan(choose(loaded, workflow))
    try:
        opened = open_store(store)
    except StoreNotFound as error:
        raise click.UsageError(f"there is no file {what!r}, and no run either: {error}") from None
    return read_plan(opened, read_manifest(opened, run_named(opened, what)))


def _show_rounds(plan: Plan, mermaid: bool) -> None:
    """Show the rounds of a plan's cycles: folded into one, and the first ones as they follow each other."""
    found = [entity for entity in plan.origin.entities if isinstance(entity, CycleFunction)]
    if not found:
        raise click.UsageError("there is no cycle in it" if plan.origin.entities else "a plan file has no rounds yet")
    for entity in found:
        rounds = entity.first_rounds()
        if not rounds:
            click.echo(f"{entity.name}: its body needs the values of its inputs, so its rounds are known as they come")
            continue
        template = rounds[-1]
        if mermaid:
            click.echo(template.to_mermaid())
            continue
        click.echo(f"a round of {template.show()}")
        click.echo("unrolled")
        for line in unrolled([plan.shape for plan in rounds[:3]]):
            click.echo(f"  {line}")
        edges = edges_of(template.shape)
        circuit = slowest_circuit(edges, dict.fromkeys([name for edge in edges for name in edge[:2]], 1.0))
        if circuit is None:
            click.echo("no node needs an earlier round")
        else:
            click.echo(f"rounds wait for each other by {_way(circuit)}")


def _way(circuit: Circuit) -> str:
    return f"{' → '.join((*circuit.nodes, circuit.nodes[0]))}, {counted(circuit.distance, 'round')} back"


def _show_paces(what: str, store: str | None) -> None:
    """Show how fast the rounds of a run's cycles came, and what bounds that."""
    opened = open_store(store)
    found = list(paces(History(opened, run_named(opened, what))))
    if not found:
        raise click.ClickException("the run has no rounds of cycles")
    for pace in found:
        click.echo(f"{pace.path}: {counted(pace.rounds, 'round')}, {pace.max_active} at a time")
        rows = [[name, lasted(round(mean * 1e6))] for name, mean in pace.takes.items()]
        print_table(["node", "takes"], rows)
        if pace.slowest is not None:
            click.echo(f"no faster than {_a_round(pace.slowest.ratio)}: {_way(pace.slowest)}")
        click.echo(f"no faster than {_a_round(pace.window)}: {counted(pace.max_active, 'round')} at a time")
        if pace.reached is not None:
            click.echo(f"reached {_a_round(pace.reached)}")


def _a_round(seconds: float) -> str:
    return f"{lasted(round(seconds * 1e6))} a round"
