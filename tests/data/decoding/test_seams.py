import numpy as np
import pytest
from numpy.typing import NDArray

from made_files import gray_film
from plainfilm.data.decoding import seams

FILM = np.clip(gray_film(240, 320) // 2 + 60 + np.random.default_rng(0).normal(0, 3, (240, 320)), 0, 255).astype(
    np.uint8
)


def shifted(by: int, row: int, column: int, block: int = 8) -> NDArray[np.uint8]:
    """A film whose blocks from one on are brighter."""
    found = FILM.astype(int)
    found[row * block : (row + 1) * block, column * block :] += by
    found[(row + 1) * block :] += by
    return np.clip(found, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("by", [20, -25, 50])
@pytest.mark.parametrize("block", [8, 16])
def test_the_height_of_a_seam_is_found(by: int, block: int) -> None:
    gray = shifted(by, 5, 7, block)
    rows = seams.jumps(gray, block)
    assert len(rows)
    assert abs(seams.seam(gray, block, block, rows) - abs(by)) < 8


def test_a_film_has_no_seams_and_an_edge_across_it_is_none() -> None:
    assert not len(seams.jumps(FILM, 8))
    edge = FILM.copy()
    edge[:64] = 0
    assert len(seams.jumps(edge, 8))
    straight = shifted(40, 9, 0)
    for gray in (edge, straight):
        assert seams.seam(gray, 8, 8, seams.jumps(gray, 8)) == 0


@pytest.mark.parametrize("block", [1, 2, 4])
def test_jumps_are_seen_in_pictures_that_were_made_smaller(block: int) -> None:
    assert len(seams.jumps(shifted(60, 60 // block, 20, block), block))


def test_values_that_wrap_round_are_told_from_edges_of_drawings() -> None:
    drawn = FILM.copy()
    drawn[:60, :90], drawn[20:40:2, 10:80] = 0, 255
    assert seams.wrapped(FILM, 8) == seams.wrapped(drawn, 8) == 0
    beyond = (FILM.astype(int) + 120).astype(np.uint8)
    assert seams.wrapped(beyond, 8) > seams.WRAPPED
    assert seams.wrapped(beyond.astype(np.uint16) * 16 + 3, 12) > seams.WRAPPED
