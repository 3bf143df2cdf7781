"""Listing: each file looked at in one way, system files passed over and counted, copies and links once."""

import os
import shutil
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from made_archives import tarred
from made_files import dataset, dicom_bytes, film
from plainfilm.data.cataloguing import folders
from plainfilm.data.cataloguing.folders import is_mask, survey
from plainfilm.data.places import archive_members, tar_archive
from plainfilm.data.places.archives import open_archive
from plainfilm.data.places.place import Archived, Folder
from plainfilm.errors import CatalogError

JPEG = b"\xff\xd8\xff and so on"
DICOM = dicom_bytes(dataset(film()))


def put(folder: Path, *names: str, data: bytes = JPEG) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def images(folder: Path) -> list[str]:
    return survey(Folder(folder)).images


def told(folder: Path) -> list[tuple[str, str]]:
    return [(problem.code, problem.file) for problem in survey(Folder(folder)).problems]


def png() -> bytes:
    stream = BytesIO()
    Image.new("L", (40, 40)).save(stream, "PNG")
    return stream.getvalue()


# What a file is


def test_what_has_no_known_extension_is_known_by_its_first_bytes(tmp_path):
    put(tmp_path, "a/IM0001", "a/1.2.840.1", "a/x.IMA", "a/x.dcm", "a/scan.xyz", data=DICOM)
    put(tmp_path, "b/noextension", "b/odd.bak", data=png())
    put(tmp_path, "c/README", "c/list.xyz", data=b"just text")
    put(tmp_path, "c/empty", data=b"")
    found = survey(Folder(tmp_path))
    assert found.images == ["a/1.2.840.1", "a/IM0001", "a/scan.xyz", "a/x.IMA", "a/x.dcm", "b/noextension", "b/odd.bak"]
    assert found.dicom == {name for name in found.images if name.startswith("a/")}
    assert found.others == {"without extension": 2, ".xyz": 1}


def test_dicom_without_preamble_is_dicom(tmp_path):
    put(tmp_path, "CR000", data=DICOM[132:])
    assert survey(Folder(tmp_path)).dicom == {"CR000"}


def test_dicom_under_the_name_of_another_format_is_dicom(tmp_path):
    put(tmp_path, "a/1.jpg", "a/2.jpg", data=DICOM)
    put(tmp_path, "b/3.jpg")
    assert survey(Folder(tmp_path)).dicom == {"a/1.jpg", "a/2.jpg"}


@pytest.mark.parametrize("pair", [("metrics.json", "report.html"), ("relabel.json", "relabel.html")])
def test_what_a_command_wrote_among_radiographs_is_passed_over(tmp_path, pair):
    put(tmp_path, "A/1.png", "B/2.png", "run/figures/roc.png", "run/deep/run/roc.png")
    put(tmp_path, *(f"{folder}/{name}" for folder in ("run", "run/deep/run") for name in pair), data=b"{}")
    put(tmp_path, "B/metrics.json", data=b"{}")  # alone it means nothing
    assert images(tmp_path) == ["A/1.png", "B/2.png"]
    assert told(tmp_path) == [("own-folder", "run")]
    archive = Path(shutil.make_archive(str(tmp_path.with_suffix(".all")), "zip", tmp_path))
    found = survey(Archived(open_archive(archive), archive))
    assert found.images == ["A/1.png", "B/2.png"]
    assert [(problem.code, problem.file) for problem in found.problems] == [("own-folder", "run")]


def test_the_table_of_labels_is_not_passed_over(tmp_path):
    put(tmp_path, "a.png")
    put(tmp_path, "labels.csv", "notes.csv", data=b"file_name,label")
    found = survey(Folder(tmp_path), labels=tmp_path / "labels.csv")
    assert (found.others, found.more_tables) == ({".csv": 1}, ["notes.csv"])
    assert survey(Folder(tmp_path), labels=tmp_path.parent / "labels.csv").others == {".csv": 2}


def test_a_pipe_is_never_opened(tmp_path):
    put(tmp_path, "a.png")
    put(tmp_path, "README", data=b"BM is a word")
    os.mkfifo(tmp_path / "pipe")
    assert images(tmp_path) == ["a.png"]
    assert survey(Folder(tmp_path)).others == {"without extension": 1}
    assert told(tmp_path) == [("not-a-file", "pipe")]


# What is passed over


def test_folders_of_the_system_are_passed_over_and_named(tmp_path):
    put(tmp_path, "A/1.png", "B/2.png")
    system = ["$RECYCLE.BIN/x", "#recycle", "@eaDir/y.jpg", ".git", ".ipynb_checkpoints", "System Volume Information"]
    put(tmp_path, *(f"{name}/1.png" for name in system), "A/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/A/1.png")
    found = survey(Folder(tmp_path))
    assert found.images == ["A/1.png", "B/2.png"]
    assert [(p.code, p.fatal) for p in found.problems] == [("system-folder", False)]
    assert found.problems[0].sentence.startswith("8 hidden or system folders passed over: ")


def test_files_of_the_system_are_counted(tmp_path):
    put(tmp_path, "A/1.png", "A/._1.png", "A/Thumbs.db", "A/.DS_Store", "DICOMDIR", "A/~$list.xlsx")
    found = survey(Folder(tmp_path))
    assert (found.images, found.others) == (["A/1.png"], {"system files": 5})


@pytest.mark.parametrize(
    "name",
    [
        *("masks/1.png", "A/Lung_Masks/1.png", "Ground-truths/1.png", "A/ground truth/x/1.png", "ManualMask/leftMask/1.png"),
        *("A/1_mask.png", "A/mask_1.png", "1-seg.png", "segmentation/1.png", "annotations/1.png", "gt/1.png"),
        *("A/1_msk.png", "A/1_mask_left.png", "A/1_lungmask.png", "A/1.seg.png", "A/1_mask_01.png", "labelsTr/1.png"),
        "SegmentationClass/1.png",
    ],
)  # fmt: skip
def test_masks_are_known_by_name(name):
    assert is_mask(name)


@pytest.mark.parametrize(
    "name", ["A/1.png", "mask.png", "unmasked/1.png", "A/1_masked patient.png", "gtx/1.png", "segment/1.png"]
)
def test_other_names_are_no_masks(name):
    assert not is_mask(name)


def test_tables_and_lists_are_told_apart(tmp_path):
    put(
        tmp_path,
        "a.png",
        "metadata.csv",
        "b/metadata.tsv",
        "Data_Entry.csv",
        "notes.txt",
        "train_val_list.txt",
        "test.txt",
    )
    found = survey(Folder(tmp_path))
    assert found.tables == ["b/metadata.tsv", "metadata.csv"]
    assert found.more_tables == ["Data_Entry.csv"]
    assert found.lists == ["test.txt", "train_val_list.txt"]
    assert found.others == {".csv": 1, ".txt": 1}


# Copies and links


def test_a_tree_that_holds_itself_again_counts_once(tmp_path):
    names = ["train/NORMAL/1.png", "train/COVID/2.png", "test/COVID/3.png"]
    put(tmp_path, *names, *(f"chest_xray/{name}" for name in names), "chest_xray/train/NORMAL/only here.png")
    assert images(tmp_path) == ["chest_xray/train/NORMAL/only here.png", *sorted(names)]
    assert told(tmp_path) == [("copy-of-tree", "chest_xray")]


def test_folders_of_one_name_with_other_files_are_no_copy(tmp_path):
    put(tmp_path, "A/1.png", "x/A/2.png", "x/A/3.png")
    assert len(images(tmp_path)) == 3
    put(tmp_path, "x/A/1.png", data=b"\xff\xd8\xff of another length")
    assert len(images(tmp_path)) == 4
    assert told(tmp_path) == []


def test_a_linked_folder_is_followed_once(tmp_path):
    put(tmp_path, "source/A/1.png", "elsewhere/2.png", "elsewhere/deep/3.png")
    source = tmp_path / "source"
    (source / "B").symlink_to(tmp_path / "elsewhere")
    (source / "C").symlink_to(tmp_path / "elsewhere")
    assert images(source) == ["A/1.png", "B/2.png", "B/deep/3.png"]
    assert told(source) == [("linked-folder", "B"), ("linked-folder", "C")]


def test_loops_end(tmp_path):
    put(tmp_path, "source/A/1.png", "elsewhere/2.png")
    source = tmp_path / "source"
    (source / "A/back").symlink_to(source)
    (source / "A/up").symlink_to(tmp_path)
    (source / "A/self").symlink_to(source / "A/self")
    (tmp_path / "elsewhere/again").symlink_to(tmp_path / "elsewhere")
    (source / "B").symlink_to(tmp_path / "elsewhere")
    assert images(source) == ["A/1.png", "B/2.png"]


def test_what_lies_in_a_folder_that_is_read_already_is_not_read_again(tmp_path):
    put(tmp_path, "A/1.png", "B/2.png")
    (tmp_path / "Z").symlink_to(tmp_path / "A")
    assert images(tmp_path) == ["A/1.png", "B/2.png"]


def test_the_order_is_that_of_the_parts_of_the_names(tmp_path):
    put(tmp_path, "b.png", "a/2.png", "a/10.png", "a.x/1.png", "a/b/1.png")
    found = images(tmp_path)
    assert found == sorted(found, key=lambda name: name.split("/"))


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(CatalogError, match=r"Expected a folder that can be listed; received .*Check its permissions"):
        survey(Folder(tmp_path / "none"))


def test_copies_beside_and_deeper_count_once(tmp_path):
    for name in ("NORMAL/1.jpg", "COVID/1.jpg"):
        put(tmp_path, f"data/{name}", f"data (1)/{name}", f"data/backup/old/{name}", data=JPEG + name.encode())
    put(tmp_path, "A/1.jpg", "A - Copy/1.jpg")
    assert images(tmp_path) == ["A/1.jpg", "data/COVID/1.jpg", "data/NORMAL/1.jpg"]
    assert sorted(told(tmp_path)) == [
        ("copy-of-tree", "A - Copy"), ("copy-of-tree", "data (1)"), ("copy-of-tree", "data/backup/old")
    ]  # fmt: skip


def test_files_of_one_length_that_differ_are_no_copies(tmp_path):
    for folder in ("A", "A (1)"):
        put(tmp_path, f"{folder}/1.jpg", data=JPEG + folder[-1:].encode())
    assert images(tmp_path) == ["A/1.jpg", "A (1)/1.jpg"]


def test_every_copy_is_compared_and_what_differs_is_read(tmp_path):
    put(tmp_path, *(f"{folder}/{k:02}.bmp" for folder in ("data", "data (1)") for k in range(16)))
    for k in range(6, 16):
        put(tmp_path, f"data (1)/{k:02}.bmp", data=JPEG[:-1] + bytes([k]))
    found = survey(Folder(tmp_path))
    assert found.images == [f"data/{k:02}.bmp" for k in range(16)] + [f"data (1)/{k:02}.bmp" for k in range(6, 16)]
    (problem,) = found.problems
    assert (problem.code, problem.file) == ("copy-of-tree", "data (1)")
    assert problem.sentence == (
        "Holds 6 images of data once more, under the same names; they count once; 10 more that differ are read."
    )


def test_a_copy_with_images_and_a_table_of_its_own_is_read_as_it_is(tmp_path):
    put(tmp_path, "A/1.jpg", "A/2.jpg", "A (1)/1.jpg", "A (1)/metadata.csv")
    put(tmp_path, "A (1)/2.jpg", data=JPEG + b"x")
    found = survey(Folder(tmp_path))
    assert found.images == ["A/1.jpg", "A/2.jpg", "A (1)/1.jpg", "A (1)/2.jpg"]
    assert (found.tables, found.problems) == (["A (1)/metadata.csv"], [])


def test_copies_in_a_compressed_tar_are_compared_in_its_order(tmp_path, monkeypatch):
    names = [f"{folder}/{k}.jpg" for folder in ("data", "data (1)") for k in range(20)]
    begun, plain = list[int](), tar_archive.TarArchive._all
    monkeypatch.setattr(archive_members, "BUFFER_BYTES", 1000)
    monkeypatch.setattr(
        tar_archive.TarArchive, "_all", lambda self, number: begun.append(number) or plain(self, number)
    )
    archive = tarred(tmp_path / "set.tar.gz", {name: JPEG + bytes(900) for name in names}, "w:gz")
    with open_archive(archive) as opened:
        assert survey(Archived(opened, archive)).images == names[:20]
    assert len(begun) == 1


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        *(("A (1)", "A"), ("A(2)", "A"), ("A - Copy", "A"), ("A - Copy (2)", "A"), ("A_copy3", "A"), ("A -- Kopie 2", "A")),
        *(("Acopy", "Acopy"), ("A (x)", "A (x)"), ("A copy b", "A copy b"), ("A - ", "A - ")),
    ],
)  # fmt: skip
def test_marks_of_copies(name, whole):
    assert folders._COPY_MARK.sub("", name) == whole


def test_left_and_right_beside_an_image_are_views(tmp_path):
    put(tmp_path, "p0.png", "p0_left.png", "p0_right.png", "p0_mask_left.png")
    found = survey(Folder(tmp_path))
    assert (found.images, found.masks) == (["p0.png", "p0_left.png", "p0_right.png"], {"p0_mask_left.png"})


def test_a_label_beside_its_image_is_a_mask_and_one_alone_is_none(tmp_path):
    put(tmp_path, "1.jpg", "1_gt.jpg", "1-label.jpg", "2_label.jpg")
    found = survey(Folder(tmp_path))
    assert (found.images, found.masks) == (["1.jpg", "2_label.jpg"], {"1_gt.jpg", "1-label.jpg"})


def test_a_pipe_under_any_name_is_passed_over_and_named(tmp_path):
    put(tmp_path, "1.jpg")
    for name in ("2.dcm", "3.jpg", "metadata.csv"):
        os.mkfifo(tmp_path / name)
    assert images(tmp_path) == ["1.jpg"]
    assert told(tmp_path) == [("not-a-file", "2.dcm"), ("not-a-file", "3.jpg"), ("not-a-file", "metadata.csv")]


def test_a_folder_around_everything_that_is_named_like_masks_is_no_mask_folder(tmp_path):
    put(tmp_path, "masks/images/1.png", "masks/images/2.png", "masks/lung_masks/1.png")
    found = survey(Folder(tmp_path))
    assert found.images == ["masks/images/1.png", "masks/images/2.png"]
    assert found.masks == {"masks/lung_masks/1.png"}
