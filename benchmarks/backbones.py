"""Encoders of true architectures with random weights, as users have them: whether they are taken, in how many seconds, how alike.

    python benchmarks/backbones.py --torch /where/torch/is/bin/python --out backbones.json [--only ViT-S] [--made FOLDER]

Needs an environment of its own with torch, timm, transformers, open_clip_torch, torchxrayvision, onnxscript and onnx (`exported.py`), since
plainfilm installs none of them. Each goes through `train`'s own check of networks, in a process of its own, and answers then to the
two images that torch answered. What is exported stays in --made, and is not exported again. Columns are the ways: "new" and "old" exporter,
and "hub", the folder or checkpoint that the network's own software keeps, of which nothing is exported. Each row is printed as it is known.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from measuring import finish

WAYS = ("new", "old", "hub")
_HERE = Path(__file__).resolve().parent


def tried(path: Path) -> dict[str, object]:
    """Open an exported file, a folder or a checkpoint as the encoder that it is meant to be."""
    from plainfilm.errors import WeightsError
    from plainfilm.model import backbones, encoder

    known = np.load(path.with_name(f"{path.name.removesuffix('.onnx').removesuffix('.pt')}.npz"))
    side, is_file = known["images"].shape[1], path.suffix == ".onnx"
    start, spent = time.perf_counter(), time.process_time()
    try:
        own = backbones.find(str(path), output="embedding" if path.name == "CLIP of open_clip" else "")
        channels = 1 if "xray" in path.name and is_file else 0
        prepare = encoder.preprocessing(own, image_size=side, input_size=side, scaling="0..1", channels=channels)
        opened = encoder.open_encoder(own, prepare)
    except WeightsError as error:
        told = {"refused": str(error).replace(str(path), path.name)}
        return {**told, "seconds": time.perf_counter() - start, "processor_s": time.process_time() - spent}
    times = {"seconds": time.perf_counter() - start, "processor_s": time.process_time() - spent}
    apart = float(np.abs(opened.encode(known["images"]) - known["features"]).max())
    return {"width": opened.width, **times, "apart": apart, "largest": float(np.abs(known["features"]).max())}


def exported(torch: str, name: str, way: str, folder: Path) -> str:
    """Export a network, unless it is there; what the exporter says where it cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / f"{name}.npz").is_file():
        return ""
    command = [torch, str(_HERE / "exported.py"), name, way, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1][:200] if done.returncode else ""


def row(torch: str, name: str, way: str, folder: Path) -> dict[str, object]:
    if unexported := exported(torch, name, way, folder):
        return {"architecture": name, "way": way, "not exported": unexported}
    kept = (folder / f"{name}.onnx", folder / f"{name}.pt", folder / name)
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--try", str(next(path for path in kept if path.exists()))]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "PLAINFILM_CACHE": cache}
        )
    return {"architecture": name, "way": way, **json.loads(done.stdout)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", default=sys.executable, help="the Python that has torch")
    parser.add_argument("--only", action="append")
    parser.add_argument("--made", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--try", type=Path, dest="path")
    args = parser.parse_args()
    if args.path:
        print(json.dumps(tried(args.path)))
        return
    listed = subprocess.run(
        [args.torch, "-c", "import exported; print('\\n'.join(exported.MODELS))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=_HERE,
    )
    names = args.only or listed.stdout.split("\n")[:-1]
    with tempfile.TemporaryDirectory() as scratch:
        made = args.made or Path(scratch)
        rows = []
        for name in names:
            for way in WAYS:
                rows.append(row(args.torch, name, way, made / way))
                print(json.dumps(rows[-1]), flush=True)
    finish({"rows": rows}, args.out)


if __name__ == "__main__":
    main()
