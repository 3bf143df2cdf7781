import json
import os
import sys
from urllib.parse import parse_qs, urlencode

import pytest

from plainfilm.app import folders
from plainfilm.app.places import Places, as_json, is_plain, name_like
from plainfilm.errors import UsageError
from plainfilm.serve.http_errors import Refused

TRICKS = ["..", ".", "", "a\0b", "a/b", "a\\b", "con", "NUL.txt", "com1", "LPT9.png", "COM²", "a.", "a ", ".hidden", "a:b", "a\nb", "x\u202eb", "a" * 201, "é" * 101, "\udcff", "a*", 'a"']  # fmt: skip


@pytest.mark.parametrize("name", TRICKS, ids=ascii)
def test_a_name_that_some_system_takes_for_something_else_is_none(places, name):
    assert not is_plain(name)
    with pytest.raises(Refused) as refused:
        places.project(name)
    assert refused.value.status == 400


@pytest.mark.parametrize("name", ["films", "Röntgen 2", "x-ray_1", "胸部", "console", "a.b.c"])
def test_an_ordinary_name_is_one(places, name):
    assert is_plain(name)
    assert places.project(name) == places.work / name


@pytest.mark.parametrize("name", ["../x.png", "a/../../x", "/etc/passwd", "a//b", "a/./b", "C:/x", "a/con/b.png", "/".join("abcdefghijklmnopqrstuvwxyz"), "a/%2e%2e\\b"])  # fmt: skip
def test_a_dropped_name_leads_nowhere_else(places, name):
    with pytest.raises(Refused, match="Expected names of files"):
        places.dropped(name)


def test_what_is_not_below_the_root_is_refused_however_it_is_written(places, tmp_path):
    (tmp_path / "secret").mkdir()
    (places.root / "out").symlink_to(tmp_path / "secret")
    (places.root / "in").symlink_to(places.root / "films")
    assert places.inside(str(places.root / "in")) == places.root / "films"
    for path in (
        "/etc",
        str(tmp_path),
        f"{places.root}/../secret",
        f"{places.root}/out",
        f"{places.root}/out/x",
        f"{places.root}x",
    ):
        with pytest.raises(Refused) as refused:
            places.inside(path)
        assert (refused.value.status, refused.value.code) == (403, "outside"), path
        assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    "path",
    [None, 5, "", "films", "../films", "a\0", "/a" * 3000, "/\ud800", "~nobody-of-that-name/x", ["/tmp"]],
    ids=ascii,
)
def test_what_is_no_whole_path_is_refused(places, path):
    with pytest.raises(Refused) as refused:
        places.inside(path)
    assert refused.value.status == 400


def test_a_name_that_is_no_utf8_is_a_path_too(places):
    name = os.fsdecode(os.fsencode(str(places.root)) + b"/films/\xff")
    assert places.inside(name) == places.root / "films" / os.fsdecode(b"\xff")


def test_what_the_app_keeps_for_itself_is_no_source(places):
    with pytest.raises(Refused, match="keeps for itself"):
        places.inside(str(places.own / "jobs"))


def test_a_project_that_is_a_link_is_none(places, tmp_path):
    (places.work / "linked").symlink_to(tmp_path)
    with pytest.raises(Refused, match="which is a link"):
        places.project("linked")


def test_work_lies_below_the_root(tmp_path):
    (tmp_path / "a").mkdir()
    for work in (tmp_path, tmp_path / "a", tmp_path / "a" / ".." / "b"):
        with pytest.raises(UsageError, match="Expected --work"):
            Places.of(tmp_path / "a", work)
    with pytest.raises(UsageError, match="Expected --root to be a folder"):
        Places.of(tmp_path / "none", None)


def test_a_project_is_named_as_its_folder_but_for_what_no_name_may_have():
    assert name_like("chest xrays") == "chest xrays"
    assert name_like("<b>a\x1b[2J/b") == "-b-a-[2J-b"
    assert (name_like(".."), name_like("\udcff")) == ("radiographs", "-")
    assert name_like("CON") == "radiographs"
    assert name_like("films", ["FILMS", "films-2"]) == "films-3"
    assert is_plain(name_like("é" * 400))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is of Unicode")
def test_a_name_that_is_not_utf8_can_be_said_again_by_the_page(places):
    name = os.fsdecode(b"R\xf6ntgen \xff")
    (places.root / name).mkdir()
    (places.root / name / "\U0001f480 \\udcff").mkdir()  # a skull, and what is no escape
    (folder,) = (
        each for each in json.loads(as_json(folders.listed(places, places.root)))["folders"] if "ntgen" in each["name"]
    )
    said = parse_qs(urlencode({"path": folder["path"]}))["path"][0]
    assert places.inside(said) == places.root / name
    below = json.loads(as_json(folders.listed(places, places.inside(said))))
    assert places.inside(below["folders"][0]["path"]) == places.root / name / "\U0001f480 \\udcff"
    assert below["parent"] == str(places.root)
    assert json.loads(as_json({"a": "\ud800"})) == {"a": "\ud800"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of POSIX")
def test_a_pipe_is_no_table_and_nobody_waits_for_it(places):
    os.mkfifo(places.root / "labels.csv")
    with pytest.raises(Refused, match="Expected a table"):
        folders.columns(places.root / "labels.csv")
    assert folders.listed(places, places.root)["tables"] == []
