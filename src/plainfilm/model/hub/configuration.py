"""What a folder's JSON says of its network: the family, the numbers that no tensor shows, and how images are prepared for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plainfilm.errors import WeightsError
from plainfilm.model.hub.folder import HubFolder, number, whole
from plainfilm.model.hub.layouts import LAYOUTS, TEXT_ALONE, TOWERS, Layout

DENSENET = "densenet121"
_MOST_SIDE = 2048  # pixels
_MOST_BLOCKS = 256
_ACTIVATIONS = frozenset({"gelu", "gelu_pytorch_tanh", "quick_gelu", "silu"})
_RESAMPLE = {1: "lanczos-antialias", 2: "bilinear-antialias", 3: "bicubic-antialias"}  # Pillow's numbers
_NAMED = {"lanczos": 1, "bilinear": 2, "bicubic": 3}
_TIMM_POOLS = {"token": "cls", "avg": "mean", "map": "map", "": "cls"}
_TIMM_KNOWN = re.compile(r"(vit|deit3?|flexivit)_(?!.*(rpn|xp|radio|intern))")
_TIMM_TANH = re.compile(r"vit_(base_patch32_siglip|giantopt|large_patch16_siglip(_gap)?_512|so400m_patch16_siglip)")
_TIMM_HEADS = {1152: 16, 1280: 16, 1408: 16, 1536: 24, 1664: 16}  # width: heads; else width / 64
EXPORT = (
    "Export it in two lines where its software is: images = torch.zeros(2, 3, SIDE, SIDE); "
    "torch.onnx.export(model, images, 'backbone.onnx', input_names=['images'], dynamic_axes={'images': {0: 'n'}}); and take "
    "--backbone backbone.onnx (docs/backbones.md)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What images become: `size` px a side, gray levels spread over `span`, less `mean`, by `std`."""

    size: int
    span: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: int = 3
    resample: str = "bicubic-antialias"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A network of a family of `LAYOUTS`, or `DENSENET`. 0 stands for what the tensors say."""

    family: str
    preparation: Preparation
    pooling: str
    heads: int = 0
    epsilon: float = 1e-6
    activation: str = "gelu"
    blocks: int = 0
    theta: float = 0.0
    is_doubled: bool = False
    head_sizes: Mapping[int, int] | None = None


def read(folder: HubFolder) -> Configuration:
    """Read what a folder says of its network.

    Raises
    ------
    WeightsError
        The kind of network is not known here, or a value is none.
    """
    if not folder.config:
        return Configuration(
            family=DENSENET, pooling="mean",
            preparation=Preparation(size=224, span=(-1024.0, 1024.0), channels=1, resample="bilinear-antialias"),
        )  # fmt: skip
    where = folder.path / folder.config_name
    if "model_cfg" in folder.config:
        return _open_clip(folder.config, where)
    if "architecture" in folder.config:
        return _timm(folder.config, where)
    return _transformers(folder, where)


def _transformers(folder: HubFolder, where: Path) -> Configuration:
    config, kind = folder.config, folder.config.get("model_type")
    if kind in TOWERS:
        config, kind = _table(config, "vision_config", where), TOWERS[str(kind)]
    if kind in TEXT_ALONE:
        raise WeightsError(
            f"Expected a network that takes images; received {where}, a text encoder (model_type {kind}). Fetch the model with its vision "
            "encoder."
        )
    if kind not in LAYOUTS or kind in {"timm", "open_clip"}:
        raise _unknown(f"model_type {kind!r}"[:80], where)
    layout = LAYOUTS[str(kind)]
    return Configuration(
        family=str(kind),
        pooling="map" if layout.attention_pool else "cls",
        preparation=_prepared(folder.preprocessor, _side(config.get("image_size", layout.image_size), "image_size", where), where),
        heads=whole(config.get("num_attention_heads", layout.heads), "num_attention_heads", where, most=256),
        epsilon=number(config.get("layer_norm_eps", layout.epsilon), "layer_norm_eps", where, low=0, high=0.1),
        activation=_activation(config.get("hidden_act", layout.activation), where),
        blocks=whole(config["num_hidden_layers"], "num_hidden_layers", where, most=_MOST_BLOCKS) if "num_hidden_layers" in config else 0,
        theta=number(_theta(config), "rope_theta", where, low=1, high=1e9) if kind == "dinov3_vit" else 0.0,
    )  # fmt: skip


def _theta(config: Mapping[str, Any]) -> Any:
    told = config.get("rope_parameters")
    return told.get("rope_theta", 100.0) if isinstance(told, Mapping) else config.get("rope_theta", 100.0)


def _timm(config: Mapping[str, Any], where: Path) -> Configuration:
    name = config["architecture"]
    if not isinstance(name, str) or not _TIMM_KNOWN.match(name) or "dinov3" in name:
        raise _unknown(f"architecture {name!r}"[:80], where)
    told = config.get("pretrained_cfg", config)
    told = told if isinstance(told, Mapping) else {}
    sides = told.get("input_size", (3, 224, 224))
    if not isinstance(sides, list | tuple) or len(sides) != 3 or sides[0] != 3:
        raise WeightsError(
            f"Expected input_size of 3 channels and two sides in {where}; received {sides!r:.60}. Fetch it again."
        )
    arguments = config.get("model_args")
    return _of_timm(
        name,
        _scaled(told, _side(sides[-1], "input_size", where), where, resample=_named(told.get("interpolation"))),
        str(config.get("global_pool", "avg" if "_gap_" in name else "token")),
        arguments if isinstance(arguments, Mapping) else {},
        where,
    )


def _of_timm(
    name: str, preparation: Preparation, pool: str, arguments: Mapping[str, Any], where: Path
) -> Configuration:
    if pool not in _TIMM_POOLS:
        raise WeightsError(
            f"Expected global_pool of token, avg or map in {where}; received {pool!r:.60}. Set backbone.pooling."
        )
    heads = whole(arguments["num_heads"], "num_heads", where, most=256) if "num_heads" in arguments else 0
    sizes = _TIMM_HEADS | ({1536: 16} if "giantopt" in name else {})
    return Configuration(
        family="timm", preparation=preparation, pooling=_TIMM_POOLS[pool], heads=heads, head_sizes=sizes,
        epsilon=1e-5 if "_clip_" in name else 1e-6,
        activation="quick_gelu" if "quickgelu" in name else "gelu_pytorch_tanh" if _TIMM_TANH.match(name) else "gelu",
    )  # fmt: skip


def _open_clip(config: Mapping[str, Any], where: Path) -> Configuration:
    model = _table(config, "model_cfg", where)
    vision = _table(model, "vision_cfg", where)
    told = config.get("preprocess_cfg")
    preparation = _scaled(
        told if isinstance(told, Mapping) else {}, _side(vision.get("image_size", 224), "image_size", where), where,
        default=((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    )  # fmt: skip
    name = vision.get("timm_model_name")
    if name is not None:
        if not isinstance(name, str) or not _TIMM_KNOWN.match(name):
            raise _unknown(f"timm_model_name {name!r}"[:80], where)
        return _of_timm(name, preparation, str(vision.get("timm_pool", "")), {}, where)
    if not isinstance(vision.get("width", 768), int) or isinstance(vision.get("layers", 12), list):
        raise _unknown("vision_cfg of a ResNet", where)
    strange = sorted(
        {"attentional_pool", "attn_pooler_queries", "pool_type", "no_ln_pre", "final_ln_after_pool"} & set(vision)
    )
    if strange:
        raise _unknown(f"vision_cfg with {strange[0]}", where)
    width = whole(vision.get("width", 768), "width", where)
    return Configuration(
        family="open_clip", preparation=preparation, pooling="cls", epsilon=1e-5,
        heads=max(1, width // whole(vision.get("head_width", 64), "head_width", where)),
        activation="quick_gelu" if model.get("quick_gelu") else "gelu",
        blocks=whole(vision.get("layers", 12), "layers", where, most=_MOST_BLOCKS),
    )  # fmt: skip


def _unknown(what: str, where: Path) -> WeightsError:
    known = ", ".join(
        [*(name for name in LAYOUTS if name not in {"timm", "open_clip"}), *TOWERS, "timm's vit_…", "open_clip's ViT"]
    )
    return WeightsError(f"Expected a network of {known}; received {what} in {where}. {EXPORT}")


def _table(config: Mapping[str, Any], key: str, where: Path) -> Mapping[str, Any]:
    found = config.get(key, {})
    if not isinstance(found, Mapping):
        raise WeightsError(f"Expected {key} to be an object in {where}; received something else. Fetch it again.")
    return found


def _activation(name: Any, where: Path) -> str:
    if name not in _ACTIVATIONS:
        raise WeightsError(
            f"Expected hidden_act of {', '.join(sorted(_ACTIVATIONS))} in {where}; received {name!r:.60}. {EXPORT}"
        )
    return str(name)


def _side(value: Any, key: str, where: Path) -> int:
    sides = value if isinstance(value, list | tuple) else [value]
    if len(set(map(repr, sides))) != 1:
        raise WeightsError(f"Expected {key} of a square in {where}; received {value!r:.60}. {EXPORT}")
    return whole(sides[0], key, where, most=_MOST_SIDE)


def _prepared(told: Mapping[str, Any], own: int, where: Path) -> Preparation:
    """Read preprocessor_config.json; where there is none, ImageNet's mean is no better than none: gray levels go from 0 to 1."""
    size = own
    for key in ("size", "crop_size"):
        if key in told and (key != "crop_size" or told.get("do_center_crop", True)):
            size = _told_side(told[key], key, where.with_name("preprocessor_config.json"))
    resample = told.get("resample", 3)
    factor = number(told.get("rescale_factor", 1 / 255), "rescale_factor", where, low=1e-6, high=1)
    factor = 1.0 if told.get("do_rescale") is False else factor
    scaled = told if told.get("do_normalize", True) else {}
    return _scaled(
        {"mean": scaled.get("image_mean", 0.0), "std": scaled.get("image_std", 1.0)}, size, where, span=(0.0, 255 * factor),
        resample=_RESAMPLE.get(resample if isinstance(resample, int) else 3, "bicubic-antialias"),
    )  # fmt: skip


def _told_side(value: Any, key: str, where: Path) -> int:
    if isinstance(value, Mapping):
        given = [value[name] for name in ("height", "width", "shortest_edge", "longest_edge") if name in value]
        return _side(given, key, where)
    return _side(value, key, where)


def _named(name: Any) -> str:
    return _RESAMPLE[_NAMED.get(name, 3) if isinstance(name, str) else 3]


def _scaled(
    told: Mapping[str, Any],
    size: int,
    where: Path,
    *,
    span: tuple[float, float] = (0.0, 1.0),
    default: tuple[tuple[float, ...], tuple[float, ...]] = ((0.0,) * 3, (1.0,) * 3),
    resample: str = "bicubic-antialias",
) -> Preparation:
    mean, std = (
        _channels(told.get(key, other), key, where) for key, other in zip(("mean", "std"), default, strict=True)
    )
    if min(std) <= 0:
        raise WeightsError(f"Expected std above 0 in {where}; received {std}. Fetch it again.")
    return Preparation(size=size, span=span, mean=mean, std=std, resample=resample)


def _channels(value: Any, key: str, where: Path) -> tuple[float, float, float]:
    values = value if isinstance(value, list | tuple) else [value] * 3
    if len(values) != 3:
        raise WeightsError(f"Expected {key} of three channels in {where}; received {value!r:.60}. Fetch it again.")
    first, second, third = (number(each, key, where, low=-1e4, high=1e4) for each in values)
    return first, second, third


def layout_of(configuration: Configuration) -> Layout:
    """Give the layout of a Vision Transformer."""
    return LAYOUTS[configuration.family]
