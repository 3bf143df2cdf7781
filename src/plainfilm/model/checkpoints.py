"""The state of a training after an epoch, in one file without pickle, so that a killed training goes on as if nothing had been."""

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm.data.files import written_whole
from plainfilm.errors import FlawError, UsageError
from plainfilm.model.training import Course
from plainfilm.reasons import reason_of

_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, TokenError)


class _About(msgspec.Struct):
    digest: str = ""
    history: list[dict[str, int | float]] = []
    best: tuple[float, int] = (math.inf, 0)


def write(path: Path, model: Any, course: Course, *, digest: str) -> None:
    """Keep a compiled Keras model and its course: weights, random states, optimizer, best weights, history.

    Parameters
    ----------
    path
        Replaced when the new file is whole.
    digest
        Of everything that the training depends on; `read` asks for the same.
    """
    arrays = {name: np.asarray(variable) for name, variable in _variables(model).items()}
    arrays |= {f"best{number}": weight for number, weight in enumerate(course.best_weights or [])}
    about = _About(digest, course.history, (float(course.best_loss), course.best_epoch))
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, about=np.array(json.dumps(msgspec.to_builtins(about))), **arrays)


def read(path: Path, model: Any, course: Course, *, digest: str) -> None:
    """Bring a model and its course to where `write` kept them; without such a file they stay as they are.

    Raises
    ------
    UsageError
        The file is of another training, or is none.
    """
    if not path.is_file():
        return
    kept = _load(path)
    try:
        about = msgspec.convert(json.loads(str(kept.pop("about", "{}"))), _About)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if about.digest != digest:
        raise UsageError(
            f"Expected {path} to be of this training; it is of another recipe, other data, other weights or another version. "
            "Leave out --resume to begin anew."
        )
    try:
        _restore(model, course, kept, about)
    except (ValueError, LookupError, TypeError) as error:
        raise _damaged(path, error) from error


def _restore(model: Any, course: Course, kept: Mapping[str, NDArray[Any]], about: _About) -> None:
    for name, variable in _variables(model).items():
        variable.assign(kept[name])
    course.history, (course.best_loss, course.best_epoch) = about.history, about.best
    best = [kept[name] for number in range(len(model.get_weights())) if (name := f"best{number}") in kept]
    course.best_weights = best or None  # none where no epoch had a loss that is a number


def _variables(model: Any) -> dict[str, Any]:
    """Name everything that an epoch may change."""
    named = {f"model{number}": variable for number, variable in enumerate(model.variables)}
    return named | {f"optimizer{number}": variable for number, variable in enumerate(model.optimizer.variables)}


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        _check_room(path)
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (
        OSError,
        ValueError,
        EOFError,
        LookupError,
        MemoryError,
        SyntaxError,
        NotImplementedError,
        RuntimeError,
        *_DAMAGE,
    ) as error:
        raise _damaged(path, error) from error


def _check_room(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        declared = sum(member.file_size for member in archive.infolist())
    if declared > path.stat().st_size:  # `write` packs nothing
        raise FlawError("it declares more than it holds")


def _damaged(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"Expected a checkpoint; received {path}, which is damaged ({reason_of(error)}). Leave out --resume to begin anew."
    )
