"""Makes the encoders that `backbones.py` tries: true architectures with random weights, exported as a user would.

    python benchmarks/exported.py NAME WAY FOLDER

Needs torch, timm, transformers, open_clip_torch and torchxrayvision, which plainfilm does not; it is run by their Python. It writes
FOLDER/NAME.onnx, and FOLDER/NAME.npz with two images uint8 (2, s, s) and the features that torch gives of them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

WAYS = ("new", "old")  # torch.onnx.export by torch.export, and by tracing


class Taken(nn.Module):
    """One output of a network, as features (n, width)."""

    def __init__(self, network: nn.Module, take: Callable[[object], torch.Tensor]) -> None:
        super().__init__()
        self.network, self.take = network, take

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102 - torch's own
        return self.take(self.network(x))


def timm_model(name: str, **more: object) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=0, **more)


def rad_dino() -> nn.Module:
    """ViT-B/14 at 518 px as microsoft/rad-dino's config.json has it; its features are those of the class token."""
    from transformers import Dinov2Config, Dinov2Model

    network = Dinov2Model(
        Dinov2Config(image_size=518, patch_size=14, num_hidden_layers=12, hidden_size=768, num_attention_heads=12)
    )
    return Taken(network, lambda out: out.pooler_output)


def registers() -> nn.Module:
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    network = Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(image_size=518, hidden_size=384, num_attention_heads=6)
    )
    return Taken(network, lambda out: out.pooler_output)


def dinov3() -> nn.Module:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    return Taken(
        DINOv3ViTModel(
            DINOv3ViTConfig(hidden_size=384, intermediate_size=1536, num_attention_heads=6, num_register_tokens=4)
        ),
        lambda out: out.pooler_output,
    )


def clip() -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    return Taken(CLIPVisionModel(CLIPVisionConfig()), lambda out: out.pooler_output)


def open_clip() -> nn.Module:
    import open_clip

    return open_clip.create_model("ViT-B-16", pretrained=None).visual


def siglip() -> nn.Module:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    return Taken(SiglipVisionModel(SiglipVisionConfig()), lambda out: out.pooler_output)


def densenet121() -> nn.Module:
    import torchxrayvision as xrv

    network = xrv.models.DenseNet(weights=None)
    return Taken(network.features, lambda maps: torch.relu(maps).mean((2, 3)))


# Name -> what makes it, side in pixels, channels.
MODELS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "RAD-DINO": (rad_dino, 518, 3),
    "ViT-S": (lambda: timm_model("vit_small_patch16_224"), 224, 3),
    "DINOv2 with registers": (registers, 224, 3),
    "CLIP": (clip, 224, 3),
    "CLIP of open_clip": (open_clip, 224, 3),
    "SigLIP": (siglip, 224, 3),
    "EVA-02": (lambda: timm_model("eva02_small_patch14_224"), 224, 3),
    "DINOv3": (dinov3, 224, 3),
    "DINOv3 of timm": (lambda: timm_model("vit_small_patch16_dinov3"), 224, 3),
    "Swin": (lambda: timm_model("swin_tiny_patch4_window7_224"), 224, 3),
    "ConvNeXt V2": (lambda: timm_model("convnextv2_nano"), 224, 3),
    "DenseNet121 of torchxrayvision": (densenet121, 224, 1),
    "ResNet": (lambda: timm_model("resnet50"), 224, 3),
    "RegNet": (lambda: timm_model("regnety_016"), 224, 3),
    "EfficientNetV2": (lambda: timm_model("tf_efficientnetv2_b0"), 224, 3),
    "MobileNetV4": (lambda: timm_model("mobilenetv4_conv_small"), 224, 3),
    "FastViT": (lambda: timm_model("fastvit_t8"), 256, 3),
    "MaxViT": (lambda: timm_model("maxvit_tiny_rw_224"), 224, 3),
    "DaViT": (lambda: timm_model("davit_tiny"), 224, 3),
    "EdgeNeXt": (lambda: timm_model("edgenext_small"), 256, 3),
}  # fmt: skip


def export(network: nn.Module, x: torch.Tensor, way: str, path: Path) -> None:
    if way == "new":
        batch = torch.export.Dim("n", min=1, max=64)
        torch.onnx.export(network, (x,), str(path), dynamo=True, dynamic_shapes={"x": {0: batch}}, input_names=["x"])
    else:
        axes = {"x": {0: "n"}, "y": {0: "n"}}
        torch.onnx.export(
            network, (x,), str(path), dynamo=False, dynamic_axes=axes, input_names=["x"], output_names=["y"]
        )


def main() -> None:
    name, way, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    build, side, channels = MODELS[name]
    torch.manual_seed(0)
    network = build().eval()
    images = np.random.default_rng(0).integers(0, 256, (2, side, side), dtype=np.uint8)
    x = torch.from_numpy(images).float()[:, None].expand(-1, channels, -1, -1).contiguous() / 255
    with torch.no_grad():
        features = network(x).numpy()
        export(network, x, way, folder / f"{name}.onnx")
    np.savez(folder / f"{name}.npz", images=images, features=features)


if __name__ == "__main__":
    main()
