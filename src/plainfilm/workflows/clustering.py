"""`--cluster` and `--device` of a verb: where its jobs and its networks run."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from plainfilm.engines.current import using
from plainfilm.engines.engine import Engine
from plainfilm.engines.here import Here
from plainfilm.engines.opening import open_engine
from plainfilm.errors import UsageError
from plainfilm.model import devices
from plainfilm.workflows.options import ClusterOptions


class Planned(Protocol):
    """What a verb has planned."""

    @property
    def options(self) -> ClusterOptions:
        """The verb's options."""


Plan = TypeVar("Plan", bound=Planned)
Result = TypeVar("Result")


def check_cluster(options: ClusterOptions) -> None:
    """Raise UsageError, or MissingExtraError, where `--cluster` or `--device` cannot be meant; nothing is connected to."""
    with on_device(options):
        devices.current()


@contextmanager
def on_device(options: ClusterOptions) -> Iterator[None]:
    """Let networks that a verb opens before it runs be for the device that it will run on."""
    with devices.using(_device(options, open_engine(options.cluster or "", mixed=options.mixed))):
        yield


def _device(options: ClusterOptions, engine: Engine) -> str | None:
    """Device for the networks of a verb: beside a cluster the processor, on which its jobs run, so that all features are of one kind."""
    if isinstance(engine, Here):
        return options.device
    if options.device not in {None, "auto", devices.CPU}:
        raise UsageError(
            f"Expected --device cpu with --cluster, whose jobs run on processors; received {options.device}. Leave one of them out."
        )
    return devices.CPU


def on_cluster(run: Callable[[Plan], Result]) -> Callable[[Plan], Result]:
    """Let what runs a plan give its jobs to the engine, and its networks to the device, that the plan's options name."""

    @functools.wraps(run)
    def running(plan: Plan) -> Result:
        options = plan.options
        engine = open_engine(options.cluster or "", mixed=options.mixed)
        with engine, using(engine), devices.using(_device(options, engine)):
            return run(plan)

    return running
