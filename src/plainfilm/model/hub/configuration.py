"""What a folder's JSON says of its network: the family, the numbers that no tensor shows, and how images are prepared for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plainfilm.errors import WeightsError
from plainfilm.model.hub import eva
from plainfilm.model.hub.folder import HubFolder, number, whole
from plainfilm.model.hub.layouts import LAYOUTS, NOT_OF_TRANSFORMERS, TEXT_ALONE, TOWERS, Layout

DENSENET = "densenet121"
_MOST_SIDE = 2048  # pixels
_MOST_BLOCKS = 256
_ACTIVATIONS = frozenset({"gelu", "gelu_pytorch_tanh", "quick_gelu", "silu"})
_RESAMPLE = {1: "lanczos-antialias", 2: "bilinear-antialias", 3: "bicubic-antialias"}  # Pillow's numbers
_NAMED = {"lanczos": 1, "bilinear": 2, "bicubic": 3}
_LEAST_STD = 1e-3  # for gray levels of 0 to 1 or more
_PREPARING = frozenset(
    "size crop_size resample rescale_factor image_mean image_std do_resize do_center_crop do_rescale do_normalize do_convert_rgb "
    "image_processor_type feature_extractor_type processor_class data_format input_data_format default_to_square device return_tensors "
    "disable_grouping crop_pct _valid_processor_keys image_seq_length".split()
)  # what a preprocessor's file may set; all else must be off
_OWN_RESAMPLE = {"ViT": 2, "DINOv3ViT": 2, "CLIP": 3, "Siglip": 3, "Bit": 3, "DeiT": 3}  # of transformers' processors
_SETS_NOTHING = frozenset(
    "num_classes num_features img_size drop_rate pos_drop_rate patch_drop_rate proj_drop_rate attn_drop_rate drop_path_rate weight_init fix_init "
    "dynamic_img_size strict_img_size global_pool num_heads embed_dim depth class_token reg_tokens no_embed_class patch_size pre_norm qk_norm "
    "qkv_bias proj_bias init_values fc_norm final_norm mlp_ratio in_chans pos_embed head_init_scale pretrained pretrained_strict".split()
)  # arguments of timm's that the tensors show, that are read here, or that change nothing once a network is trained
_VISION = frozenset(
    "image_size layers width head_width mlp_ratio patch_size ls_init_value patch_dropout output_tokens timm_model_name timm_model_pretrained "
    "timm_pool timm_proj timm_proj_bias timm_drop timm_drop_path attn_pooler_queries attn_pooler_heads".split()
)  # the same of open_clip's vision_cfg
_TIMM_POOLS = {"token": "cls", "avg": "mean", "map": "map"}
_TIMM_KNOWN = re.compile(
    r"(?:vit|deit3?)_(?:tiny|xsmall|wee|little|small|mediumd?|betwixt|base|large|huge|giant|giantopt|gigantic|so150m2?|so400m)_patch\d+(?:_36x1)?"
    r"(?:_plus)?(?:_clip(?:_quickgelu)?|_siglip)?(?:_reg\d)?(?:_gap|_map)?(?:_dinov2|_tipsv2)?(?:_\d+)?(?:_miil)?|flexivit_(?:small|base|large)"
)  # those of plain blocks
_EVA_KNOWN = re.compile(r"eva02_(?:tiny|small|base|large)_patch1[46](?:_clip)?_\d+")
_DINOV3_KNOWN = re.compile(r"vit_(?:small|small_plus|base|large)_patch16_dinov3(?:_qkvb)?")
_DINOV3_THETA = 100.0
_EVA_GRID, _EVA_THETA = 16, 10_000.0  # of all names of timm's
_SETS_NOTHING_OF_EVA = frozenset(
    "qkv_fused scale_mlp scale_attn_inner ref_feat_shape swiglu_mlp use_rot_pos_emb".split()
)  # the tensors show them
_EVA_X = (0.49185243, 0.28509309)  # mean and deviation of what it was trained on, as its authors' datasets.py has them
_TIMM_TANH = re.compile(r"vit_(base_patch32_siglip|giantopt|large_patch16_siglip(_gap)?_512|so400m_patch16_siglip)")
_TIMM_HEADS = {1152: 16, 1280: 16, 1408: 16, 1536: 24, 1664: 16}  # width: heads; else width / 64
_TIMM_OTHER_HEADS = {"vit_base_patch16_gap_224": {768: 16}}
EXPORT = (
    "Export it in two lines where its software is: images = torch.zeros(2, 3, SIDE, SIDE); "
    "torch.onnx.export(model, images, 'backbone.onnx', input_names=['images'], dynamic_axes={'images': {0: 'n'}}); and take "
    "--backbone backbone.onnx (docs/backbones.md)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What images become: `size` px a side, gray levels spread over `span`, less `mean`, by `std`, which are None where no file says them."""

    size: int
    span: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, float, float] | None = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] | None = (1.0, 1.0, 1.0)
    channels: int = 3
    resample: str = "bicubic-antialias"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A network of a family of `LAYOUTS`, or `DENSENET`. 0 stands for what the tensors say; `grid` patches a side are what EVA-02 counts its places by."""

    family: str
    preparation: Preparation
    pooling: str
    heads: int = 0
    epsilon: float = 1e-6
    activation: str = "gelu"
    blocks: int = 0
    theta: float = 0.0
    grid: int = 0
    head_sizes: Mapping[int, int] | None = None
    width: int = 0
    patch: int = 0


def read(folder: HubFolder) -> Configuration:
    """Read what a folder says of its network.

    Raises
    ------
    WeightsError
        The kind of network is not known here, or a value is none.
    """
    if not folder.config_name:
        return _checkpoint(folder)
    where = folder.path / folder.config_name
    if "model_cfg" in folder.config:
        return _open_clip(folder.config, where)
    if "architecture" in folder.config:
        return _timm(folder.config, where)
    return _transformers(folder, where)


def _checkpoint(folder: HubFolder) -> Configuration:
    """Tell a DenseNet and an EVA-02, such as EVA-X, by the names of their tensors."""
    if weights := eva.opened(folder):
        size, patch, family = eva.described(weights)
        mean, std = _EVA_X if patch == eva.PATCH_OF_EVA_X else (None, None)  # another was trained on what nothing tells
        return Configuration(
            family=family, pooling="mean", theta=_EVA_THETA, grid=max(1, eva.TRAINED_AT // patch), patch=patch,
            preparation=_scaled(mean, std, size, folder.path, resample="bicubic-antialias"),
        )  # fmt: skip
    return Configuration(
        family=DENSENET, pooling="mean",
        preparation=Preparation(size=224, span=(-1024.0, 1024.0), channels=1, resample="bilinear-antialias"),
    )  # fmt: skip


def _transformers(folder: HubFolder, where: Path) -> Configuration:
    config, kind = folder.config, folder.config.get("model_type")
    if not isinstance(kind, str):
        raise _unknown(f"model_type {kind!r}"[:80], where)
    if kind in TOWERS:
        config, kind = _table(config, "vision_config", where), TOWERS[str(kind)]
    if kind in TEXT_ALONE:
        raise WeightsError(
            f"Expected a network that takes images; received {where}, a text encoder (model_type {kind}). Fetch the model with its vision "
            "encoder."
        )
    if kind not in LAYOUTS or kind in NOT_OF_TRANSFORMERS:
        raise _unknown(f"model_type {kind!r}"[:80], where)
    layout = LAYOUTS[str(kind)]
    config = {key: value for key, value in config.items() if value is not None}
    if config.get("num_channels", 3) != 3 or config.get("pooler_act", "tanh") != "tanh":
        raise _unknown("num_channels other than 3, or a pooler_act other than tanh,", where)
    return Configuration(
        family=str(kind),
        pooling="map" if layout.attention_pool else "cls",
        preparation=_prepared(folder, _side(config.get("image_size", layout.image_size), "image_size", where), layout),
        width=whole(config.get("hidden_size", 64 * layout.heads), "hidden_size", where),
        patch=_side(config["patch_size"], "patch_size", where) if "patch_size" in config else 0,
        heads=whole(config.get("num_attention_heads", layout.heads), "num_attention_heads", where, most=256),
        epsilon=number(config.get("layer_norm_eps", layout.epsilon), "layer_norm_eps", where, low=0, high=0.1),
        activation=_activation(config.get("hidden_act", layout.activation), where),
        blocks=whole(config["num_hidden_layers"], "num_hidden_layers", where, most=_MOST_BLOCKS) if "num_hidden_layers" in config else 0,
        theta=number(_theta(config), "rope_theta", where, low=1, high=1e9) if kind == "dinov3_vit" else 0.0,
    )  # fmt: skip


def _theta(config: Mapping[str, Any]) -> Any:
    told = config.get("rope_parameters", config.get("rope_scaling"))
    if not isinstance(told, Mapping):
        return config.get("rope_theta", 100.0)
    is_plain = told.get("rope_type", told.get("type", "default")) == "default"
    return told.get("rope_theta", config.get("rope_theta", 100.0)) if is_plain else None


def _timm(config: Mapping[str, Any], where: Path) -> Configuration:
    name = config["architecture"]
    if not _is_known_to_timm(name):
        raise _unknown(f"architecture {name!r}"[:80], where)
    told = config.get("pretrained_cfg", config)
    told = told if isinstance(told, Mapping) else {}
    sides = told.get("input_size", (3, 224, 224))
    if not isinstance(sides, list | tuple) or len(sides) != 3 or sides[0] != 3:
        raise WeightsError(
            f"Expected input_size of 3 channels and two sides in {where}; received {sides!r:.60}. Fetch it again."
        )
    arguments = _table(config, "model_args", where)
    pool = config.get("global_pool", arguments.get("global_pool"))
    preparation = _scaled(
        told.get("mean"), told.get("std"), _side(list(sides[1:]), "input_size", where), where,
        resample=_named(told.get("interpolation"), "interpolation", where),
    )  # fmt: skip
    return _of_timm(name, preparation, pool, arguments, where)


def _is_known_to_timm(name: Any) -> bool:
    return isinstance(name, str) and any(known.fullmatch(name) for known in (_TIMM_KNOWN, _EVA_KNOWN, _DINOV3_KNOWN))


def _of_timm(
    name: str, preparation: Preparation, pool: Any, arguments: Mapping[str, Any], where: Path
) -> Configuration:
    if _EVA_KNOWN.fullmatch(name) or _DINOV3_KNOWN.fullmatch(name):
        return _of_eva(name, preparation, pool, arguments, where)
    own = "avg" if "_gap" in name else "map" if re.search("_siglip|_map", name) else "token"
    _check_arguments(arguments, where)
    return Configuration(
        family="timm", preparation=preparation, pooling=_timm_pool(pool or own),
        heads=whole(arguments["num_heads"], "num_heads", where, most=256) if arguments.get("num_heads") is not None else 0,
        head_sizes=_TIMM_HEADS | ({1536: 16} if "giantopt" in name else {}) | _TIMM_OTHER_HEADS.get(name, {}),
        epsilon=1e-5 if "_clip_" in name else 1e-6,
        activation="quick_gelu" if "quickgelu" in name else "gelu_pytorch_tanh" if _TIMM_TANH.match(name) else "gelu",
    )  # fmt: skip


def _of_eva(name: str, preparation: Preparation, pool: Any, arguments: Mapping[str, Any], where: Path) -> Configuration:
    grid, is_dinov3 = arguments.get("ref_feat_shape"), bool(_DINOV3_KNOWN.fullmatch(name))
    _check_arguments(arguments, where, _SETS_NOTHING if is_dinov3 else _SETS_NOTHING | _SETS_NOTHING_OF_EVA)
    if arguments.get("use_rot_pos_emb") is False:
        raise _unknown("model_args with use_rot_pos_emb false", where)
    family, own = ("timm dinov3", "avg") if is_dinov3 else ("eva02", "token" if "_clip_" in name else "avg")
    return Configuration(
        family=family, preparation=preparation, pooling=_timm_pool(pool or own), epsilon=LAYOUTS[family].epsilon,
        theta=_DINOV3_THETA if is_dinov3 else _EVA_THETA,
        heads=whole(arguments["num_heads"], "num_heads", where, most=256) if arguments.get("num_heads") is not None else 0,
        grid=0 if is_dinov3 else _EVA_GRID if grid is None else _side(grid, "ref_feat_shape", where),
    )  # fmt: skip


def _timm_pool(pool: Any) -> str:
    """Give our name of a pooling; one that is not known here is refused only where a recipe does not say another."""
    return _TIMM_POOLS.get(pool, pool[:40]) if isinstance(pool, str) else repr(pool)[:40]


def _check_arguments(arguments: Mapping[str, Any], where: Path, known: frozenset[str] = _SETS_NOTHING) -> None:
    """Refuse arguments of timm's that make another network than its name, in a way that no tensor shows."""
    told = {key: value for key, value in arguments.items() if value is not None}
    strange = _strange(told, known)
    strange = strange or ("embed_dim without num_heads" if "embed_dim" in told and "num_heads" not in told else "")
    strange = strange or ("in_chans other than 3" if told.get("in_chans", 3) != 3 else "")
    strange = strange or ("pos_embed other than learn" if told.get("pos_embed", "learn") != "learn" else "")
    if strange:
        raise _unknown(f"model_args with {strange}", where)
    if "img_size" in told:
        _side(told["img_size"], "img_size", where)


def _strange(told: Mapping[str, Any], known: frozenset[str]) -> str:
    """Name a value that is set and not known: nobody could say that it changes nothing."""
    unset: tuple[Any, ...] = (None, False, "", [], {})
    return next((key[:40] for key, value in sorted(told.items()) if key not in known and value not in unset), "")


def _open_clip(config: Mapping[str, Any], where: Path) -> Configuration:
    model = _table(config, "model_cfg", where)
    vision = _table(model, "vision_cfg", where)
    told = _table(config, "preprocess_cfg", where)
    preparation = _scaled(
        told.get("mean") or (0.48145466, 0.4578275, 0.40821073), told.get("std") or (0.26862954, 0.26130258, 0.27577711),
        _side(vision.get("image_size", 224), "image_size", where), where,
        resample=_named(told.get("interpolation"), "interpolation", where),
    )  # fmt: skip
    is_plain = (vision.get("pos_embed_type", "learnable"), vision.get("pool_type", "tok")) == ("learnable", "tok")
    strange = _strange(vision, _VISION | {"pos_embed_type", "pool_type"} if is_plain else _VISION)
    if strange:
        raise _unknown(f"vision_cfg with {strange}", where)
    name = vision.get("timm_model_name")
    if name is not None:
        if not _is_known_to_timm(name):
            raise _unknown(f"timm_model_name {name!r}"[:80], where)
        return _of_timm(name, preparation, vision.get("timm_pool", "avg"), {}, where)
    if not isinstance(vision.get("width", 768), int) or isinstance(vision.get("layers", 12), list):
        raise _unknown("vision_cfg of a ResNet", where)
    width = whole(vision.get("width", 768), "width", where)
    return Configuration(
        family="open_clip", preparation=preparation, pooling="cls", epsilon=1e-5,
        heads=max(1, width // whole(vision.get("head_width", 64), "head_width", where)),
        activation="quick_gelu" if _flag(model, "quick_gelu", where, default=False) else "gelu",
        blocks=whole(vision.get("layers", 12), "layers", where, most=_MOST_BLOCKS), width=width,
        patch=_side(vision.get("patch_size", 16), "patch_size", where),
    )  # fmt: skip


def _unknown(what: str, where: Path) -> WeightsError:
    known = ", ".join(
        [
            *(name for name in LAYOUTS if name not in NOT_OF_TRANSFORMERS),
            *TOWERS,
            "timm's vit_… and eva02_…",
            "open_clip's ViT",
        ]
    )
    return WeightsError(f"Expected a network of {known}; received {what} in {where}. {EXPORT}")


def _table(config: Mapping[str, Any], key: str, where: Path) -> Mapping[str, Any]:
    found = {} if config.get(key) is None else config[key]
    if not isinstance(found, Mapping):
        raise WeightsError(f"Expected {key} to be an object in {where}; received something else. Fetch it again.")
    return found


def _activation(name: Any, where: Path) -> str:
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise WeightsError(
            f"Expected hidden_act of {', '.join(sorted(_ACTIVATIONS))} in {where}; received {name!r:.60}. {EXPORT}"
        )
    return name


def _side(value: Any, key: str, where: Path) -> int:
    sides = value if isinstance(value, list | tuple) else [value]
    if len(set(map(repr, sides))) != 1:
        raise WeightsError(f"Expected {key} of a square in {where}; received {value!r:.60}. {EXPORT}")
    return whole(sides[0], key, where, most=_MOST_SIDE)


def _prepared(folder: HubFolder, own: int, layout: Layout) -> Preparation:
    """Read what a preprocessor's file says; null says nothing."""
    told = {key: value for key, value in folder.preprocessor.items() if value is not None}
    where, size = folder.path / (folder.preprocessor_name or folder.config_name), own
    if strange := _strange(told, _PREPARING):
        raise _unknown(f"images prepared with {strange}", where)
    if told.get("do_center_crop") is True and "size" in told and "crop_size" not in told:
        raise _unknown("images prepared with do_center_crop and no crop_size", where)
    for key in ("size", "crop_size"):
        if key in told and (key != "crop_size" or _flag(told, "do_center_crop", where)):
            size = _told_side(told[key], key, where)
    factor = number(told.get("rescale_factor", 1 / 255), "rescale_factor", where, low=1e-6, high=1)
    factor = factor if _flag(told, "do_rescale", where) else 1.0
    is_scaled = _flag(told, "do_normalize", where)
    mean, std = (told.get("image_mean"), told.get("image_std")) if is_scaled else (0.0, 1.0)
    if (mean is None or std is None) and round(255 * factor, 6) != 1:
        raise WeightsError(f"Expected image_mean and image_std in {where}; received none. Fetch it again.")
    return _scaled(
        mean, std, size, where, span=(0.0, 255 * factor), prefix="image_",
        resample=_named(told.get("resample", _own_resample(told, layout, where)), "resample", where),
    )  # fmt: skip


def _own_resample(told: Mapping[str, Any], layout: Layout, where: Path) -> int:
    """Give the number of the resizing that an image processor takes where its file names none."""
    kind = told.get("image_processor_type", told.get("feature_extractor_type"))
    if kind is None:
        return layout.resample
    name = re.sub("(ImageProcessor|FeatureExtractor)(Fast|Pil)?$", "", str(kind))
    if name not in _OWN_RESAMPLE and "resample" not in told:
        raise _unknown(f"{kind!r:.60} without resample", where)
    return _OWN_RESAMPLE.get(name, 0)


def _flag(told: Mapping[str, Any], key: str, where: Path, *, default: bool = True) -> bool:
    value = told.get(key, default)
    if not isinstance(value, bool):
        raise WeightsError(f"Expected {key} of true or false in {where}; received {value!r:.60}. Fetch it again.")
    return value


def _told_side(value: Any, key: str, where: Path) -> int:
    if isinstance(value, Mapping):
        names = ("height", "width", "shortest_edge", "longest_edge")
        given = [value[name] for name in names if value.get(name) is not None]
        if not given:
            raise WeightsError(
                f"Expected {key} with {', '.join(names[:3])} or {names[3]} in {where}; received {dict(value)!r:.60}. Fetch it again, or write there "
                'what the model\'s page states, as {"height": 224, "width": 224}.'
            )
        return _side(given, key, where)
    return _side(value, key, where)


def _named(value: Any, key: str, where: Path) -> str:
    """Give our name of a resizing, told by Pillow's number or by its own name; None is bicubic, the libraries' own."""
    number_ = _NAMED.get(value.lower()) if isinstance(value, str) else 3 if value is None else value
    if isinstance(number_, bool) or not isinstance(number_, int) or number_ not in _RESAMPLE:
        known = ", ".join(f"{each} ({name})" for name, each in _NAMED.items())
        raise WeightsError(f"Expected {key} of {known} in {where}; received {value!r:.60}. {EXPORT}")
    return _RESAMPLE[number_]


def _scaled(
    mean: Any,
    std: Any,
    size: int,
    where: Path,
    *,
    resample: str,
    span: tuple[float, float] = (0.0, 1.0),
    prefix: str = "",
) -> Preparation:
    if mean is None or std is None:
        return Preparation(size=size, span=span, mean=None, std=None, resample=resample)
    return Preparation(
        size=size, span=span, resample=resample, mean=_channels(mean, f"{prefix}mean", where, low=-1e4),
        std=_channels(std, f"{prefix}std", where, low=_LEAST_STD),
    )  # fmt: skip


def _channels(value: Any, key: str, where: Path, *, low: float) -> tuple[float, float, float]:
    values = value if isinstance(value, list | tuple) else [value] * 3
    if len(values) != 3:
        raise WeightsError(f"Expected {key} of three channels in {where}; received {value!r:.60}. Fetch it again.")
    first, second, third = (number(each, key, where, low=low, high=1e4) for each in values)
    return first, second, third


def layout_of(configuration: Configuration) -> Layout:
    """Give the layout of a Vision Transformer."""
    return LAYOUTS[configuration.family]
