"""`--cluster` of a verb: where its jobs run."""

import functools
from collections.abc import Callable
from typing import Protocol, TypeVar

from plainfilm.engines.current import using
from plainfilm.engines.opening import open_engine
from plainfilm.workflows.options import ClusterOptions


class Planned(Protocol):
    """What a verb has planned."""

    @property
    def options(self) -> ClusterOptions:
        """The verb's options."""


Plan = TypeVar("Plan", bound=Planned)
Result = TypeVar("Result")


def check_cluster(options: ClusterOptions) -> None:
    """Raise UsageError, or MissingExtraError, where `--cluster` cannot be meant; nothing is connected to."""
    open_engine(options.cluster or "", mixed=options.mixed)


def on_cluster(run: Callable[[Plan], Result]) -> Callable[[Plan], Result]:
    """Let what runs a plan give its jobs to the engine that the plan's options name."""

    @functools.wraps(run)
    def running(plan: Plan) -> Result:
        options = plan.options
        with open_engine(options.cluster or "", mixed=options.mixed) as engine, using(engine):
            return run(plan)

    return running
