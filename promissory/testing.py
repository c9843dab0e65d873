"""Tools for tests of workflows: a store with faults, a clock that a test moves, crashes at named points, and walks
through plans without bodies.

`promissory.executor.testing` describes each of them.
"""

from promissory.executor.testing import Asks as Asks
from promissory.executor.testing import Crashed as Crashed
from promissory.executor.testing import Fault as Fault
from promissory.executor.testing import FaultyStore as FaultyStore
from promissory.executor.testing import InTurn as InTurn
from promissory.executor.testing import MockClock as MockClock
from promissory.executor.testing import NotReplayable as NotReplayable
from promissory.executor.testing import Simulation as Simulation
from promissory.executor.testing import SimulationError as SimulationError
from promissory.executor.testing import Step as Step
from promissory.executor.testing import Takes as Takes
from promissory.executor.testing import always_replay as always_replay
from promissory.executor.testing import crash_at as crash_at
from promissory.executor.testing import simulate as simulate

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
