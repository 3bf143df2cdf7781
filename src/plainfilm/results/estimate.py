"""A number with its interval, and what numbers of a result may be."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
from msgspec import Meta

if TYPE_CHECKING:
    Known = float
else:
    Known = float | None  # JSON's null; not-a-number in Python

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "s"})]


class Estimate(msgspec.Struct, frozen=True):
    """A number and the 95 % interval around it, which other software may call a confidence interval.

    All three are not-a-number where the number is not defined; JSON then has null.
    """

    value: Known
    low: Known
    high: Known

    def __post_init__(self) -> None:
        """Take null as not-a-number, and NumPy's numbers as Python's."""
        for name in self.__struct_fields__:
            number = getattr(self, name)
            if type(number) is not float:
                msgspec.structs.force_setattr(self, name, float("nan") if number is None else float(number))

    @property
    def is_known(self) -> bool:
        """Whether the number is defined."""
        return not np.isnan(self.value)


def written(value: float, form: str) -> str:
    """Write a number in a format such as ".3f" or "+.1f": a minus sign for a hyphen, and no sign before what rounds to 0."""
    text = f"{value:{form}}"
    return text.replace("-", "\N{MINUS SIGN}") if text.strip("+-0.") else text.lstrip("+-")


def with_range(estimate: Estimate, form: str = ".2f") -> str:
    """Write a known estimate for a sentence: "0.46 (0.29 to 0.63)"."""
    return f"{written(estimate.value, form)} ({written(estimate.low, form)} to {written(estimate.high, form)})"


UNDEFINED = Estimate(float("nan"), float("nan"), float("nan"))
ShareEstimate = Annotated[Estimate, Meta(extra_json_schema={"range": "0 to 1"})]
