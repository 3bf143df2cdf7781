"""EVA-02 and EVA-X as their authors keep them (arXiv:2303.11331, arXiv:2405.05237): a checkpoint without a configuration, under names of their own."""

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.hub.folder import HubFolder, Tensors, Weights
from plainfilm.model.hub.layouts import EVA_NAMES

TRAINED_AT = 224  # pixels, whose patches are the grid that places are counted by
PATCH_OF_EVA_X = 16
_PATCH = "patch_embed.proj.weight"
_WRAPPED = (
    "model_ema.",
    "model.",
    "module.",
    "state_dict.",
    "",
)  # what stands before names, in the order in which its software looks
_MARKS = ("blocks.0.mlp.w3.weight", "blocks.0.mlp.fc1_g.weight", "blocks.0.attn.q_bias")


class EvaTensors:
    """Tensors of a checkpoint under timm's names."""

    def __init__(self, tensors: Tensors, prefix: str) -> None:
        self._tensors = tensors
        self._own = {_renamed(name.removeprefix(prefix)): name for name in tensors.names() if name.startswith(prefix)}

    def names(self) -> list[str]:
        """Give all names."""
        return list(self._own)

    def shape(self, name: str) -> tuple[int, ...]:
        """Give a tensor's shape without reading it."""
        return self._tensors.shape(self._own[name])

    def read(self, name: str) -> NDArray[np.float32]:
        """Read a tensor as float32."""
        return self._tensors.read(self._own[name])


def _renamed(name: str) -> str:
    for part, other in EVA_NAMES.items():
        name = name.replace(part, other)
    return name


def opened(folder: HubFolder) -> Weights | None:
    """Open a checkpoint that is an EVA-02's; None where it is another network's."""
    tensors = folder.tensors()
    names = set(tensors.names())
    prefix = next((each for each in _WRAPPED if each + _PATCH in names), None)
    if prefix is None or not any(prefix + mark in names for mark in _MARKS):
        return None
    return Weights(EvaTensors(tensors, prefix), "", folder.path)


def described(weights: Weights) -> tuple[int, int, str]:
    """Tell the side of images and of patches in pixels, and the family of `LAYOUTS`."""
    patch = weights.shape(_PATCH, 4)[2]
    side = int(np.sqrt(weights.shape("pos_embed", 3)[1] - 1)) if weights.has("pos_embed") else TRAINED_AT // patch
    return max(1, side) * patch, patch, "eva02 masked" if weights.has("mask_token") else "eva02"
