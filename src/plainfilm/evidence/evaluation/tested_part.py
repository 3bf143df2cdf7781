"""Which part of the data `metrics.json` tells of as tested."""

from collections.abc import Mapping
from typing import Any


def tested(splits: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Name the part that a classifier was tested on, and give its metrics, from "splits" of `metrics.json`.

    "test", or "out_of_fold" after a cross-validation: each radiograph answered by the classifier that had not seen it.

    Raises
    ------
    KeyError
        There is neither.
    """
    part = "out_of_fold" if "out_of_fold" in splits else "test"
    return part, splits[part]
