"""SIGTERM and SIGHUP in a worker process.

A service manager or a scheduler of jobs sends them to every process of a service or job. The executor hears them too,
gives bodies their time to finish (rule X10), and ends its workers afterwards. So workers outlive these signals.
"""

from __future__ import annotations

import signal

from promissory.executor.worker.forks import default_in_forks


def outlive_end_signals() -> None:
    """Have this process outlive SIGTERM and SIGHUP, unless they are ignored already. Processes that it starts hear them
    as ever."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _go_on)
            signal.siginterrupt(number, False)
    default_in_forks((signal.SIGTERM, signal.SIGHUP), lambda handler: handler is _go_on)


def _go_on(number: int, frame: object) -> None:
    """A program that a body starts has the default handler again, which it would not have if this were `SIG_IGN`."""
