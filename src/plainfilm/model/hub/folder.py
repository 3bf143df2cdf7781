"""A folder with a network from a hub: its JSON, its tensors and its hashes. Nothing of it is run, and all of it is bounded."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import WeightsError
from plainfilm.model import torch_checkpoint
from plainfilm.reasons import reason_of

CONFIGS = ("open_clip_config.json", "config.json")
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
_INDEX = "model.safetensors.index.json"
_WEIGHTS = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
_OF_OPEN_CLIP = "open_clip_"
_PICKLED = frozenset({".bin", ".pt", ".pth"})
_MOST_JSON = 4 << 20  # bytes; the index of the largest network has some hundred thousand
_MOST_SHARDS = 64
_MOST_PICKLED = 4 << 30  # bytes; such a file is read whole
_DTYPES = frozenset({"F64", "F32", "F16", "BF16", "I64", "I32"})
UNSTATED = "not stated"
_LICENCE = re.compile(r"^license(?:_name)?: *[\"']?(?!other\b)([\w.+ -]{1,60})", re.MULTILINE)
_MOST_README = 1 << 20  # bytes
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,150}")


def licence_of(path: Path) -> str:
    """Read the licence that a folder's model card states; of one that states none, UNSTATED."""
    try:
        with (path / "README.md").open(encoding="utf-8", errors="replace") as file:
            told = _LICENCE.search(file.read(_MOST_README))
    except OSError:
        return UNSTATED
    return told[1].strip() if told else UNSTATED


class Tensors(Protocol):
    """Tensors by name, read when they are asked for."""

    def names(self) -> list[str]:
        """Give all names."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Give a tensor's shape without reading it."""

    def read(self, name: str) -> NDArray[np.float32]:
        """Read a tensor as float32."""


@dataclass(frozen=True, slots=True)
class HubFolder:
    """A folder, or a single checkpoint: `config` is its JSON, empty where it has none; `weights` the files of its tensors."""

    path: Path
    config_name: str
    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any]
    weights: tuple[Path, ...]
    preprocessor_name: str = ""

    def files(self) -> list[Path]:
        """List the files that make the network what it is, in a fixed order."""
        base = self.path if self.path.is_dir() else self.path.parent
        named = [self.config_name, self.preprocessor_name, _INDEX] if self.path.is_dir() else []
        return [*(base / name for name in named if name and (base / name).is_file()), *self.weights]

    def sha256(self) -> dict[str, str]:
        """SHA-256 of each file, in hex, by its name."""
        return {path.name: _file_sha256(path) for path in self.files()}

    def size(self) -> int:
        """Bytes of the weights."""
        return sum(path.stat().st_size for path in self.weights)

    def tensors(self) -> Tensors:
        """Open the tensors.

        Raises
        ------
        WeightsError
            A file is damaged, holds something else, or has tensors of a type that is not known here.
        """
        if self.weights[0].suffix in _PICKLED:
            return _Pickled(self.weights[0])
        return _Safetensors(self.weights)


def joined(sha256: Mapping[str, str]) -> str:
    """SHA-256 over files' hashes with their names, in hex."""
    return hashlib.sha256("\n".join(f"{name} {each}" for name, each in sorted(sha256.items())).encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_checkpoint(path: Path) -> bool:
    """Whether a path is a single file of PyTorch's, which states no configuration."""
    return path.suffix in {".pt", ".pth"} and path.is_file()


def open_folder(path: Path) -> HubFolder:
    """Open a folder as a hub lays it out, or a single .pt file.

    Raises
    ------
    WeightsError
        Files are missing, or too large, or their JSON is none.
    """
    if is_checkpoint(path):
        return HubFolder(path, "", {}, {}, (path,))
    name = _config(path)
    single = [] if name else sorted(each for each in path.glob("*.pt*") if is_checkpoint(each))
    if len(single) == 1:
        return HubFolder(path, "", {}, {}, tuple(single))
    if not name:
        raise WeightsError(
            f"Expected a folder as hubs lay it out, with config.json and model.safetensors; received {path}, which has no {CONFIGS[1]}. "
            "Fetch all files of the model into one folder."
        )
    preparing = next((each for each in PREPROCESSORS if (path / each).is_file()), "")
    return HubFolder(
        path, name, _json(path / name), _preprocessor(path, preparing), _weights(path, name == CONFIGS[0]), preparing
    )


def _config(path: Path) -> str:
    """Name the configuration; where a folder has open_clip's and transformers', the one whose weights are there, open_clip's first."""
    there = [each for each in CONFIGS if (path / each).is_file()]
    if len(there) > 1 and not any((path / each).is_file() for each in _WEIGHTS if each.startswith(_OF_OPEN_CLIP)):
        return there[1]
    return next(iter(there), "")


def _preprocessor(path: Path, name: str) -> dict[str, Any]:
    """Read how images are prepared; a processor of images and texts says it under a key of its own."""
    told = _json(path / name) if name else {}
    own = told.get("image_processor") if name == PREPROCESSORS[1] else told
    return own if isinstance(own, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_JSON:
            raise WeightsError(
                f"Expected at most {_MOST_JSON / 1e6:,.0f} MB of JSON; received {path}, which is larger. Fetch it again."
            )
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"Expected JSON in {path}; it cannot be read ({reason_of(error)}). Fetch it again."
        ) from error
    if not isinstance(found, dict):
        raise WeightsError(f"Expected a JSON object in {path}; received something else. Fetch it again.")
    return found


def _weights(path: Path, is_open_clip: bool) -> tuple[Path, ...]:
    """Find the files of weights, those first whose names are the configuration's."""
    own = sorted(_WEIGHTS, key=lambda name: name.startswith(_OF_OPEN_CLIP) != is_open_clip)
    found = next((path / name for name in own if (path / name).is_file()), None)
    has_its_own = found is not None and found.name.startswith(_OF_OPEN_CLIP) and is_open_clip
    if (path / _INDEX).is_file() and not (path / _WEIGHTS[0]).is_file() and not has_its_own:
        return _shards(path)
    if found is None:
        raise WeightsError(
            f"Expected {' or '.join(_WEIGHTS[:3])} in {path}; received none of them. Fetch all files of the model into one folder."
        )
    return (found,)


def _shards(path: Path) -> tuple[Path, ...]:
    told = _json(path / _INDEX).get("weight_map")
    names = sorted(set(map(str, told.values()))) if isinstance(told, dict) else []
    unfit = [name for name in names if not _PLAIN_NAME.fullmatch(name) or not name.endswith(".safetensors")]
    if not 1 <= len(names) <= _MOST_SHARDS or unfit:
        raise WeightsError(
            f"Expected {_INDEX} to name 1 to {_MOST_SHARDS} .safetensors files beside it; received {path / _INDEX}, which does not. "
            "Fetch it again."
        )
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise WeightsError(
            f"Expected {len(names)} files of weights in {path}; {missing[0]} is missing. Fetch all files of the model into one folder."
        )
    return tuple(path / name for name in names)


class _Safetensors:
    """Tensors of .safetensors files, whose header the library bounds and checks; they stay on disk until they are read."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._places: dict[str, Any] = {}
        for file in files:
            opened = _opened(file)
            for name in opened.keys():  # noqa: SIM118 - the library's own, no mapping
                if name in self._places:
                    raise WeightsError(
                        f"Expected each tensor once; received {name} twice in {file.parent}. Fetch it again."
                    )
                self._places[name] = opened
        self._files = files

    def names(self) -> list[str]:
        return list(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._places[name].get_slice(name).get_shape())

    def read(self, name: str) -> NDArray[np.float32]:
        kind = self._places[name].get_slice(name).get_dtype()
        if kind not in _DTYPES:
            raise WeightsError(
                f"Expected tensors of {', '.join(sorted(_DTYPES))}; received {name} of {kind} in {self._files[0].parent}. Take weights "
                "that are not quantised."
            )
        if kind == "BF16":
            import ml_dtypes  # noqa: F401 - comes with onnx; NumPy knows bfloat16 once it is imported
        return np.ascontiguousarray(self._places[name].get_tensor(name), np.float32)


def _opened(file: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(file, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"Expected a .safetensors file; received {file}, which is damaged or none. Fetch it again."
        ) from error


class _Pickled:
    """Tensors of a file of PyTorch's, read whole without running anything of it."""

    def __init__(self, file: Path) -> None:
        size = file.stat().st_size
        if size > _MOST_PICKLED:
            raise WeightsError(
                f"Expected at most {_MOST_PICKLED / 1e9:,.0f} GB; received {file} with {size / 1e9:,.1f} GB. Take model.safetensors."
            )
        self._tensors = torch_checkpoint.read_tensors(file, modules=True)

    def names(self) -> list[str]:
        return list(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def read(self, name: str) -> NDArray[np.float32]:
        return np.ascontiguousarray(self._tensors[name], np.float32)


class Weights:
    """The tensors of a network under a prefix, each asked for by name and shape; what nobody asked for is known in the end."""

    def __init__(self, tensors: Tensors, prefix: str, where: Path) -> None:
        self._tensors, self._prefix, self._where = tensors, prefix, where
        self._names = {name.removeprefix(prefix) for name in tensors.names() if name.startswith(prefix)}
        self._asked: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether there is a tensor of this name."""
        return name in self._names

    def shape(self, name: str, axes: int = 0) -> tuple[int, ...]:
        """Give a tensor's shape, of so many axes, 0 for any number.

        Raises
        ------
        WeightsError
            It is missing, empty, or has other axes.
        """
        if not self.has(name):
            raise WeightsError(
                f"Expected a tensor {self._prefix}{name} in {self._where}; it is missing. Fetch the weights again, or another kind of model."
            )
        found = self._tensors.shape(self._prefix + name)
        if not all(found) or axes not in {0, len(found)}:
            raise WeightsError(
                f"Expected {self._prefix}{name} of {axes or 'some'} axes and no empty one; received shape {list(found)} in {self._where}. "
                "Fetch the weights again, or another kind of model."
            )
        return found

    def take(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Read a tensor as float32; its shape must be the one given, where -1 stands for any side.

        Raises
        ------
        WeightsError
            It is missing or has another shape.
        """
        found = self.shape(name)
        if len(found) != len(shape) or any(side not in {-1, real} for side, real in zip(shape, found, strict=True)):
            raise WeightsError(
                f"Expected {self._prefix}{name} of shape {list(shape)}; received {list(found)} in {self._where}. The weights are not those of "
                "the configuration beside them: fetch both again."
            )
        self._asked.add(name)
        return self._tensors.read(self._prefix + name)

    def beside(self, name: str) -> "Weights | None":
        """Give the tensors under this prefix, or the one around it, where a name is found."""
        around = self._prefix[:-1].rpartition(".")[0]
        for prefix in (self._prefix, f"{around}." if around else ""):
            if {f"{prefix}{name}", f"{prefix}{name}.weight"} & set(self._tensors.names()):
                return self if prefix == self._prefix else Weights(self._tensors, prefix, self._where)
        return None

    def numbered(self, pattern: str) -> int:
        """Count names with a number in them, from 0 on: "blocks.{}.norm1.weight"."""
        return next(number for number in range(len(self._names) + 1) if pattern.format(number) not in self._names)

    def left(self, aside: re.Pattern[str]) -> Iterator[str]:
        """Name what was not read and is not `aside`."""
        return (name for name in sorted(self._names - self._asked) if not aside.match(name))


def whole(value: Any, key: str, where: Path, *, most: int = 1 << 16) -> int:
    """Check a whole number of a configuration, from 1 to `most`.

    Raises
    ------
    WeightsError
        It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise WeightsError(f"Expected {key} from 1 to {most:,} in {where}; received {_shown(value)}. Fetch it again.")
    return value


def number(value: Any, key: str, where: Path, *, low: float, high: float) -> float:
    """Check a number of a configuration, from `low` to `high`.

    Raises
    ------
    WeightsError
        It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise WeightsError(
            f"Expected {key} from {low:g} to {high:g} in {where}; received {_shown(value)}. Fetch it again."
        )
    return float(value)


def _shown(value: Any) -> str:
    return repr(value)[:60]
