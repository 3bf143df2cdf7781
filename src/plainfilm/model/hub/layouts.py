"""Where each family of Vision Transformers keeps its tensors, and what its configuration leaves out."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names of a family's tensors without ".weight"; of a name with several forms the first that is there counts.

    Names from `norm1` to `scale2` stand behind `block`, whose {} is the block's number. `qkv` is one name of all three, or three, in the place
    of which `fused` may stand; `biases` are those of the three where they stand apart. `inner` and `middle` are norms before `out` and `down`.
    `antialias`: whether position embeddings are resized with it, as the library of the family does.
    """

    patch: str
    classes: str = ""
    registers: str = ""
    positions: str = ""
    before: str = ""
    block: str
    norm1: str = "norm1"
    qkv: tuple[str, ...]
    fused: str = ""
    biases: tuple[str, ...] = ()
    inner: str = ""
    out: str
    scale1: str = ""
    norm2: str = "norm2"
    gate: tuple[str, ...] = ()
    gate_activation: str = ""
    up: tuple[str, ...]
    middle: str = ""
    down: tuple[str, ...]
    scale2: str = ""
    norm: str
    pooled_norm: str = ""
    pooler: str = ""
    attention_pool: Mapping[str, str] = field(default_factory=dict)
    projection: str = ""
    aside: re.Pattern[str] = re.compile(r"(?!)")
    antialias: bool = False
    heads: int = 12
    epsilon: float = 1e-6
    activation: str = "gelu"
    image_size: int = 224
    resample: int = 3  # Pillow's number, of the family's image processor


_DINOV2 = Layout(
    patch="embeddings.patch_embeddings.projection", classes="embeddings.cls_token", positions="embeddings.position_embeddings",
    registers="embeddings.register_tokens", block="encoder.layer.{}.",
    qkv=("attention.attention.query", "attention.attention.key", "attention.attention.value"), out="attention.output.dense",
    scale1="layer_scale1.lambda1", up=("mlp.fc1", "mlp.weights_in"), down=("mlp.fc2", "mlp.weights_out"), scale2="layer_scale2.lambda1",
    norm="layernorm", aside=re.compile(r"embeddings\.mask_token$"),
)  # fmt: skip
_HEAD = {"latent": "head.probe", "fused": "head.attention.in_proj_", "out": "head.attention.out_proj", "norm": "head.layernorm",
         "up": "head.mlp.fc1", "down": "head.mlp.fc2"}  # fmt: skip
_CLIP = Layout(
    patch="embeddings.patch_embedding", classes="embeddings.class_embedding", positions="embeddings.position_embedding.weight",
    before="pre_layrnorm", block="encoder.layers.{}.", norm1="layer_norm1", qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    out="self_attn.out_proj", norm2="layer_norm2", up=("mlp.fc1",), down=("mlp.fc2",), norm="post_layernorm",
    projection="visual_projection", aside=re.compile(r"embeddings\.position_ids$"), epsilon=1e-5, activation="quick_gelu",
)  # fmt: skip
_TIMM = Layout(
    patch="patch_embed.proj", classes="cls_token", positions="pos_embed", registers="reg_token", before="norm_pre", block="blocks.{}.",
    qkv=("attn.qkv",), out="attn.proj", scale1="ls1.gamma", up=("mlp.fc1",), down=("mlp.fc2",), scale2="ls2.gamma", norm="norm",
    pooled_norm="fc_norm", attention_pool={
        "latent": "attn_pool.latent", "query": "attn_pool.q", "keys": "attn_pool.kv", "out": "attn_pool.proj", "norm": "attn_pool.norm",
        "up": "attn_pool.mlp.fc1", "down": "attn_pool.mlp.fc2"},
    projection="head.proj", aside=re.compile(r"(head|norm|fc_norm|attn_pool)\."), antialias=True,
)  # fmt: skip
_EVA = Layout(
    patch="patch_embed.proj", classes="cls_token", positions="pos_embed", block="blocks.{}.", qkv=("attn.q_proj", "attn.k_proj", "attn.v_proj"),
    fused="attn.qkv", biases=("attn.q_bias", "attn.k_bias", "attn.v_bias"), inner="attn.norm", out="attn.proj", scale1="gamma_1",
    gate=("mlp.fc1_g",), gate_activation="silu", up=("mlp.fc1_x", "mlp.fc1"), middle="mlp.norm", down=("mlp.fc2",), scale2="gamma_2",
    norm="norm", pooled_norm="fc_norm", aside=re.compile(r"head\.|(blocks\.\d+\.attn\.)?rope\.freqs_(cos|sin)$"), antialias=True,
)  # fmt: skip

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "dinov2": _DINOV2,
        "dinov2_with_registers": dataclasses.replace(_DINOV2, antialias=True),
        "dinov3_vit": Layout(
            patch="embeddings.patch_embeddings", classes="embeddings.cls_token", registers="embeddings.register_tokens", block="layer.{}.",
            qkv=("attention.q_proj", "attention.k_proj", "attention.v_proj"), out="attention.o_proj", scale1="layer_scale1.lambda1",
            gate=("mlp.gate_proj",), up=("mlp.up_proj",), down=("mlp.down_proj",), scale2="layer_scale2.lambda1", norm="norm",
            aside=re.compile(r"embeddings\.mask_token$"), heads=6, epsilon=1e-5, resample=2),
        "clip_vision_model": _CLIP,
        "siglip_vision_model": Layout(
            patch=_CLIP.patch, positions=_CLIP.positions, block=_CLIP.block, norm1=_CLIP.norm1, qkv=_CLIP.qkv, out=_CLIP.out,
            norm2=_CLIP.norm2, up=_CLIP.up, down=_CLIP.down, norm=_CLIP.norm, attention_pool=_HEAD,
            aside=re.compile(r"embeddings\.position_ids$|head\."), activation="gelu_pytorch_tanh"),
        "vit": Layout(
            patch=_DINOV2.patch, classes=_DINOV2.classes, positions=_DINOV2.positions, block=_DINOV2.block, norm1="layernorm_before",
            qkv=_DINOV2.qkv, out=_DINOV2.out, norm2="layernorm_after", up=("intermediate.dense",), down=("output.dense",), norm="layernorm",
            pooler="pooler.dense", aside=re.compile(r"embeddings\.mask_token$|pooler\."), epsilon=1e-12, resample=2),
        "timm": _TIMM,
        "eva02": _EVA,
        "eva02 masked": dataclasses.replace(  # as it was trained to fill in what is masked: its last norm is that of the mean
            _EVA, norm="", pooled_norm="norm", aside=re.compile(rf"{_EVA.aside.pattern}|mask_token$|lm_head\.")
        ),
        "timm dinov3": dataclasses.replace(_EVA, registers="reg_token", positions="", epsilon=1e-5),
        "open_clip": Layout(
            patch="conv1", classes="class_embedding", positions="positional_embedding", before="ln_pre", block="transformer.resblocks.{}.",
            norm1="ln_1", qkv=("attn.in_proj_",), out="attn.out_proj", scale1="ls_1.gamma", norm2="ln_2", up=("mlp.c_fc",),
            down=("mlp.c_proj",), scale2="ls_2.gamma", norm="ln_post", projection="proj", aside=re.compile(r"proj$"), epsilon=1e-5),
    }
)  # fmt: skip
TOWERS: Mapping[str, str] = MappingProxyType({"clip": "clip_vision_model", "siglip": "siglip_vision_model"})
NOT_OF_TRANSFORMERS = frozenset({"timm", "timm dinov3", "eva02", "eva02 masked", "open_clip"})
# Of checkpoints of EVA-02 and EVA-X: a part of a name, and what stands in its place where timm keeps it.
EVA_NAMES: Mapping[str, str] = MappingProxyType(
    {".mlp.ffn_ln.": ".mlp.norm.", ".attn.inner_attn_ln.": ".attn.norm.", ".mlp.w12.": ".mlp.fc1.", ".mlp.w1.": ".mlp.fc1_g.",
     ".mlp.w2.": ".mlp.fc1_x.", ".mlp.w3.": ".mlp.fc2."}
)  # fmt: skip
TEXT_ALONE = frozenset({"clip_text_model", "siglip_text_model", "bert", "roberta"})
