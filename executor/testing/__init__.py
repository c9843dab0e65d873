"""For tests of workflows, and of this package itself: a store with faults, a clock that a test moves, crashes at named
points, and replay after every round.

================== ==================================================================================
name               purpose
================== ==================================================================================
FaultyStore, Fault a store whose k-th operation fails, is slow, is torn, lies, is dropped or done twice
MockClock          retries and time-outs of runs without waiting
crash_at, Crashed  the process dies at a named point (`promissory.executor.crash_points` lists them)
simulate           walks a plan with declared outcomes, without running any body; with `Takes`, `InTurn`, `Asks`
always_replay      after every round of the run loop, the state is also rebuilt from the journal, and compared
================== ==================================================================================

`python -m promissory.executor.testing.soak --minutes N` kills runs at random moments, as long as it is told to.
"""

from promissory.executor.testing.crashes import Crashed, crash_at
from promissory.executor.testing.declared import Asks, InTurn, SimulationError, Takes
from promissory.executor.testing.faulty_store import Fault, FaultyStore
from promissory.executor.testing.mock_clock import MockClock
from promissory.executor.testing.replaying import NotReplayable, always_replay
from promissory.executor.testing.simulation import Simulation, Step, simulate

__all__ = [
    "Asks",
    "Crashed",
    "Fault",
    "FaultyStore",
    "InTurn",
    "MockClock",
    "NotReplayable",
    "Simulation",
    "SimulationError",
    "Step",
    "Takes",
    "always_replay",
    "crash_at",
    "simulate",
]
