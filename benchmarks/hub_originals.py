"""Writes tests/model/hub/originals.json: what transformers, timm, open_clip and torchvision make of tiny networks with drawn weights.

Needs torch, transformers, timm, open_clip_torch and torchvision, none of which plainfilm or its tests need. Nothing is fetched.
Write: python benchmarks/hub_originals.py
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file, save_file
from timm.models.eva import Eva
from timm.models.eva import checkpoint_filter_fn as eva_filter
from timm.models.vision_transformer import checkpoint_filter_fn

from exported import THEIRS_OF_BASE, THEIRS_OF_SMALL, theirs

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from made_hub import ORIGINALS, images, tensor

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56, "patch_size": 14}
SHALLOW = {"embed_dim": 32, "depth": 2, "num_heads": 4}
Features = Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]


def drawn(model: torch.nn.Module) -> torch.nn.Module:
    """Give a network the weights that the tests draw."""
    values = {
        name: torch.from_numpy(tensor(name, value.shape))
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }
    model.load_state_dict(values, strict=False)
    return model.eval()


def row(
    model: torch.nn.Module, files: dict[str, Any], asked: list[tuple[int, dict[str, Any], Features]], channels: int = 3
) -> dict[str, Any]:
    """Describe a network, and what it makes of two images at each size."""
    shapes = {name: list(value.shape) for name, value in model.state_dict().items() if value.is_floating_point()}
    features = [
        {
            "size": size,
            **choice,
            "features": [
                [round(float(each), 6) for each in image]
                for image in take(model, torch.from_numpy(images(size, channels)))
            ],
        }
        for size, choice, take in asked
    ]
    return {"files": files, "shapes": shapes, "expected": features}


def of_transformers(kind: str, asked: list[tuple[int, dict[str, Any], Features]], **settings: Any) -> dict[str, Any]:
    """Take a class of transformers by the beginning of its name."""
    make, config = (
        getattr(transformers, f"{kind}Model"),
        getattr(transformers, f"{kind}Config")(**{**SMALL, **settings}),
    )
    with tempfile.TemporaryDirectory() as folder:
        make(config).save_pretrained(folder)  # under the names that files have, which memory has not
        weights = Path(folder, "model.safetensors")
        shapes = {name: list(value.shape) for name, value in load_file(weights).items()}
        save_file(
            {name: torch.from_numpy(tensor(name, shape)) for name, shape in shapes.items()}, weights, {"format": "pt"}
        )
        model = make.from_pretrained(folder).eval()
    return row(model, {"config.json": json.loads(config.to_json_string())}, asked) | {"shapes": shapes}


def pooled(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(pixel_values=x).pooler_output


def resized(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(pixel_values=x, interpolate_pos_encoding=True).pooler_output


def averaged(first: int) -> Features:
    return lambda model, x: model(pixel_values=x).last_hidden_state[:, first:].mean(1)


def of_timm(name: str, *, other: int = 0, **settings: Any) -> dict[str, Any]:
    """Take a network of timm's, at its size and with its positions resized to another."""
    model = drawn(timm.create_model(name, num_classes=0, img_size=64, **SHALLOW, **settings))
    cfg = {"input_size": [3, 64, 64], **{key: model.default_cfg[key] for key in ("mean", "std", "interpolation")}}
    grid = {key: settings[key] for key in ("ref_feat_shape",) if key in settings}
    files = {"config.json": {"architecture": name, "global_pool": model.global_pool, "pretrained_cfg": cfg,
                             "model_args": {"num_heads": SHALLOW["num_heads"], **grid}}}  # fmt: skip
    asked: list[tuple[int, dict[str, Any], Features]] = [(64, {}, lambda model, x: model(x))]
    if other:
        asked.append((other, {}, lambda model, x: at_size(name, model, other, settings)(x)))
    return row(model, files, asked)


def of_eva(name: str, *, other: int = 0, **settings: Any) -> dict[str, Any]:
    """Take an EVA-02 of timm's, whose hidden layer is 8/3 of its width."""
    return of_timm(name, other=other, patch_size=16, ref_feat_shape=4, **settings)


def of_eva_x(small: bool, other: int) -> dict[str, Any]:
    """Take EVA-X as its authors' eva_x.py builds it with timm, from a checkpoint under their names."""
    told = {"qkv_fused": small, "scale_mlp": not small, "mlp_ratio": 8 / 3, "swiglu_mlp": True, "use_rot_pos_emb": True}
    made = partial(
        Eva, patch_size=16, num_classes=0, embed_dim=128, depth=2, num_heads=2, ref_feat_shape=(14, 14), **told
    )
    kept = theirs(made(img_size=64).state_dict(), THEIRS_OF_SMALL if small else THEIRS_OF_BASE)
    shapes = {name: list(value.shape) for name, value in kept.items()}
    shapes |= {"lm_head.weight": [16, 128], "lm_head.bias": [16]}
    features = []
    for side in (64, other):
        model = made(img_size=side)
        drawn_ = {name: torch.from_numpy(tensor(name, shape)) for name, shape in shapes.items()}
        model.load_state_dict(eva_filter(drawn_, model))
        model.eval()
        features.append((side, {}, lambda _, x, own=model: own(x)))
    return row(model, {}, features) | {"shapes": shapes}


def at_size(name: str, model: torch.nn.Module, side: int, settings: dict[str, Any]) -> torch.nn.Module:
    grown = timm.create_model(name, num_classes=0, img_size=side, **SHALLOW, **settings)
    grown.load_state_dict(checkpoint_filter_fn(model.state_dict(), grown))
    return grown.eval()


def of_open_clip(vision: dict[str, Any], **settings: Any) -> dict[str, Any]:
    text = {"context_length": 8, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
    told = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text, **settings}
    model = drawn(open_clip.CLIP(**told))
    files = {
        "open_clip_config.json": {
            "model_cfg": told,
            "preprocess_cfg": {"mean": [0.48, 0.45, 0.4], "std": [0.26, 0.26, 0.27]},
        }
    }
    return row(model, files, [(vision["image_size"], {"output": "embedding"}, lambda model, x: model.encode_image(x))])


def of_densenet(channels: int) -> dict[str, Any]:
    model = torchvision.models.DenseNet(
        growth_rate=4, block_config=(2, 1, 1, 2), num_init_features=8, bn_size=2, num_classes=3
    )
    model.features.conv0 = torch.nn.Conv2d(channels, 8, 7, 2, 3, bias=False)
    asked: Features = lambda model, x: torch.relu(model.features(x)).mean((2, 3))  # noqa: E731 - as torchvision's own forward
    return row(drawn(model), {}, [(64, {}, asked)], channels)


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    mean = {"pooling": "mean"}
    yield (
        "dinov2",
        of_transformers("Dinov2", [(56, {}, pooled), (84, {}, pooled), (28, {}, pooled), (56, mean, averaged(1))]),
    )
    yield "dinov2 gated", of_transformers("Dinov2", [(56, {}, pooled)], use_swiglu_ffn=True)
    yield (
        "dinov2_with_registers",
        of_transformers(
            "Dinov2WithRegisters", [(56, {}, pooled), (84, {}, pooled), (28, {}, pooled), (56, mean, averaged(5))]
        ),
    )
    third = {"patch_size": 16, "image_size": 64, "intermediate_size": 64, "num_register_tokens": 2}
    yield (
        "dinov3_vit",
        of_transformers("DINOv3ViT", [(64, {}, pooled), (96, {}, pooled), (64, mean, averaged(3))], **third),
    )
    yield (
        "dinov3_vit gated",
        of_transformers("DINOv3ViT", [(64, {}, pooled)], use_gated_mlp=True, hidden_act="silu", **third),
    )
    both = [(56, {}, pooled), (84, {}, resized)]
    yield "clip_vision_model", of_transformers("CLIPVision", both, intermediate_size=64)
    yield "siglip_vision_model", of_transformers("SiglipVision", both, intermediate_size=64)
    first: Features = lambda model, x: model(pixel_values=x).last_hidden_state[:, 0]  # noqa: E731 - one of a row
    yield "vit", of_transformers("ViT", [(56, {}, first), (56, {"pooling": "pooler"}, pooled)], intermediate_size=64)
    yield "timm token", of_timm("vit_small_patch16_224", other=96)
    yield "timm registers", of_timm("vit_small_patch14_reg4_dinov2", patch_size=16, other=96)
    yield "timm mean", of_timm("vit_medium_patch16_gap_240")
    yield "timm map", of_timm("vit_so400m_patch14_siglip_224", patch_size=16)
    yield "timm clip", of_timm("vit_base_patch32_clip_quickgelu_224", patch_size=16)
    yield "eva02 small", of_eva("eva02_small_patch14_224", other=96)
    yield "eva02 base", of_eva("eva02_base_patch14_224", other=96)
    yield "eva02 clip", of_eva("eva02_base_patch16_clip_224")
    yield "timm dinov3", of_timm("vit_small_patch16_dinov3", other=96)
    yield "timm dinov3 gated", of_timm("vit_small_plus_patch16_dinov3")
    yield "eva_x small", of_eva_x(True, 96)
    yield "eva_x base", of_eva_x(False, 96)
    yield (
        "open_clip",
        of_open_clip({"image_size": 56, "layers": 2, "width": 32, "patch_size": 14, "head_width": 8}, quick_gelu=True),
    )
    yield "densenet121", of_densenet(3)
    yield "xrv_densenet121", of_densenet(1)


if __name__ == "__main__":
    with torch.no_grad():
        found = dict(rows())
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(each, separators=(',', ':'))}" for name, each in found.items())
    ORIGINALS.write_text(f"{{\n{lines}\n}}\n")
    print(f"{ORIGINALS}: {len(found)} networks, {ORIGINALS.stat().st_size / 1e3:.0f} kB")
