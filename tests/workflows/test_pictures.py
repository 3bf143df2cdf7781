"""Pictures for people to look at: of files, members of archives, and stores."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_files import encoded
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, ImageError, StoreError
from plainfilm.workflows.pictures import Pictures

STORE = Path(__file__).resolve().parents[1] / "written_by_0_1_0" / "store.h5"


@pytest.fixture(scope="module")
def pictures():
    found = Pictures()
    yield found
    found.close()


@pytest.fixture(scope="module")
def film():
    grain = np.random.default_rng(0).integers(0, 256, (10, 16), np.uint8)
    return encoded(Image.fromarray(grain).resize((320, 200), Image.Resampling.BICUBIC), "PNG")


def seen(png):
    return Image.open(io.BytesIO(png))


def test_a_file_is_drawn_in_its_proportions_and_no_larger_than_asked(pictures, film, tmp_path):
    (tmp_path / "a.png").write_bytes(film)
    drawn = seen(pictures.of_file(tmp_path / "a.png", longest_px=64))
    assert (drawn.format, drawn.mode, drawn.size) == ("PNG", "L", (64, 40))


def test_a_member_is_drawn_out_of_its_archive_which_may_change(pictures, film, tmp_path):
    path = tmp_path / "films.zip"
    for name in ("COVID/a.png", "NORMAL/b.png"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, film)
        assert seen(pictures.of_file(path / name, longest_px=64)).size == (64, 40)
    with pytest.raises((ImageError, CatalogError)):
        pictures.of_file(path / "COVID/a.png", longest_px=64)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, None])
def test_what_cannot_be_drawn_is_said_in_one_line(pictures, tmp_path, content):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError) as told:
        pictures.of_file(path, longest_px=64)
    assert str(told.value).count("\n") == 0


def test_a_film_of_a_store_is_found_by_its_hash_or_its_name(pictures):
    with Store(STORE) as store:
        digest, name, size = str(store.sha256[3]), str(store.file[3]), store.size
    by_hash = pictures.of_store(STORE, sha256=digest, longest_px=size)
    assert pictures.of_store(STORE, file=name, longest_px=size) == by_hash
    assert seen(by_hash).size == (size, size)
    for lacking in ({"sha256": "0" * 64}, {"file": "none.png"}, {"file": ""}):
        with pytest.raises(StoreError, match="received one that it lacks"):
            pictures.of_store(STORE, longest_px=64, **lacking)


def test_what_is_no_store_is_said_in_one_line(pictures, tmp_path):
    (tmp_path / "a.h5").write_text("none")
    for path in (tmp_path / "a.h5", tmp_path / "none.h5"):
        with pytest.raises(StoreError) as told:
            pictures.of_store(path, sha256="0" * 64, longest_px=64)
        assert str(told.value).count("\n") == 0
