"""How loud what is said of an accuracy is."""

from dataclasses import dataclass
from typing import Literal, get_args

Level = Literal["none", "caution", "warning"]
LEVELS: tuple[Level, ...] = get_args(Level)  # the loudest last
OF_VERDICT: dict[str, Level] = {  # of an audit
    "no shortcut found": "none",
    "shortcut possible": "caution",
    "not to be believed": "warning",
}


@dataclass(frozen=True, slots=True)
class Worth:
    """The plain sentence beside an accuracy, and how loud it is."""

    level: Level
    sentence: str
