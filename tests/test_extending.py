"""What docs/extending.md shows, and docs/backbones.md of ONNX files, is tried as it stands: each fragment in the module that the page puts it into."""

import dataclasses
import importlib
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import onnxruntime
import pytest

from made_networks import empty_network
from plainfilm.data.store import Store
from plainfilm.evidence.audit import looks, masking
from plainfilm.model import backbones, bundle, formats, recipe_schema
from plainfilm.results import documents, metrics

ROOT = Path(__file__).resolve().parents[1]
OLD = ROOT / "tests" / "written_by_0_1_0"
ROW, PROBE, FORMAT, COMMAND, RESULT_KEY, RECIPE_KEY = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.M | re.S
)
IMPORTS = """
from collections import Counter
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, ClassVar
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from plainfilm.cli.options import FLAT, AsJson
from plainfilm.cli.output import print_document
from plainfilm.data.store import Store
from plainfilm.errors import UsageError
from plainfilm.results.documents import Document
from plainfilm.workflows.options import Place
from plainfilm.workflows.verb import verb
"""


def test_a_backbone_is_a_row():
    row = eval(ROW, vars(backbones))
    assert (row.name, row.width, row.scaling) == ("mobilenet_v3_small", 576, "-1..1")
    assert empty_network(row, 32).output_shape == (None, row.width)


def test_a_probe_is_a_function_and_a_row():
    known = dict(vars(masking))
    exec(PROBE, known)
    images, found = np.full((2, 100, 100), 9, np.uint8), np.ones(2, bool)
    for lungs in (np.zeros((2, masking.SIDE, masking.SIDE), bool), np.ones((2, masking.SIDE, masking.SIDE), bool)):
        seen = known["top"](images, masking.Hidden(lungs, lungs, lungs, lungs, found, lungs[0]))
        assert (seen[:, :10] == (0 if lungs.any() else 9)).all()
        assert not seen[:, 10:].any()
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    shown = re.search(r"`(Look\(.*?\))`", text)[1].replace("masking.top", "top")
    assert eval(shown, {**vars(looks), **known}).show is known["top"]


def test_a_format_writes_a_file_that_answers_as_the_bundle(tmp_path):
    known = dict(vars(formats))
    exec(FORMAT, known)
    made = bundle.load(OLD / "run" / "model.plainfilm")
    known["_write_ort"](made, tmp_path / "m.ort")
    with Store(OLD / "store.h5") as store:
        images = store.images(np.arange(4))
    found = onnxruntime.InferenceSession(tmp_path / "m.ort").run(["probabilities"], {"images": images})[0]
    np.testing.assert_allclose(found, made.classifier.predict_proba(images), atol=1e-5)


@pytest.fixture
def count(monkeypatch):
    """The modules of the command, as the page names them."""
    made = {}
    pieces = re.split(r"^# (\w+/\w+)\.py:.*\n", COMMAND, flags=re.M)[1:]
    for place, text in zip(pieces[::2], pieces[1::2], strict=True):
        name = f"plainfilm.{place.replace('/', '.')}"
        module = ModuleType(name)
        exec(IMPORTS, vars(module))
        for other in made.values():
            vars(module).update({key: value for key, value in vars(other).items() if isinstance(value, type)})
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(
            importlib.import_module(f"plainfilm.{place.partition('/')[0]}"),
            place.partition("/")[2],
            module,
            raising=False,
        )
        exec(text, vars(module))
        made[place] = module
    return made


def test_a_command_counts_in_python_and_prints_json(count, capsys):
    counted = count["workflows/count"].count(OLD / "store.h5", by="split")
    with Store(OLD / "store.h5") as store:
        assert sum(sum(each.values()) for each in counted.counts.values()) == len(store.labels)
        assert set(counted.counts) == set(store.classes)
    count["cli/count"].count(count["workflows/options"].CountOptions(OLD / "store.h5", by="split"), as_json=True)
    assert documents.plain(counted) == msgspec.json.decode(capsys.readouterr().out)


def test_a_key_of_a_result_may_be_missing_and_is_checked():
    known = dict(vars(metrics))
    exec(f"class Told(Record, frozen=True, kw_only=True):\n{textwrap.indent(RESULT_KEY, '    ')}", known)
    assert msgspec.convert({}, known["Told"]).folds is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"folds": -1}, known["Told"])


def test_a_key_of_a_recipe_has_its_default_range_and_flag():
    known = dict(vars(recipe_schema))
    exec(f"@dataclass\nclass Settings:\n{textwrap.indent(RECIPE_KEY, '    ')}", known)
    (key,) = recipe_schema._keys(known["Settings"])
    assert (key.key, key.kind, key.default, key.low, key.high, key.flag) == (
        "clip_norm",
        float,
        0.0,
        0,
        1000,
        "--clip-norm",
    )
    assert dataclasses.asdict(known["Settings"]()) == {"clip_norm": 0.0}
