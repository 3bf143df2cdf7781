"""`plainfilm info --verify`: what is whole says so, what is damaged is one line and exit code 1."""

import json
import re
import shutil
from pathlib import Path

import pytest

from plainfilm.data import cache, store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.data.store_columns import COLUMNS

OLD = Path(__file__).parents[1] / "written_by_0_1_0"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def store(tmp_path):
    """The store of 0.1, written anew with checksums."""
    with Store(OLD / "store.h5") as old:
        columns = {name: getattr(old, name) for name in COLUMNS}
        told = {name: value for name, value in old.attributes.items() if name not in {"size", "fingerprint"}}
        with store_writer.create(tmp_path / "new.h5", size=old.size, expected=len(old)) as writer:
            writer.append(old.images(range(len(old))))
            writer.finish(Columns(classes=old.classes, **columns), attributes=told)
    return tmp_path / "new.h5"


def damage(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def verified(call, path):
    code, out, err = call("info", path, "--verify", "--json")
    assert (code, err) == (0, "")
    return json.loads(out)["verified"]


def refused(call, path, match):
    code, out, err = call("info", path, "--verify")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert re.search(match, err)


def test_a_whole_store_is_verified(call, store):
    assert verified(call, store) == "every image, column and attribute, by their SHA-256"


def test_a_store_of_0_1_says_what_could_not_be_checked(call):
    assert verified(call, OLD / "store.h5").startswith(
        "every image, by the fingerprint; columns and attributes carry no"
    )


@pytest.mark.parametrize("name", ["new.h5", "old.h5"])
def test_a_store_with_one_changed_pixel_is_one_line(call, store, tmp_path, name):
    shutil.copyfile(OLD / "store.h5", tmp_path / "old.h5")
    with Store(tmp_path / name) as opened:
        at = opened._file["images"].id.get_chunk_info(50).byte_offset
    damage(tmp_path / name, at + 100)
    assert call("info", tmp_path / name)[0] == 0  # images are not read for it
    refused(call, tmp_path / name, "is damaged")


def test_a_bundle_and_a_run_are_verified(call, tmp_path):
    shutil.copytree(OLD / "run", tmp_path / "run")
    assert verified(call, tmp_path / "run/model.plainfilm").startswith("every member, by its SHA-256")
    assert verified(call, tmp_path / "run").startswith("model.plainfilm: every member, by its SHA-256")
    damage(tmp_path / "run/model.plainfilm", 5000)
    for path in ("run", "run/model.plainfilm"):
        refused(call, path, "Expected a whole plainfilm bundle")


def test_a_run_and_its_bundle_say_the_verdict_first(call):
    for path in (OLD / "run", OLD / "run/model.plainfilm"):
        told = json.loads(call("info", path, "--json")[1])
        verdict = json.loads((OLD / "run/metrics.json").read_text())["audit"]["verdict"]
        assert told["worth"].startswith(f"{verdict.capitalize()}. ")


def test_a_run_without_a_bundle_says_that_nothing_is_checked(call, tmp_path):
    shutil.copytree(OLD / "run", tmp_path / "run")
    (tmp_path / "run" / "model.plainfilm").unlink()
    assert verified(call, tmp_path / "run") == "metrics.json can be read; no file here carries a checksum"


def test_the_cache_is_counted_and_verified_and_heals(call, tmp_path):
    for name in ("a", "b"):
        cache.write(tmp_path / "cache" / "features" / name, b"content")
    _, out, _ = call("info", tmp_path / "cache", "--json")
    assert json.loads(out) == {"kind": "cache", "path": str(tmp_path / "cache"), "entries": 2, "bytes": 2 * (7 + cache.TAIL_BYTES)}  # fmt: skip
    assert verified(call, tmp_path / "cache") == "every entry, by its SHA-256"
    damage(tmp_path / "cache/features/b", 3)
    refused(call, tmp_path / "cache", "2 whole entries in .* 1 that do not fit .* features/b")
    assert verified(call, tmp_path / "cache") == "every entry, by its SHA-256"
