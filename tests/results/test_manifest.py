import json
import zipfile
from pathlib import Path
from typing import get_args

import pytest

from made_bundles import preprocessing
from plainfilm.data.images import FITS
from plainfilm.model import manifest
from plainfilm.results import documents
from plainfilm.results.manifest import Fit, Manifest

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
OURS = {"image_size": 224, "input_size": 96, "scaling": "0..1", "scale": (1 / 255,) * 3, "offset": (0.0,) * 3}


@pytest.mark.parametrize("path", ["run/model.plainfilm", "folds/model.plainfilm", "evaluate/recalibrated.plainfilm"])
def test_a_manifest_of_0_1_0_comes_back_with_every_key_and_value(path):
    with zipfile.ZipFile(OLD / path) as archive:
        data = archive.read("manifest.json")
    told = json.loads(data)
    told["preprocessing"] |= {"channels": 3, "resample": "bilinear"}  # which no bundle said then
    assert documents.plain(manifest.read(data)) == told
    assert documents.plain(documents.decode(data, Manifest, path)) == told


def test_the_fits_are_those_that_images_can_have():
    assert get_args(Fit) == FITS


def test_a_digest_stays_what_it_was_and_tells_every_value():
    plain = preprocessing(**OURS)
    assert plain.digest() == "fe9fd8757031966b622bc198f0bd0950593d9c2c4f42fcf2a26c50d4d8620794"
    others = [{"image_size": 225}, {"input_size": 97}, {"scaling": "x"}, {"scale": (1.0,) * 3}, {"offset": (1.0,) * 3},
              {"crop": "lungs"}, {"intensities": "harmonised"}, {"channels": 1}, {"resample": "bicubic-antialias"}]  # fmt: skip
    assert len({preprocessing(**OURS | other).digest() for other in others} | {plain.digest()}) == 10
