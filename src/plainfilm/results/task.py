"""What is asked of a radiograph: which one of several classes it is of, or which of several findings it has."""

from collections.abc import Iterable
from typing import Literal

Task = Literal["classes", "findings"]
NO_FINDING = "No Finding"  # the absence of all
BETWEEN = "|"


def combination(findings: Iterable[str]) -> str:
    """Write findings as one text, `Effusion|Mass`, or `No Finding` where there is none."""
    return BETWEEN.join(findings) or NO_FINDING
