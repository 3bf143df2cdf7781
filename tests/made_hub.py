"""Tiny networks as hubs lay them out, with drawn weights that every machine draws alike: a tensor's name is its seed."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ORIGINALS = Path(__file__).parent / "model" / "hub" / "originals.json"

PLAIN = {"do_normalize": False, "resample": 3}


def tensor(name: str, shape: Sequence[int]) -> np.ndarray:
    """Draw a tensor float32: matrices so that sums keep their size, norms around 1, variances above 0."""
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(shape))
    if "running_var" in name:
        return (0.5 + np.abs(drawn)).astype(np.float32)
    if len(shape) > 1 and "token" not in name and "pos" not in name:
        return (drawn / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    is_norm = name.endswith(("weight", "gamma", "lambda1"))
    return np.asarray(is_norm + 0.2 * drawn, np.float32)


def images(side: int, channels: int = 3) -> np.ndarray:
    """Draw two images float32 (2, channels, side, side)."""
    return np.random.default_rng(side).standard_normal((2, channels, side, side)).astype(np.float32)


def originals() -> dict[str, dict]:
    """Give what `benchmarks/hub_originals.py` wrote: files, shapes of tensors, and the features of their own software."""
    return json.loads(ORIGINALS.read_text())


def write(folder: Path, original: Mapping, *, but: Mapping[str, np.ndarray | None] | None = None) -> Path:
    """Write an original's folder; tensors in `but` are others, or left out where they are None."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor(name, shape) for name, shape in original["shapes"].items()} | dict(but or {})
    weights = {name: value for name, value in tensors.items() if value is not None}
    plain = {"preprocessor_config.json": PLAIN} if "model_type" in original["files"].get("config.json", {}) else {}
    for name, content in (plain | original["files"]).items():
        (folder / name).write_text(json.dumps(content))
    is_open_clip = "open_clip_config.json" in original["files"]
    save_file(weights, folder / ("open_clip_model.safetensors" if is_open_clip else "model.safetensors"))
    return folder
