"""Makes the encoders that `backbones.py` tries: true architectures with random weights, exported as a user would.

    python benchmarks/exported.py NAME WAY FOLDER

Needs torch, timm, transformers, open_clip_torch and torchxrayvision, which plainfilm does not; it is run by their Python. It writes
FOLDER/NAME.onnx, or as hubs lay it out a folder FOLDER/NAME or a checkpoint FOLDER/NAME.pt, and FOLDER/NAME.npz with two images
uint8 (2, s, s) and the features that torch gives of them.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

WAYS = ("new", "old", "hub")  # torch.onnx.export by torch.export, and by tracing; and no export
# What timm's names are in EVA-X's own checkpoints, of its small and its base network.
THEIRS_OF_SMALL = {"fc_norm.": "norm.", "mlp.fc1.": "mlp.w12.", "mlp.fc2.": "mlp.w3."}
THEIRS_OF_BASE = {"fc_norm.": "norm.", "mlp.norm.": "mlp.ffn_ln.", "mlp.fc1_g.": "mlp.w1.", "mlp.fc1_x.": "mlp.w2.", "mlp.fc2.": "mlp.w3.",
                  "q_proj.bias": "q_bias", "v_proj.bias": "v_bias"}  # fmt: skip


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


def eva_x() -> nn.Module:
    """Build EVA-X-S as its authors' eva_x.py does."""
    from timm.models.eva import Eva

    return Eva(patch_size=16, embed_dim=384, num_heads=6, mlp_ratio=8 / 3, swiglu_mlp=True, use_rot_pos_emb=True, ref_feat_shape=(14, 14),
               num_classes=0)  # fmt: skip


# Name -> what makes it, side in pixels, channels.
MODELS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "RAD-DINO": (rad_dino, 518, 3),
    "ViT-S": (lambda: timm_model("vit_small_patch16_224"), 224, 3),
    "DINOv2 with registers": (registers, 224, 3),
    "CLIP": (clip, 224, 3),
    "CLIP of open_clip": (open_clip, 224, 3),
    "SigLIP": (siglip, 224, 3),
    "EVA-02": (lambda: timm_model("eva02_small_patch14_224"), 224, 3),
    "EVA-X": (eva_x, 224, 3),
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


def theirs(tensors: dict[str, torch.Tensor], names: dict[str, str]) -> dict[str, torch.Tensor]:
    """Give tensors the names that EVA-X's authors gave them, and beside them what they were trained with."""
    found = {"mask_token": torch.zeros(1, 1, tensors["cls_token"].shape[-1])}
    for name, value in tensors.items():
        for part, own in names.items():
            name = name.replace(part, own)
        found[name] = value
    return found


def keep(network: nn.Module, name: str, side: int, folder: Path) -> None:
    """Keep a network as hubs lay it out, with images prepared from 0 to 1."""
    from safetensors.torch import save_file

    plain, inner = {"mean": [0.0] * 3, "std": [1.0] * 3}, getattr(network, "network", network)
    tensors = {key: value.contiguous() for key, value in inner.state_dict().items()}
    if name == "EVA-X":
        torch.save({"model": theirs(tensors, THEIRS_OF_SMALL)}, folder / f"{name}.pt")
        return
    if not hasattr(inner, "save_pretrained") and not hasattr(inner, "default_cfg") and name != "CLIP of open_clip":
        torch.save({f"features.{key}": value for key, value in tensors.items()}, folder / f"{name}.pt")
        return
    (folder / name).mkdir(exist_ok=True)
    config, weights = folder / name / "config.json", folder / name / "model.safetensors"
    if hasattr(inner, "save_pretrained"):
        inner.save_pretrained(folder / name)
        (folder / name / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False, "resample": 3}))
        return
    if name == "CLIP of open_clip":
        import open_clip

        told = {"model_cfg": open_clip.get_model_config("ViT-B-16"), "preprocess_cfg": plain}
        config, weights = config.with_name("open_clip_config.json"), weights.with_name("open_clip_model.safetensors")
        tensors = {f"visual.{key}": value for key, value in tensors.items()}
    else:
        pool = (
            inner.global_pool if isinstance(getattr(inner, "global_pool", None), str) else "avg"
        )  # of a ResNet it is a layer
        cfg = {**plain, "input_size": [3, side, side], "interpolation": "bicubic"}
        told = {"architecture": inner.default_cfg["architecture"], "global_pool": pool, "pretrained_cfg": cfg}  # fmt: skip
    config.write_text(json.dumps(told))
    save_file(tensors, weights)


def main() -> None:
    name, way, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    build, side, channels = MODELS[name]
    torch.manual_seed(0)
    network = build().eval()
    images = np.random.default_rng(0).integers(0, 256, (2, side, side), dtype=np.uint8)
    x = torch.from_numpy(images).float()[:, None].expand(-1, channels, -1, -1).contiguous() / 255
    with torch.no_grad():
        features = network(x).numpy()
        if way == "hub":
            keep(network, name, side, folder)
        else:
            export(network, x, way, folder / f"{name}.onnx")
    np.savez(folder / f"{name}.npz", images=images, features=features)


if __name__ == "__main__":
    main()
