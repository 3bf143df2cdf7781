import csv
import errno
import json
import os

import pytest

from plainfilm.app import locks
from plainfilm.app.commands import DECIDED
from plainfilm.app.doubts import Doubts
from plainfilm.serve.http_errors import Refused

HEADERS = [
    "file",
    "label",
    "suggested",
    "correction",
    "by",
    "doubtful",
    "doubt",
    "probability A",
    "probability B",
    "copy",
    "source",
    "split",
    "sha256",
    "store",
]
ROWS = [
    ["a/1.png", "A", "B", "", "", "yes", "0.9", "0.1", "0.9", "", "s", "train", "1" * 64, "f" * 16],
    ["'=a/2.png", "A", "B", "", "", "yes", "0.8", "0.2", "0.8", "b/9.png", "s", "train", "2" * 64, "f" * 16],
    ["a/3.png", "A", "", "", "", "no", "0.1", "0.9", "0.1", "", "s", "train", "3" * 64, "f" * 16],
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "relabel.json").write_text(json.dumps({"classes": ["A", "B"]}))
    with (tmp_path / "relabel.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADERS, *ROWS])
    return tmp_path


def test_doubtful_films_come_in_their_order_with_chances_and_pictures(folder):
    told = Doubts.read(folder).told(0, 20)
    assert (told["classes"], told["number"], told["decided"]) == (["A", "B"], 2, 0)
    first, second = told["rows"]
    assert (first["place"], first["file"], first["chances"], first["copy"]) == (
        1,
        "a/1.png",
        {"A": 0.1, "B": 0.9},
        None,
    )
    assert (second["file"], second["copy"], len(second["pictures"])) == ("=a/2.png", "b/9.png", 2)
    assert [each["place"] for each in Doubts.read(folder).told(1, 1)["rows"]] == [2]
    assert Doubts.read(folder).told(5, 20)["rows"] == []


def test_a_decision_is_kept_changed_and_taken_back(folder):
    doubts = Doubts.read(folder)
    assert doubts.decide("1" * 64, "B") == 1
    assert doubts.decide("2" * 64, "A") == 2
    assert doubts.decide("1" * 64, "A") == 2
    assert [row["correction"] for row in Doubts.read(folder).told(0, 20)["rows"]] == ["A", "A"]
    with (folder / DECIDED).open(newline="", encoding="utf-8") as file:
        kept = [*csv.DictReader(file)]
    assert [(row["file"], row["correction"], row["sha256"]) for row in kept] == [
        ("'=a/2.png", "A", "2" * 64),
        ("a/1.png", "A", "1" * 64),
    ]
    assert doubts.decide("1" * 64, None) == 1
    assert doubts.decide("2" * 64, None) == 0
    assert (folder / "relabel.csv").read_text().count("\n") == 4, "the table itself stays as it is"


@pytest.mark.parametrize(
    ("sha256", "correction"),
    [("9" * 64, "A"), (None, "A"), ({"a": 1}, "A"), ("1" * 64, "C"), ("1" * 64, ["A"]), ("3" * 64, "A")],
)
def test_only_films_and_classes_of_the_list_are_decided(folder, sha256, correction):
    with pytest.raises(Refused) as refused:
        Doubts.read(folder).decide(sha256, correction)
    assert refused.value.status == 400
    assert not (folder / DECIDED).exists()


def test_a_full_disk_loses_no_decision(folder, monkeypatch):
    doubts = Doubts.read(folder)
    doubts.decide("1" * 64, "B")
    before = (folder / DECIDED).read_bytes()

    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(locks.os, "fsync", fails)
    with pytest.raises(OSError, match="No space"):
        doubts.decide("2" * 64, "B")
    assert (folder / DECIDED).read_bytes() == before
    assert [path.name for path in folder.iterdir() if path.name.endswith("partial")] == []


def test_pictures_are_of_the_film_and_of_what_the_page_of_relabel_shows_beside_it(folder):
    doubts = Doubts.read(folder)
    assert doubts.picture(0, 0) == {"sha256": "1" * 64}
    assert doubts.picture(1, 1) == {"file": "b/9.png"}
    for place, which in ((0, 1), (1, 2), (2, 0), (-1, 0)):
        with pytest.raises(Refused):
            doubts.picture(place, which)
    films = [{"sha256": "7" * 64, "caption": "Nearest: A"}, {"sha256": "8" * 64, "caption": "Nearest: B"}]
    (folder / "relabel.json").write_text(
        json.dumps({"classes": ["A", "B"], "beside": [{"sha256": "1" * 64, "films": films}]})
    )
    doubts = Doubts.read(folder)
    assert [each["caption"] for each in doubts.told(0, 1)["rows"][0]["pictures"]] == [
        "This film: A",
        "Nearest: A",
        "Nearest: B",
    ]
    assert doubts.picture(0, 2) == {"sha256": "8" * 64}
    assert doubts.picture(1, 1) == {"file": "b/9.png"}


def test_of_several_findings_each_of_a_film_is_decided_by_itself(folder):
    headers = ["file", "finding", *HEADERS[1:7], "probability", *HEADERS[9:]]
    rows = [
        ["a/1.png", name, f"no {name}", name, "", "", "yes", "0.9", "0.8", "", "s", "train", "1" * 64, "f" * 16]
        for name in ("Mass", "Effusion")
    ]
    (folder / "relabel.json").write_text(json.dumps({"classes": ["Mass", "Effusion"], "task": "findings"}))
    with (folder / "relabel.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([headers, *rows])
    doubts = Doubts.read(folder)
    told = doubts.told(0, 20)["rows"]
    assert [(row["finding"], row["choices"], row["chances"]) for row in told] == [
        ("Mass", ["Mass", "no Mass"], {"Mass": 0.8}),
        ("Effusion", ["Effusion", "no Effusion"], {"Effusion": 0.8}),
    ]
    assert doubts.decide("1" * 64, "Mass", "Mass") == 1
    assert doubts.decide("1" * 64, "no Effusion", "Effusion") == 2
    assert [row["correction"] for row in Doubts.read(folder).told(0, 20)["rows"]] == ["Mass", "no Effusion"]
    for finding, correction in (("", "Mass"), ("Mass", "Effusion"), (None, "Mass")):
        with pytest.raises(Refused):
            doubts.decide("1" * 64, correction, finding)
    assert doubts.decide("1" * 64, None, "Mass") == 1


@pytest.mark.parametrize("damage", ["relabel.json", "relabel.csv"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"[1]", b"file,label\n1,2\n", b"x" * 200_000])
def test_a_folder_that_is_none_is_said_in_one_line(folder, damage, content):
    (folder / damage).unlink() if content is None else (folder / damage).write_bytes(content)
    with pytest.raises(Refused) as refused:
        Doubts.read(folder)
    assert (refused.value.status, str(refused.value).count("\n")) == (404, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of POSIX")
@pytest.mark.parametrize("name", ["relabel.json", "relabel.csv", DECIDED])
@pytest.mark.parametrize("lay", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "link"])
def test_a_pipe_or_a_link_is_no_table_and_nobody_waits_for_it(folder, name, lay):
    (folder / name).unlink(missing_ok=True)
    lay(folder / name)
    if name == DECIDED:
        assert Doubts.read(folder).decided() == {}
    else:
        with pytest.raises(Refused) as refused:
            Doubts.read(folder)
        assert refused.value.code == "doubts"
