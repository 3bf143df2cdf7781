"""Where the jobs and the networks of a verb run: `--cluster`, PLAINFILM_CLUSTER, or the table [cluster] of its recipe's file; and `--device`."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from plainfilm.engines.current import using
from plainfilm.engines.engine import Engine
from plainfilm.engines.here import Here
from plainfilm.engines.opening import VARIABLE, open_engine
from plainfilm.errors import UsageError
from plainfilm.model import devices, recipes
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
        devices.check()


@contextmanager
def on_device(options: ClusterOptions) -> Iterator[None]:
    """Let what is opened until the block ends run on the device that the options name."""
    with devices.using(_device(options, _opened(options))):
        yield


def _device(options: ClusterOptions, engine: Engine) -> str | None:
    """Device for the networks of a verb: beside a cluster the processor, on which its jobs run, so that all features are of one kind."""
    if isinstance(engine, Here):
        return options.device
    if options.device is not None and options.device not in {"auto", devices.CPU}:
        raise devices.beside_cluster(options.device)
    return devices.CPU


def _opened(options: ClusterOptions) -> Engine:
    """Open what the flag says, or else the variable, or else the recipes."""
    where, mixed = options.cluster or os.environ.get(VARIABLE, ""), options.mixed
    if not where:
        where, own = _of_recipes(options)
        mixed = mixed or own
    return open_engine(where, mixed=mixed)


def _of_recipes(options: ClusterOptions) -> tuple[str, bool]:
    named = getattr(options, "recipes", None) or [getattr(options, "recipe", "")]
    told = list(dict.fromkeys(each for each in map(recipes.cluster_of, named) if each[0]))
    if len(told) > 1:
        raise UsageError(
            f"Expected recipes that run in one place; received {told[0][0]} and {told[1][0]}. Say where with --cluster."
        )
    return told[0] if told else ("", False)


def on_cluster(run: Callable[[Plan], Result]) -> Callable[[Plan], Result]:
    """Let what runs a plan give its jobs to the engine, and its networks to the device, that the plan's options name."""

    @functools.wraps(run)
    def running(plan: Plan) -> Result:
        with _opened(plan.options) as engine, using(engine), devices.using(_device(plan.options, engine)):
            return run(plan)

    return running
