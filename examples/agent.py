"""An agent: it asks a model what to do next, does it with typed tools, and goes on until the model has an answer.

    python examples/agent.py
    promissory run examples/agent.py agent --question "Which of our three suppliers is the cheapest?" --budget 8

The model is a stand-in that runs as a process of its own and reads the conversation from its standard input, as a real
one would over the network; it is deterministic. The program shows what an agent needs beside a loop: steps that are
nodes, with their own state, retries and logs; tools that run side by side; a budget; a person who approves one of the
tools; and a run that goes on after its process was killed in the middle, without asking the model again.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from promissory import approve, attach, dynamic, resume, task, value

PRICES = {"north": 120, "south": 95, "west": 101}

MODEL = """
import json, sys
said = json.load(sys.stdin)
known = dict(line.split(": ") for line in said if ": " in line)
prices = {name: int(price) for name, price in known.items() if price.isdigit()}
if not said[1:]:
    step = {"calls": [["price_of", name] for name in ("north", "south", "west")]}
elif "ordered" not in known:
    step = {"calls": [["order", min(prices, key=prices.get)]]}
else:
    step = {"answer": f"ordered from {known['ordered']} for {prices[known['ordered']]}"}
print(json.dumps(step))
"""


@dataclass
class ToolCall:
    """A tool, and what it is called with."""

    tool: str
    argument: str


@dataclass
class Step:
    """What the model wants: tools to be called, or an answer."""

    calls: list[ToolCall] = field(default_factory=list)
    answer: str = ""


@task(retries=2, retry_delay=0.1)
def think(conversation: list[str]) -> Step:
    """Ask the model."""
    done = subprocess.run(
        [sys.executable, "-c", MODEL], input=json.dumps(conversation), capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    print(f"asked the model with {len(conversation)} lines")
    return Step([ToolCall(*call) for call in said.get("calls", [])], said.get("answer", ""))


@task(retries=2)
async def price_of(supplier: str) -> str:
    """Look a price up. An async task: many of them wait side by side."""
    await asyncio.sleep(0.05)
    return f"{supplier}: {PRICES[supplier]}"


@task
def order(supplier: str) -> str:
    """Order, which costs money."""
    return f"ordered: {supplier}"


TOOLS = {"price_of": price_of, "order": order}
NEEDS_APPROVAL = {"order"}


@dynamic
async def agent(question: str = "Which supplier is the cheapest? Order there.", budget: int = 8) -> str:
    """Ask, call tools, look, and again, until there is an answer or the budget is spent."""
    conversation = [question]
    for _ in range(budget):
        step = await value(think(conversation))
        if step.answer:
            return step.answer
        for call in step.calls:
            if call.tool in NEEDS_APPROVAL:
                await value(approve(call.argument, call.tool))
        conversation += await asyncio.gather(*[value(TOOLS[call.tool](call.argument)) for call in step.calls])
    return f"no answer within {budget} steps"


def killed_while_it_waits(store: str) -> None:
    """Begin the run in a process of its own, and kill that process when the agent waits for the approval."""
    command = [sys.executable, "-m", "promissory", "run", "--store", store, "--run-id", "agent", __file__, "agent"]
    program = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while True:
        time.sleep(0.05)
        if program.poll() is not None:
            raise SystemExit(f"the agent ended before it asked anything: promissory status agent --store {store}")
        if Path(store, "runs", "agent", "manifest").exists():
            waiting = [row.path for row in attach("agent", store=store).nodes() if row.state == "WAITING"]
            if waiting:
                break
    program.send_signal(signal.SIGKILL)
    program.wait()
    print(f"killed while {waiting[0]} waited")


def main() -> None:
    """Kill an agent, answer its question while it is dead, and have it go on."""
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        killed_while_it_waits(store)
        subprocess.run(
            [sys.executable, "-m", "promissory", "answer", "--store", store, "agent", "order", "yes"], check=True
        )
        done = resume("agent", store=store, echo=False)
        print(done.result)
        print(f"the model was asked {done.logs().count('asked the model')} times")
        for row in done.nodes():
            print(f"  {row.path}: {row.state}")


if __name__ == "__main__":
    main()
