"""Networks from hubs give what their own software gives, and what is none of them is refused in one line."""

import json
import struct
import zipfile

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import made_hub
from plainfilm.errors import PlainfilmError, RecipeError, WeightsError
from plainfilm.model import backbones, encoder
from plainfilm.model.hub import configuration, folder, network
from plainfilm.model.onnx.from_keras import Graph, float_output
from plainfilm.model.onnx_safety.check import check

ORIGINALS = made_hub.originals()
CASES = [(name, each) for name, original in ORIGINALS.items() for each in original["expected"]]
DINO = ORIGINALS["dinov2"]


def built(path, size, **choice):
    opened, graph = folder.open_folder(path), Graph()
    channels = network.preparation(opened).channels
    features, width = network.add(graph, opened, "x", size, **choice)
    graph.node("Identity", [features], output="features")
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, size, size])
    return graph.model([taken], [float_output("features", width)]), channels


def encoded(path, size, **choice):
    model, channels = built(path, size, **choice)
    return ort.InferenceSession(model.SerializeToString()).run(None, {"x": made_hub.images(size, channels)})[0]


def written(folder_, name):
    """Write an original; one without a configuration as PyTorch writes a state dict."""
    original = ORIGINALS[name]
    return (
        made_hub.write(folder_, original) if original["files"] else torch_file(folder_ / "net.pt", original["shapes"])
    )


def torch_file(path, shapes, but=None):
    """Write what torch.save writes of a state dict, without PyTorch: its pickle asks for three names. Tensors in `but` are others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = b"\x80\x02ccollections\nOrderedDict\n)R("
    for number, (name, shape) in enumerate(shapes.items()):
        size, strides = int(np.prod(shape)), np.cumprod([1, *shape[:0:-1]])[::-1].tolist()
        body += string(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        body += (
            string("storage") + b"ctorch\nFloatStorage\n" + string(str(number)) + string("cpu") + whole(size) + b"tQ"
        )
        body += whole(0) + b"(" + b"".join(map(whole, shape)) + b"t(" + b"".join(map(whole, strides)) + b"t\x89"
        body += b"ccollections\nOrderedDict\n)RtR"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", body + b"u.")
        for number, (name, shape) in enumerate(shapes.items()):
            drawn = (but or {}).get(name, made_hub.tensor(name, shape))
            archive.writestr(f"net/data/{number}", drawn.astype(np.float32).tobytes())
    return path


def string(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def whole(number):
    return b"J" + struct.pack("<i", number)


@pytest.mark.parametrize(("name", "wanted"), CASES, ids=[f"{name} {each['size']}" for name, each in CASES])
def test_features_are_those_of_the_networks_own_software(name, wanted, tmp_path):
    choice = {key: wanted[key] for key in ("pooling", "output") if key in wanted}
    found = encoded(written(tmp_path / "net", name), wanted["size"], **choice)
    np.testing.assert_allclose(found, wanted["features"], rtol=1e-4, atol=1e-4)
    assert np.std(found) > 0.01


@pytest.mark.parametrize("name", ["dinov2_with_registers", "dinov3_vit", "siglip_vision_model", "timm mean"])
def test_a_bundle_may_hold_them(name, tmp_path):
    opened, graph = folder.open_folder(written(tmp_path / "net", name)), Graph()
    gray = graph.node("Unsqueeze", [graph.node("Cast", ["images"], to=TensorProto.FLOAT), graph.weight(np.array([1]))])
    x = graph.node("Concat", [gray] * 3, axis=1)
    features, width = network.add(graph, opened, x, 64)
    graph.node("Identity", [features], output="features")
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 64, 64])
    checked = check(graph.model([images], [float_output("features", width)]).SerializeToString(), outputs=("features",))
    assert checked.widths["features"] == width


def test_shards_halves_and_pickles_give_the_same(tmp_path):
    from safetensors.numpy import save_file

    wanted = encoded(made_hub.write(tmp_path / "one", DINO), 56)
    many = made_hub.write(tmp_path / "many", DINO)
    (many / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + at % 2}-of-00002.safetensors" for at, name in enumerate(DINO["shapes"])}
    for file in set(places.values()):
        save_file(
            {name: made_hub.tensor(name, DINO["shapes"][name]) for name in places if places[name] == file}, many / file
        )
    (many / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    np.testing.assert_array_equal(encoded(many, 56), wanted)
    pickled = made_hub.write(tmp_path / "pickled", DINO)
    (pickled / "model.safetensors").unlink()
    torch_file(pickled / "pytorch_model.bin", DINO["shapes"])
    np.testing.assert_array_equal(encoded(pickled, 56), wanted)
    halves = {name: made_hub.tensor(name, shape).astype(np.float16) for name, shape in DINO["shapes"].items()}
    np.testing.assert_allclose(encoded(made_hub.write(tmp_path / "halves", DINO, but=halves), 56), wanted, atol=0.02)


def test_bfloat16_is_read_as_it_is(tmp_path):
    import ml_dtypes

    rounded = {name: made_hub.tensor(name, shape).astype(ml_dtypes.bfloat16) for name, shape in DINO["shapes"].items()}
    made_hub.write(tmp_path / "brain", DINO, but=rounded)
    as_float = {name: value.astype(np.float32) for name, value in rounded.items()}
    wanted = encoded(made_hub.write(tmp_path / "float", DINO, but=as_float), 56)
    np.testing.assert_array_equal(encoded(tmp_path / "brain", 56), wanted)


def test_fewer_blocks_are_those_before(tmp_path):
    path = made_hub.write(tmp_path / "net", DINO)
    short = {**DINO, "shapes": {name: shape for name, shape in DINO["shapes"].items() if ".layer.1." not in name}}
    short["files"] = {"config.json": DINO["files"]["config.json"] | {"num_hidden_layers": 1}}
    wanted = encoded(made_hub.write(tmp_path / "short", short), 56)
    np.testing.assert_array_equal(encoded(path, 56, depth=1), wanted)
    with pytest.raises(RecipeError, match=r"backbone\.depth up to 2"):
        encoded(path, 56, depth=3)


def with_config(**values):
    return {**DINO, "files": {"config.json": DINO["files"]["config.json"] | values}}


def eva_with(**values):
    told = ORIGINALS["eva02 small"]
    config = told["files"]["config.json"]
    return {**told, "files": {"config.json": {**config, "model_args": config["model_args"] | values}}}


FIRST = "encoder.layer.0.mlp.fc1.weight"
BROKEN = {
    "kind": (with_config(model_type="swinv2"), {}, "model_type 'swinv2'.*torch.onnx.export"),
    "text": (with_config(model_type="clip_text_model"), {}, "a text encoder"),
    "timm kind": ({**DINO, "files": {"config.json": {"architecture": "vit_base_patch16_rpn_224"}}}, {}, "architecture 'vit_base"),
    "heads": (with_config(num_attention_heads=5), {}, "that 5 heads divide"),
    "no heads": (with_config(num_attention_heads=0), {}, "num_attention_heads from 1 to 256"),
    "heads as text": (with_config(num_attention_heads="4"), {}, "num_attention_heads from 1"),
    "activation": (with_config(hidden_act="mish"), {}, "hidden_act of gelu"),
    "epsilon": (with_config(layer_norm_eps=float("nan")), {}, "layer_norm_eps from 0"),
    "blocks": (with_config(num_hidden_layers=3), {}, "Expected 3 blocks; received 2"),
    "many blocks": (with_config(num_hidden_layers=10**9), {}, "num_hidden_layers from 1 to 256"),
    "kind as list": (with_config(model_type=["dinov2"]), {}, "model_type \\['dinov2"),
    "activation as list": (with_config(hidden_act=["gelu"]), {}, "hidden_act of gelu"),
    "width": (with_config(hidden_size=48), {}, "a width of 48, as the configuration says; received 32"),
    "patches": (with_config(patch_size=8), {}, "patches of 8 px, as the configuration says; received 14"),
    "channels": (with_config(num_channels=1), {}, "num_channels other than 3"),
    "gate of another family": (
        DINO, {FIRST: np.zeros((256, 32), np.float32), FIRST.replace("weight", "bias"): np.zeros(256, np.float32)}, r"fc2.weight of shape \[32, 256\]",
    ),
    "matrix without sides": (DINO, {FIRST: np.array(1, np.float32)}, r"fc1.weight of 2 axes and no empty one; received shape \[\]"),
    "one position": (DINO, {"embeddings.position_embeddings": np.zeros((1, 1, 32), np.float32)}, "a square of patches"),
    "empty positions": (DINO, {"embeddings.position_embeddings": np.zeros((1, 0, 32), np.float32)}, "no empty one"),
    "empty patches": (DINO, {"embeddings.patch_embeddings.projection.weight": np.zeros((32, 3, 0, 0), np.float32)}, "no empty one"),
    "oblong": (with_config(image_size=[56, 28]), {}, "image_size of a square"),
    "huge": (with_config(image_size=10**6), {}, "image_size from 1 to 2,048"),
    "missing": (DINO, {FIRST: None}, f"Expected a tensor {FIRST.replace('fc1', 'fc.')}"),
    "shape": (DINO, {FIRST: np.zeros((128, 31), np.float32)}, r"fc1.weight of shape \[128, 32\]; received \[128, 31\]"),
    "no patches": (DINO, {"embeddings.patch_embeddings.projection.weight": None}, "received 0 such"),
    "oblong patches": (DINO, {"embeddings.patch_embeddings.projection.weight": np.zeros((32, 3, 14, 7), np.float32)}, "three channels and a square"),
    "more": (DINO, {"encoder.layer.0.attention.extra": np.zeros(3, np.float32)}, "attention.extra as well, a part that is not known"),
    "whole numbers": (DINO, {FIRST: np.zeros((128, 32), np.int8)}, "tensors of BF16, F16, F32.*of I8"),
    "positions": (DINO, {"embeddings.position_embeddings": np.zeros((1, 19, 32), np.float32)}, "a square of patches"),
}  # fmt: skip


EVA = ORIGINALS["eva02 small"]
BROKEN |= {
    "no turns": (eva_with(use_rot_pos_emb=False), {}, "model_args with use_rot_pos_emb false"),
    "turns of another kind": (eva_with(rope_type="mixed"), {}, "model_args with rope_type"),
    "registers": (eva_with(num_reg_tokens=4), {}, "model_args with num_reg_tokens"),
    "oblong grid": (eva_with(ref_feat_shape=[4, 5]), {}, "ref_feat_shape of a square"),
    "two norms": (EVA, {"norm.weight": np.ones(32, np.float32)}, "received norm.weight as well"),
    "norms of queries": (EVA, {"blocks.0.attn.q_norm.weight": np.ones(8, np.float32)}, "received blocks.0.attn.q_norm.weight as well"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_no_such_network_is_refused_in_one_line(fault, tmp_path):
    original, but, told = BROKEN[fault]
    path = made_hub.write(tmp_path / "net", original, but=but)
    with pytest.raises(PlainfilmError, match=told) as caught:
        encoded(path, 56)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "which has no config.json"),
        ({"config.json": b"{"}, "it cannot be read"),
        ({"config.json": b"[" * 100_000}, "it cannot be read"),
        ({"config.json": b"[]"}, "a JSON object"),
        ({"config.json": b" " * (5 << 20)}, "which is larger"),
        ({"config.json": b"{}"}, "received none of them"),
        ({"config.json": b"{}", "model.safetensors": b""}, "received model_type None"),
        ({"config.json": b"{}", "model.safetensors.index.json": b'{"weight_map": {"a": "../x.safetensors"}}'}, "files beside it"),
        ({"config.json": b"{}", "model.safetensors.index.json": b'{"weight_map": 3}'}, "files beside it"),
        ({"config.json": b"{}", "model.safetensors.index.json": b'{"weight_map": {"a": "x.safetensors"}}'}, "x.safetensors is missing"),
        ({"config.json": b'{"model_type": "dinov2"}', "model.safetensors": b"\xff" * 8 + b"{}"}, "damaged or none"),
        ({"config.json": b'{"model_type": "dinov2"}', "model.safetensors": b""}, "damaged or none"),
        ({"config.json": b'{"model_type": "dinov2"}', "pytorch_model.bin": b"cos\nsystem\n(S'echo harmed'\ntR."}, "PyTorch state dict"),
    ],
)  # fmt: skip
def test_a_folder_that_holds_no_network_is_refused_in_one_line(files, told, tmp_path, capfd):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=told) as caught:
        encoded(tmp_path, 56)
    assert "\n" not in str(caught.value)
    assert "harmed" not in capfd.readouterr().out


@pytest.mark.parametrize("shapes", [{"features.conv0.weight": [1]}, {"features.conv0.weight": [1, 1, 1, 0]}])
def test_a_first_layer_of_other_axes_is_refused(shapes, tmp_path):
    with pytest.raises(WeightsError, match="conv0.weight of 4 axes and no empty one"):
        network.preparation(folder.open_folder(torch_file(tmp_path / "net.pt", shapes)))


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="Expected a DenseNet121 of torchxrayvision"):
        encoded(torch_file(tmp_path / "net.pt", {"fc.weight": [2, 2]}), 64)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"pooling": "map"}, r"backbone\.pooling of cls, mean, which this network has; received map"),
        ({"output": "embedding"}, "which projects nothing"),
    ],
)
def test_what_a_network_does_not_have_is_said(choice, told, tmp_path):
    with pytest.raises(RecipeError, match=told):
        encoded(made_hub.write(tmp_path / "net", DINO), 56, **choice)


def test_preparation_is_what_the_folder_says(tmp_path):
    path = made_hub.write(tmp_path / "net", DINO)
    told = {"crop_size": {"height": 518, "width": 518}, "size": {"shortest_edge": 518}, "do_center_crop": True, "resample": 3,
            "image_mean": [0.5307] * 3, "image_std": [0.2583] * 3, "rescale_factor": 1 / 255}  # fmt: skip
    (path / "preprocessor_config.json").write_text(json.dumps(told))
    made = network.preparation(folder.open_folder(path))
    assert (made.size, made.mean, made.std, made.resample) == (518, (0.5307,) * 3, (0.2583,) * 3, "bicubic-antialias")
    assert made.span == pytest.approx((0, 1))
    for changed, told_ in [({"image_std": [0.0] * 3}, "image_std from 0.001"), ({"image_mean": [1, 2]}, "mean of three"),
                           ({"rescale_factor": "x"}, "rescale_factor from"), ({"crop_size": {"height": 3, "width": 4}}, "a square")]:  # fmt: skip
        (path / "preprocessor_config.json").write_text(json.dumps(told | changed))
        with pytest.raises(WeightsError, match=told_):
            network.preparation(folder.open_folder(path))


def prepared(path, told, name="preprocessor_config.json"):
    (path / "preprocessor_config.json").unlink(missing_ok=True)
    (path / name).write_text(json.dumps(told))
    return network.preparation(folder.open_folder(path))


TOLD = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}


def test_a_processor_of_images_and_texts_says_it_too(tmp_path):
    path = made_hub.write(tmp_path / "net", DINO)
    made = prepared(path, {"image_processor": TOLD | {"resample": 2}}, "processor_config.json")
    assert (made.mean, made.std, made.resample) == ((0.5,) * 3, (0.25,) * 3, "bilinear-antialias")
    assert "processor_config.json" in folder.open_folder(path).sha256()


@pytest.mark.parametrize(
    ("told", "resample"),
    [({"image_processor_type": "ViTImageProcessorFast"}, "bilinear"), ({"resample": "LANCZOS"}, "lanczos"),
     ({"resample": None, "crop_size": None, "do_center_crop": None, "do_rescale": None, "rescale_factor": None, "size": None}, "bicubic")],
)  # fmt: skip
def test_what_is_null_or_missing_is_the_processors_own(told, resample, tmp_path):
    made = prepared(made_hub.write(tmp_path / "net", DINO), TOLD | told)
    assert (made.size, made.span, made.resample) == (56, (0, 1), f"{resample}-antialias")


@pytest.mark.parametrize(
    "told",
    [{"resample": each} for each in (0, 4, 5, 99, True, 2.0, "nearest")]
    + [{"do_normalize": "false"}, {"do_rescale": 0}, {"do_center_crop": "yes", "crop_size": 28}, {"image_std": 1e-30}, {"do_pad": True},
       {"rescale_factor": 10**401}, {"image_processor_type": "OwnImageProcessor"}, {"size": {}}, {"size": {"max_pixels": 50_000}},
       {"do_center_crop": True, "size": {"shortest_edge": 64}}],
)  # fmt: skip
def test_a_preparation_that_is_not_known_is_refused(told, tmp_path):
    with pytest.raises(WeightsError) as caught:
        prepared(made_hub.write(tmp_path / "net", DINO), TOLD | told)
    assert next(iter(told)).split("_type")[0].removeprefix("image_processor") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", [{"image_mean": None}, {"image_std": None}, dict.fromkeys(TOLD)])
def test_without_mean_or_deviation_the_recipe_must_say_them(missing, tmp_path):
    path = made_hub.write(tmp_path / "net", DINO)
    assert prepared(path, TOLD | missing).mean is None
    backbone = backbones.find(str(path))
    for told in ({}, {"mean": (0.5,) * 3}):
        with pytest.raises(
            RecipeError, match=r"say the mean and deviation of its images; received none\. Set backbone\.mean and"
        ):
            encoder.preprocessing(backbone, image_size=56, **told)
    assert encoder.preprocessing(backbone, image_size=56, mean=(0.5,) * 3, std=(0.25,) * 3).scale == pytest.approx(
        [4 / 255] * 3
    )


TIMM = {"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [3, 64, 64]}


def configured(tmp_path, config, name="config.json"):
    (tmp_path / name).write_text(json.dumps(config))
    (tmp_path / "model.safetensors").touch()
    return configuration.read(folder.open_folder(tmp_path))


@pytest.mark.parametrize(
    ("name", "pooling"),
    [("vit_base_patch16_224", "cls"), ("vit_so150m_patch16_reg4_map_256", "map"), ("vit_small_patch16_36x1_224", "cls"),
     ("vit_large_patch14_clip_quickgelu_336", "cls"), ("vit_base_patch16_siglip_gap_224", "mean"), ("deit3_huge_patch14_224", "cls")],
)  # fmt: skip
def test_plain_blocks_of_timm_are_known_by_name(name, pooling, tmp_path):
    assert configured(tmp_path, {"architecture": name, "pretrained_cfg": TIMM}).pooling == pooling


def test_heads_are_those_of_the_name(tmp_path):
    assert (
        configured(tmp_path, {"architecture": "vit_base_patch16_gap_224", "pretrained_cfg": TIMM}).head_sizes[768] == 16
    )


@pytest.mark.parametrize(
    "name",
    ["vit_pe_core_base_patch16_224", "vit_base_patch16_rope_224", "vit_huge_patch16_sapiens2", "vit_base_patch16_lingbot", "vit_relpos_base_patch16_224",
     "vit_dwee_patch16_reg1_gap_256", "vit_base_patch16_18x2_224", "vit_base_r50_s16_224", "vit_small_patch16_rope_224", "vit_huge_plus_patch16_dinov3", "eva02_enormous_patch14_clip_224", "vit_base_mci_224"],
)  # fmt: skip
def test_other_blocks_of_timm_are_refused(name, tmp_path):
    with pytest.raises(WeightsError, match=f"received architecture '{name}'"):
        configured(tmp_path, {"architecture": name, "pretrained_cfg": TIMM})


def test_a_pooling_that_is_not_known_here_is_asked_of_the_recipe(tmp_path):
    original = ORIGINALS["timm token"]
    config = original["files"]["config.json"] | {"global_pool": "avgmax"}
    path = made_hub.write(tmp_path / "net", original | {"files": {"config.json": config}})
    with pytest.raises(WeightsError, match=r"received avgmax\. Set backbone\.pooling"):
        encoded(path, 64)
    assert encoded(path, 64, pooling="cls").shape == (2, 32)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"act_layer": "relu"}, "act_layer"), ({"pool_include_prefix": True}, "pool_include_prefix"), ({"embed_dim": 64}, "without num_heads"),
     ({"in_chans": 1}, "in_chans"), ({"pos_embed": "none"}, "pos_embed"), ({"img_size": [64, 32]}, "img_size of a square"), ([1], "an object")],
)  # fmt: skip
def test_arguments_of_timm_that_no_tensor_shows_are_refused(arguments, told, tmp_path):
    with pytest.raises(WeightsError, match=told):
        configured(tmp_path, {"architecture": "vit_small_patch16_224", "pretrained_cfg": TIMM, "model_args": arguments})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"input_size": [3, 96, 64]}, "input_size of a square"),
        ({"interpolation": "nearest"}, "interpolation of 1"),
        ({"std": [0, 1, 1]}, "std from"),
    ],
)
def test_a_preparation_of_timm_that_is_not_known_is_refused(changed, told, tmp_path):
    with pytest.raises(WeightsError, match=told):
        configured(tmp_path, {"architecture": "vit_small_patch16_224", "pretrained_cfg": TIMM | changed})


def open_clip(tmp_path, vision=(), prepare=()):
    config = {"model_cfg": {"vision_cfg": dict(vision)}, "preprocess_cfg": dict(prepare)}
    return configured(tmp_path, config, "open_clip_config.json")


def test_open_clip_is_taken_as_it_says(tmp_path):
    made = open_clip(tmp_path, {"timm_model_name": "vit_base_patch16_224"}, {"interpolation": "bilinear"})
    assert (made.pooling, made.preparation.resample) == ("mean", "bilinear-antialias")
    for strange in ({"norm_kwargs": {"eps": 1e-2}}, {"act_kwargs": {"approximate": "tanh"}}, {"pool_type": "avg"}, {"qk_norm": True},
                    {"attentional_pool": True}, {"no_ln_pre": True}, {"pos_embed_type": "sin_cos_2d"}):  # fmt: skip
        with pytest.raises(WeightsError, match=f"vision_cfg with {next(iter(strange))}"):
            open_clip(tmp_path, strange)


def test_attention_pooling_leaves_out_what_stands_before_the_patches(tmp_path):
    """A class token, whose queries and keys change nothing where blocks pass tokens on, does not reach the features."""
    original = ORIGINALS["timm map"]
    quiet = {name: np.zeros(shape, np.float32) for name, shape in original["shapes"].items()
             if name.startswith("blocks.") and ("attn.proj" in name or "fc2" in name)}  # fmt: skip
    wanted = encoded(made_hub.write(tmp_path / "without", original, but=quiet), 64)
    token = {"cls_token": np.full((1, 1, original["shapes"]["norm.weight"][0]), 3, np.float32)}
    found = encoded(made_hub.write(tmp_path / "with", original, but=quiet | token), 64)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_one_channel_is_taken_as_torchxrayvision_takes_it(tmp_path):
    made = network.preparation(folder.open_folder(written(tmp_path / "x", "xrv_densenet121")))
    assert (made.channels, made.span, made.size) == (1, (-1024, 1024), 224)
    with pytest.raises(RecipeError, match="a DenseNet121 whole"):
        encoded(tmp_path / "x" / "net.pt", 64, depth=2)


def test_a_checkpoint_says_itself_where_its_patches_lie(tmp_path):
    shapes = ORIGINALS["eva_x small"]["shapes"]
    plain = encoded(torch_file(tmp_path / "plain.pt", shapes), 64)
    with_places = {**shapes, "rope.freqs_cos": [16, 64], "rope.freqs_sin": [16, 64]}
    with pytest.raises(WeightsError, match="a grid of 14 patches a side in rope.freqs_cos; received others"):
        encoded(torch_file(tmp_path / "other.pt", with_places), 64)
    angles = np.arange(4)[:, None] * (14 / 4) / 10_000 ** (np.arange(16) / 16)
    grid = np.concatenate([np.repeat(angles, 4, axis=0), np.tile(angles, (4, 1))], axis=1)
    true = {"rope.freqs_cos": np.repeat(np.cos(grid), 2, axis=1), "rope.freqs_sin": np.repeat(np.sin(grid), 2, axis=1)}
    wrapped = torch_file(tmp_path / "wrapped.pt", {f"module.{name}": shape for name, shape in with_places.items()},
                         {f"module.{name}": value for name, value in true.items()} | {f"module.{name}": made_hub.tensor(name, shape) for name, shape in shapes.items()})  # fmt: skip
    np.testing.assert_array_equal(encoded(wrapped, 64), plain)


@pytest.mark.parametrize(("patch", "has_mean"), [(16, True), (14, False)])
def test_a_checkpoint_is_scaled_as_eva_x_is_where_its_patches_are(patch, has_mean, tmp_path):
    shapes = ORIGINALS["eva_x small"]["shapes"] | {"patch_embed.proj.weight": [128, 3, patch, patch]}
    made = network.preparation(folder.open_folder(torch_file(tmp_path / "net.pt", shapes)))
    assert (made.size, made.mean is not None) == (4 * patch, has_mean)


def test_a_checkpoint_of_another_transformer_asks_for_its_configuration(tmp_path):
    path = torch_file(tmp_path / "net.pt", ORIGINALS["timm token"]["shapes"])
    with pytest.raises(WeightsError, match=r"or an EVA-02, in .* which has no configuration"):
        encoded(path, 64)


def test_a_folder_of_both_softwares_is_read_with_the_weights_of_its_configuration(tmp_path):
    path = made_hub.write(tmp_path / "net", ORIGINALS["clip_vision_model"])
    theirs = encoded(path, 56)
    made_hub.write(path, ORIGINALS["open_clip"])  # as LAION's repositories have it
    np.testing.assert_array_equal(
        encoded(path, 56), encoded(made_hub.write(tmp_path / "one", ORIGINALS["open_clip"]), 56)
    )
    (path / "open_clip_model.safetensors").unlink()
    np.testing.assert_array_equal(encoded(path, 56), theirs)
