"""No bundle does anything but open or be refused: hundreds of hostile ones, each for its own reason. `tests/hostile` makes them."""

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import made_bundles
from hostile import CASES, whole
from hostile.base import constant, doubled, entries_of, lead_to_logits, network, node, packed, picture, zipped
from plainfilm.errors import BundleError
from plainfilm.model import bundle
from waiting import WAIT_S

WORST = [
    "a bomb of zeros",
    "network: a constant doubled 34 times",
    "network: an image doubled 20 times",
    "network: Mul of constants, 40,000 by 40,000",
    "network: many tensors one after the other",
    "network: 40,000 weights of one number",
    "network: 200,000 inputs",
    "network: a million small numbers as weights",
    "network: a novel as documentation",
    "network: a NaN at the end of many",
    "metrics with 100,000 numbers",
    "golden_images.npy: terabytes",
]

WATCHER = """
import json, os, resource, sys
import numpy, onnxruntime
def peak():
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    with open("/proc/self/status") as lines:  # Linux hands ru_maxrss down from the parent process
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
before = peak()
from plainfilm.model import bundle
from plainfilm.model.cpus import processors
from plainfilm.errors import BundleError
processors()  # its codec is loaded once
watched = []
HARMLESS = {"compile", "object.__getattr__", "array.__new__", "marshal.loads", "sys._getframe", "code.__new__", "time.sleep"}
def hook(event, args):
    if event == "open":
        watched.append([event, str(args[0]), str(args[1]), int(args[2] or 0)])
    elif event not in HARMLESS:
        watched.append([event, *map(str, args)])
sys.addaudithook(hook)
for path in sys.argv[1:]:
    watched.clear()
    try:
        bundle.load(path)
        said = ""
    except BundleError as error:
        said = str(error)
    seen = list(watched)
    print(json.dumps([path, said, seen, peak() - before]), flush=True)
"""


def watch(paths, cwd):
    """Open bundles in a process of its own: what was said, the events that Python saw, growth of memory in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHER, *paths], cwd=cwd, capture_output=True, text=True, timeout=WAIT_S, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def contents():
    return whole()


def test_there_are_hundreds_and_the_bundle_they_are_made_of_opens(contents, tmp_path):
    assert len(CASES) >= 700
    for data in (zipped(entries_of(contents)), packed(contents)):
        (tmp_path / "m").write_bytes(data)
        assert bundle.load(tmp_path / "m").classifier.classes_ == ("COVID", "NORMAL")


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_bundle_is_refused_in_one_line_for_its_own_reason(name, contents, tmp_path):
    build, reason = CASES[name]
    path = tmp_path / "m"
    path.write_bytes(build(contents))
    with pytest.raises(BundleError, match=reason) as caught:
        bundle.load(path)
    line = str(caught.value)
    assert line.isprintable()
    assert str(path) in line
    assert len(line) < len(str(path)) + 400
    assert [each.name for each in tmp_path.iterdir()] == ["m"]


QUOTA = ("/sys/fs/cgroup", "/proc/self/cgroup")  # how many processors a container grants, which ONNX Runtime is told
NEVER = 1e9  # when the canaries were last read


def canaries(folder):
    """Files that hostile bundles name, last read long ago, so that reading them shows where the disk notes it."""
    places = [
        folder / name
        for name in ("canary.txt", "canary.bin", "recipe.toml", "network.onnx", "../canary.bin", "control")
    ]
    for path in places:
        path.write_bytes(bytes(128))
        os.utime(path, (NEVER, 1.5 * NEVER))
    return places


def tree(folder):
    return sorted(str(path) for path in folder.rglob("*"))


def test_nothing_but_the_bundle_itself_is_read_and_nothing_is_written(contents, tmp_path):
    home, paths = tmp_path / "away" / "home", []
    home.mkdir(parents=True)
    made = canaries(home)
    for number, (build, _) in enumerate(CASES.values()):
        paths.append(tmp_path / f"{number}.plainfilm")
        paths[-1].write_bytes(build(contents))
    before, largest = tree(tmp_path), max(path.stat().st_size for path in paths)
    seen = watch(paths, home)
    assert [path for path, said, _, _ in seen if not said] == []
    for path, _, events, _ in seen:
        others = [event for event in events if not event[1].startswith(QUOTA)]
        assert [event for event in others if event[:2] != ["open", path] or event[2] not in {"r", "rb"}] == []
        assert [event for event in events if event[3] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)] == []
    assert tree(tmp_path) == before
    assert {path.name for path in made if path.stat().st_atime != NEVER} == set()
    assert all(path.read_bytes() == bytes(128) for path in made)
    assert seen[-1][3] < 2 * largest + bundle.BESIDE


@pytest.mark.slow
@pytest.mark.parametrize("name", WORST)
def test_refusing_one_of_the_worst_takes_little_memory(name, contents, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(CASES[name][0](contents))
    ((_, said, _, grown),) = watch([path], tmp_path)
    assert said
    assert grown < 2 * path.stat().st_size + bundle.BESIDE


def greedy(contents):
    """A bundle that opens, and takes nearly all that it may: memory for an image, nodes, and numbers in its JSON."""
    model = network()
    start = node(model, "Concat", [doubled(model, picture(model, -1, 1, 32, 32), 10)] * 6, axis=1)  # 25 MB
    more = node(model, "Relu", [node(model, "Relu", [start])])
    lead_to_logits(model, node(model, "GlobalMaxPool", [more]))
    for _ in range(3900):
        node(model, "Identity", ["features"])
    for number in range(4000):
        constant(model, np.float32(number), f"idle{number}")
    filled = b",".join(b'"%d":%d.5' % (number, number) for number in range(147_000))
    metrics = contents["metrics.json"].removesuffix(b"}") + b"," + filled + b"}"
    return packed({**contents, "network.onnx": model.SerializeToString(), "metrics.json": metrics})


@pytest.mark.slow
def test_a_bundle_that_takes_all_it_may_stays_within_what_is_promised(contents, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(greedy(contents))
    ((_, said, _, grown),) = watch([path], tmp_path)
    assert said == ""
    assert 60e6 < grown < 2 * path.stat().st_size + bundle.BESIDE


@pytest.mark.slow
def test_opening_a_real_network_takes_no_more_than_twice_its_size(tmp_path, monkeypatch):
    from plainfilm.model import classifier, encoder, heads
    from plainfilm.model.backbones import BACKBONES
    from plainfilm.model.classifier import Classifier, Decision
    from plainfilm.model.recipe_schema import HeadSettings

    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    lite = BACKBONES["efficientnet_lite0"]
    opened = encoder.open_encoder(lite, encoder.preprocessing(lite, image_size=256))
    head = classifier.export_head(heads.build_head(opened.width, 2, HeadSettings(), seed=0))
    made = Classifier(classifier.join(opened.network(), head), Decision(classes=("A", "B"), positive="A"))
    bundle.write(
        tmp_path / "m",
        made,
        about=made_bundles.provenance("AB", opened.preprocessing),
        metrics=made_bundles.metrics(),
        recipe="",
    )
    ((_, said, _, grown),) = watch([tmp_path / "m"], tmp_path)
    size = (tmp_path / "m").stat().st_size
    assert said == ""
    assert size < grown < 2 * size + bundle.BESIDE / 2


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "missing", "dangling link", "no path"])
def test_what_is_no_file_is_refused_at_once(kind, tmp_path):
    path = tmp_path / "m"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "no path":
        path = tmp_path / "a\0b"
    with pytest.raises(BundleError) as caught:
        bundle.load(path)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "m"


@settings(max_examples=400)
@given(data=st.data())
def test_a_network_with_any_bytes_changed_opens_or_is_refused(contents, place, data):
    network = bytearray(contents["network.onnx"])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(network) - 1))
        network[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    place.write_bytes(packed({**contents, "network.onnx": bytes(network)}))
    with contextlib.suppress(BundleError):
        bundle.load(place)


@settings(max_examples=200)
@given(data=st.data())
def test_a_zip_with_any_bytes_changed_opens_as_it_was_or_is_refused(contents, place, data):
    whole_zip = bytearray(zipped(entries_of(contents)))
    names = [b"PK\1\2", b"PK\3\4", b"PK\5\6"]
    near = whole_zip.find(data.draw(st.sampled_from(names)), data.draw(st.integers(0, len(whole_zip) - 23)))
    at = max(near, 0) + data.draw(st.integers(0, 45))
    whole_zip[at : at + 4] = data.draw(st.binary(min_size=1, max_size=4))
    place.write_bytes(whole_zip)
    with contextlib.suppress(BundleError):
        opened = bundle.load(place)
        assert opened.classifier.network == contents["network.onnx"]
        assert opened.recipe.encode() == contents["recipe.toml"]
