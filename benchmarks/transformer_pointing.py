"""How often pictures of a small Vision Transformer point at an opacity that was planted, by each way of making them.

A ViT of three blocks (width 64, 64 tokens of 8 px) learns from nothing to tell normal films with a planted soft opacity from those without, by its class token;
for half of the time its patches also learn where it lies, without which it finds nothing in so few steps. It is written as hubs lay it out and joined
with its head by plainfilm. Opacities are planted in films that it has not seen.
Needs torch and transformers beside plainfilm. Write: python benchmarks/transformer_pointing.py --work DIR [--steps 700]
"""

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import helper
from PIL import Image

from measuring import SHARED
from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.explanation.planting import distance, plant
from plainfilm.evidence.explanation.pointing import MOVED, NEAR
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model.classifier import Classifier, Decision, join
from plainfilm.model.hub import folder, network
from plainfilm.model.lung_segmentation import LungFinder
from plainfilm.model.onnx.from_keras import Graph, float_output

SIDE, PATCH, WIDTH, BATCH, LEARNT_FROM, FILMS = 64, 8, 64, 32, 500, 700
CONFIG = {"hidden_size": WIDTH, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128,
          "image_size": SIDE, "patch_size": PATCH}  # fmt: skip
PREPARED = {"size": {"height": SIDE, "width": SIDE}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}


def normal_films() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    root = SHARED / "data" / "several"
    with (root / "metadata.csv").open(newline="") as file:
        names = [
            row["file_name"] for row in csv.DictReader(file) if row["label"] == "NORMAL" and row["source"] != "jsrt"
        ]
    films = []
    for name in np.random.default_rng(0).permutation(names)[:FILMS]:
        with Image.open(root / name) as opened:
            films.append(np.asarray(opened.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)))
    masks = LungFinder().find(np.stack(films)).masks
    found = masks.any(axis=(1, 2))
    return np.stack(films)[found], masks[found]


def train(work: Path, films: NDArray[np.uint8], masks: NDArray[np.bool_], steps: int) -> None:
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as loss_of
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng, cells = np.random.default_rng(1), SIDE // PATCH
    model, heads = ViTModel(ViTConfig(**CONFIG), add_pooling_layer=False), torch.nn.Linear(WIDTH, 2)
    optimizer = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=1e-3, weight_decay=0.01)
    for step in range(steps):
        gone = step / steps
        labels, images, near = rng.integers(2, size=BATCH), [], np.zeros((BATCH, cells, cells), np.float32)
        for place, (row, label) in enumerate(zip(rng.integers(len(films), size=BATCH), labels, strict=True)):
            way = -1 if rng.random() < 0.5 else 1
            film = np.ascontiguousarray(films[row][:, ::way])
            planted = plant(film, np.ascontiguousarray(masks[row][:, ::way]), rng) if label else None
            images.append(planted[0] if planted else film)
            if planted:
                near[place, planted[1][0] // PATCH, planted[1][1] // PATCH] = 1
        x = ((torch.tensor(np.stack(images) / 255, dtype=torch.float32) - 0.5) / 0.25)[:, None].repeat(1, 3, 1, 1)
        answers = heads(model(pixel_values=x).last_hidden_state)
        loss = loss_of(answers[:, 0, 0], torch.tensor(labels, dtype=torch.float32))
        where = loss_of(answers[:, 1:, 1], torch.tensor(near.reshape(BATCH, -1)))
        loss = loss + 10 * max(0.0, 1 - 2 * gone) * where
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 50) * max(0.05, 1 - gone)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(work / "vit")
    (work / "vit" / "preprocessor_config.json").write_text(json.dumps(PREPARED))
    np.savez(work / "head.npz", w=heads.weight.detach().numpy()[:1], b=heads.bias.detach().numpy()[:1])


def joined(work: Path) -> Classifier:
    """The transformer and its head as a classifier of gray uint8 images, prepared as the folder says."""
    graph, opened = Graph(), folder.open_folder(work / "vit")
    unit = graph.node("Mul", [graph.node("Cast", ["images"], to=1), graph.weight(np.float32(1 / 255 / 0.25))])
    gray = graph.node(
        "Unsqueeze", [graph.node("Sub", [unit, graph.weight(np.float32(2))]), graph.weight(np.array([1]))]
    )
    features, width = network.add(graph, opened, graph.node("Concat", [gray] * 3, axis=1), SIDE)
    graph.node("Identity", [features], output="features")
    encoder = graph.model(
        [helper.make_tensor_value_info("images", 2, ["n", SIDE, SIDE])], [float_output("features", width)]
    )
    top, weights = Graph(), np.load(work / "head.npz")
    top.node("Gemm", ["features", top.weight(weights["w"].T.copy()), top.weight(weights["b"])], output="logits")
    head = top.model([helper.make_tensor_value_info("features", 1, ["n", width])], [float_output("logits", 1)])
    return Classifier(
        join(encoder.SerializeToString(), head.SerializeToString()),
        Decision(classes=("normal", "opacity"), positive="opacity"),
    )


def attentions(work: Path, films: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Attention of every block (n, heads, tokens, tokens), by PyTorch."""
    import torch
    from transformers import ViTModel

    model = ViTModel.from_pretrained(work / "vit", add_pooling_layer=False, attn_implementation="eager").eval()
    x = ((torch.tensor(films / 255, dtype=torch.float32) - 0.5) / 0.25)[:, None].repeat(1, 3, 1, 1)
    with torch.no_grad():
        return [each.numpy() for each in model(pixel_values=x, output_attentions=True).attentions]


def rollout(every: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Abnar & Zuidema, ACL 2020: mean over the heads, half of it the token itself, multiplied through the blocks."""
    through = np.eye(every[0].shape[-1])[None]
    for each in every:
        through = (each.mean(axis=1) + np.eye(each.shape[-1])) / 2 @ through
    return np.asarray(through, np.float32)


def grids(paid: NDArray[np.float32]) -> NDArray[np.float32]:
    return paid[:, 0, 1:].reshape(len(paid), SIDE // PATCH, SIDE // PATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=700)
    chosen = parser.parse_args()
    films, masks = normal_films()
    if not (chosen.work / "head.npz").is_file():
        chosen.work.mkdir(parents=True, exist_ok=True)
        train(chosen.work, films[:LEARNT_FROM], masks[:LEARNT_FROM], chosen.steps)
    rng, made = np.random.default_rng(9), joined(chosen.work)
    planted = [
        found
        for film, mask in zip(films[LEARNT_FROM:], masks[LEARNT_FROM:], strict=True)
        if (found := plant(film, mask, rng))
    ]
    tried, places = (np.array(each) for each in zip(*planted, strict=True))
    before, after = made.logits(films[LEARNT_FROM:])[:, 0], made.logits(tried)[:, 0]
    print(f"AUC {(after[:, None] > before).mean():.3f}; {(after - before >= MOVED).sum()} of {len(tried)} react")
    moved = after - before >= MOVED
    tried, places = tried[moved], places[moved]
    labels, every = np.ones(len(tried), int), attentions(chosen.work, tried)
    maps, slopes = made.run(tried, "maps", "slopes")
    weighted = np.maximum(np.einsum("nc,nchw->nhw", slopes[:, 0], maps), 0)
    ways = {
        "attention times its gradient, cells spread (the default)": lambda: attribution.grad_cam(made, tried, labels),
        "the same, the highest cell's centre": lambda: np.kron(weighted, np.eye(PATCH)[PATCH // 2][:, None] * np.eye(PATCH)[PATCH // 2]),
        "attention of the last block, mean over the heads": lambda: attribution._enlarged(grids(every[-1].mean(axis=1)), SIDE),
        "attention rollout": lambda: attribution._enlarged(grids(rollout(every)), SIDE),
    } | {f"occlusion, {count} squares a side, {(2 * count - 1) ** 2} passes":
         lambda count=count: attribution.occlusion(made, tried, labels, squares=count) for count in (3, 4, 6, 8)}  # fmt: skip
    for name, make in ways.items():
        start = time.perf_counter()
        near = distance(np.asarray(make(), np.float32), places) <= NEAR
        share = wilson(near, level=0.95)
        each = (time.perf_counter() - start) / len(tried) * 1000
        print(
            f"{name}: {share.value:.2f} ({share.low:.2f} to {share.high:.2f}), {near.sum()} of {len(near)}, {each:.1f} ms a film"
        )


if __name__ == "__main__":
    main()
