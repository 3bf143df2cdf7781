"""Ingest of folders as people have them: whose image is whose, which are no radiographs, what a split lacks, what a table states."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plainfilm
from made_archives import tarred
from made_files import dataset, dicom_bytes
from plainfilm.data.catalog import Asked, Catalog, read_catalog
from plainfilm.data.depths import folder_depths
from plainfilm.data.ingest import Ingested, fill_store
from plainfilm.data.places import archive_members, tar_archive
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, SplitError, UsageError


def picture(seed: int, size: int = 48) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (6, 6), dtype=np.uint8)).resize((size, size), Image.Resampling.BICUBIC)


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    picture(seed).save(stream, "PNG")
    return stream.getvalue()


def put(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def dicom(seed: int, **elements: object) -> bytes:
    pixels = np.asarray(picture(seed, 64)).astype(np.uint16) * 16
    return dicom_bytes(dataset(pixels, **{"Modality": "CR", **elements}))


def two_classes(root: Path, n: int = 8, parts: tuple[str, ...] = ("",)) -> Path:
    seed = 0
    for part in parts:
        for name in ("COVID", "NORMAL"):
            for k in range(n):
                put(root / part / name / f"{k}.png", png(seed := seed + 1))
    return root


@pytest.fixture
def ingest(tmp_path):
    def run(root: Path, name: str = "s.h5", **options: object) -> tuple[Ingested, Store]:
        done = plainfilm.ingest(root, tmp_path / name, **{"size": 32, "workers": 1, "overwrite": True, **options})
        return done, Store(tmp_path / name)

    return run


def rows(store: Store) -> list[tuple[str, str, int]]:
    return sorted(zip(store.file, store.sha256, store.labels.tolist(), strict=True))


def codes(done: Ingested) -> list[str]:
    return [problem.code for problem in done.problems]


# Whose image is whose


def test_two_spellings_of_a_hospital_are_one_patient(tmp_path, ingest):
    for patient in range(8):
        for k, hospital in enumerate(("St Agnes", "ST. AGNES")):
            seed = 10 * patient + k
            put(
                tmp_path / f"x/{'AB'[patient % 2]}/{seed}.dcm",
                dicom(seed, PatientID=f"P{patient}", InstitutionName=hospital),
            )
    _, store = ingest(tmp_path / "x")
    assert len(set(store.patient)) == 8
    assert {len(set(store.split[store.patient == patient])) for patient in set(store.patient)} == {1}


def test_a_table_and_a_header_that_name_one_patient_mean_one(tmp_path, ingest):
    rows = ["file_name,label,patient_id,source"]
    for k in range(12):
        data = dicom(k, PatientID=f"P{k // 2}") if k % 2 else png(k)
        name = f"{k}.{'dcm' if k % 2 else 'png'}"
        put(tmp_path / "x" / name, data)
        rows.append(f"{name},{'AB'[k // 2 % 2]},{'' if k % 2 else f'p{k // 2}'},{k}")
    put(tmp_path / "x/metadata.csv", "\n".join(rows))
    _, store = ingest(tmp_path / "x")
    assert len(set(store.patient)) == 6


def test_issuers_keep_equal_ids_apart(tmp_path, ingest):
    for k in range(16):
        put(tmp_path / f"x/{'AB'[k % 2]}/{k}.dcm", dicom(k, PatientID=str(k % 8), IssuerOfPatientID=f"H{k // 8}"))
    _, store = ingest(tmp_path / "x")
    assert len(set(store.patient)) == 16


def test_one_id_for_all_is_told_and_taken_for_none(tmp_path, ingest):
    for k in range(12):
        put(tmp_path / f"x/{'AB'[k % 2]}/{k}.dcm", dicom(k, PatientID="SAME"))
    done, store = ingest(tmp_path / "x")
    assert codes(done) == ["one-patient-id"]
    assert set(store.patient) == {""}


# What is no radiograph


def test_a_lateral_view_is_flagged_wherever_it_is_told(tmp_path, ingest):
    root = two_classes(tmp_path / "x")
    rows = [f"{name}/{k}.png,{name},{view}" for name in ("COVID", "NORMAL") for k, view in enumerate(["L", "PA", "Lateral", "AP", "", "PA", "PA", "LL"])]  # fmt: skip
    put(root / "metadata.csv", "\n".join(["file_name,label,view", *rows]))
    done, _ = ingest(root)
    assert [code for code in codes(done) if code == "lateral"] == ["lateral"] * 6
    assert not any(problem.fatal for problem in done.problems)


def test_a_folder_of_ct_stops_before_a_pixel_is_read_unless_told_to_go_on(tmp_path, ingest):
    for k in range(12):
        put(tmp_path / f"x/{'AB'[k % 2]}/{k}.dcm", dicom(k, Modality="CT"))
    with pytest.raises(
        CatalogError, match=r"received 12 of 12 files of another modality \(CT 12\).* keep_non_radiographs=True"
    ):
        ingest(tmp_path / "x")
    assert not (tmp_path / "s.h5").exists()
    done, store = ingest(tmp_path / "x", keep_non_radiographs=True)
    assert (len(store), codes(done)) == (12, ["not-radiograph-modality"] * 12)


def test_a_folder_of_photographs_stops_unless_told_to_go_on(tmp_path, ingest):
    rng = np.random.default_rng(0)
    for k in range(12):
        stream = io.BytesIO()
        colours = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        colours.resize((48, 48), Image.Resampling.BICUBIC).save(stream, "PNG")
        put(tmp_path / f"x/{'AB'[k % 2]}/{k}.png", stream.getvalue())
    with pytest.raises(
        CatalogError, match=r"received 12 files of 12 that are not \(colour: .* keep_non_radiographs=True"
    ):
        ingest(tmp_path / "x")
    assert not (tmp_path / "s.h5").exists()
    assert len(ingest(tmp_path / "x", keep_non_radiographs=True)[1]) == 12


def test_masks_are_known_by_what_they_show_whatever_they_are_called(tmp_path, ingest):
    root = two_classes(tmp_path / "x")
    for k in range(8):
        mask = np.zeros((48, 48), np.uint8)
        mask[10 : 30 + k, 8:40] = 255
        stream = io.BytesIO()
        Image.fromarray(mask).save(stream, "PNG")
        put(root / "COVID" / "outlines" / f"{k}.png", stream.getvalue())
    done, store = ingest(root)
    assert len(store) == 16
    assert [(problem.code, problem.fatal) for problem in done.problems] == [("mask", True)] * 8


# Depth


def test_neighbours_of_an_unknown_depth_are_scaled_alike(tmp_path, ingest):
    for k in range(12):
        deep = np.asarray(picture(k, 64)).astype(np.uint16) * (16 if k % 4 else 1)  # every fourth needs 8 bits alone
        stream = io.BytesIO()
        Image.fromarray(deep).save(stream, "PNG")
        put(tmp_path / f"x/{'AB'[k % 2]}/{k}.png", stream.getvalue())
    put(tmp_path / "x/B/eight bits.png", png(99))
    done, store = ingest(tmp_path / "x")
    brightest = {
        int(Path(file).stem): int(image.max())
        for file, image in zip(store.file, store.images(range(len(store))), strict=True)
        if Path(file).stem.isdigit()
    }
    assert all(brightest[k] < 20 for k in (0, 4, 8))
    assert all(brightest[k] > 100 for k in brightest if k % 4)
    told = [problem for problem in done.problems if problem.code == "guessed-depth"]
    assert [problem.sentence.split("; ")[1] for problem in told] == [
        "all are scaled by 12 bits, though single ones need only 8."
    ]


def test_two_sources_have_a_depth_each_and_two_classes_of_one_have_the_same(tmp_path, ingest):
    rows = ["file_name,label,source"]
    for k in range(16):
        bits = 4 if k < 8 and k != 2 else 8  # of Agnes one film alone needs 16 bits
        stream = io.BytesIO()
        Image.fromarray(np.asarray(picture(k, 64)).astype(np.uint16) * 2**bits).save(stream, "PNG")
        put(tmp_path / f"x/{k}.png", stream.getvalue())
        rows.append(f"{k}.png,{'AB'[k % 2]},{'Agnes' if k < 8 else 'Harbour'}")
    put(tmp_path / "x/metadata.csv", "\n".join(rows))
    _, store = ingest(tmp_path / "x")
    brightest = {
        int(Path(file).stem): int(image.max()) for file, image in zip(store.file, store.images(range(16)), strict=True)
    }
    assert max(brightest[k] for k in range(8) if k != 2) < 20
    assert min(brightest[k] for k in range(8, 16)) > 100


# What a split lacks


@pytest.mark.parametrize(("parts", "made"), [(("train", "val"), {"test"}), (("train", "test"), {"validation"}), (("train",), {"validation", "test"})])  # fmt: skip
def test_a_part_that_a_given_split_lacks_is_taken_from_train(tmp_path, ingest, parts, made):
    done, store = ingest(two_classes(tmp_path / "x", parts=parts))
    assert {name for name in ("train", "validation", "test") if (store.split == name).any()} == {
        "train",
        "validation",
        "test",
    }
    came_from = {name: {file.split("/")[0] for file in store.file[store.split == name]} for name in made}
    assert came_from == {name: {"train"} for name in made}
    assert {problem.sentence.split()[5] for problem in done.problems if problem.code == "part-made"} == made


def test_without_a_training_set_a_given_split_is_one_line(tmp_path, ingest):
    with pytest.raises(SplitError, match=r"train has none of COVID.* resplit=True"):
        ingest(two_classes(tmp_path / "x", parts=("val", "test")))


def test_lists_give_the_split(tmp_path, ingest):
    root = two_classes(tmp_path / "x", n=10)
    put(root / "train_val_list.txt", "\n".join(f"{c}/{k}.png" for c in ("COVID", "NORMAL") for k in range(7)))
    put(root / "test_list.txt", "\n".join(f"{c}/{k}.png" for c in ("COVID", "NORMAL") for k in range(7, 10)))
    done, store = ingest(root)
    assert sorted(store.file[store.split == "test"]) == [f"{c}/{k}.png" for c in ("COVID", "NORMAL") for k in (7, 8, 9)]
    assert "part-made" in codes(done)
    put(root / "val_list.txt", "nothing\nof\nthis")
    assert "other-list" in codes(ingest(root, "t.h5")[0])


# What a table states


def test_a_store_keeps_the_state_of_every_finding(tmp_path, ingest):
    rows = ["file_name,Edema,Pleural Effusion/left"]
    for k in range(12):
        put(tmp_path / f"x/{k}.png", png(k))
        rows.append(f"{k}.png,{k % 2},{['1.0', '', '-1.0', '0'][k % 4]}")
    put(tmp_path / "x/metadata.csv", "\n".join(rows))
    _, store = ingest(tmp_path / "x", label_of="edema")
    assert store.classes == ("Edema", "no Edema")
    number = np.array([int(name.removesuffix(".png")) for name in store.file])
    assert store.findings["Edema"].dtype == np.int8
    assert (store.findings["Edema"] == number % 2).all()
    assert (store.findings["Pleural Effusion_left"] == np.array([1, -2, -1, 0])[number % 4]).all()
    assert "Edema" not in store.provenance


# Labels from names


def test_labels_may_stand_in_the_names(tmp_path, ingest):
    for k in range(12):
        put(tmp_path / f"x/CHNCXR_{k:04d}_{k % 2}.png", png(k))
    with pytest.raises(CatalogError, match=r"\(0, 1\) with label_pattern='_\(\[\^_\]\+\)\\\.'"):
        ingest(tmp_path / "x")
    _, store = ingest(tmp_path / "x", label_pattern=r"_(\d)\.png$")
    assert (store.classes, np.bincount(store.labels).tolist()) == (("0", "1"), [6, 6])
    _, named = ingest(tmp_path / "x", "n.h5", label_pattern=r"(\d{4})_(?P<label>.)")
    assert named.classes == ("0", "1")


@pytest.mark.parametrize(("pattern", "told"), [("_(", "a regular expression"), ("_0", "with a group in brackets")])
def test_a_pattern_that_cannot_be_meant_is_one_line(tmp_path, ingest, pattern, told):
    with pytest.raises(UsageError, match=f"{told}.*received"):
        ingest(two_classes(tmp_path / "x"), label_pattern=pattern)


# Archives


def test_an_archive_is_read_as_the_folder_that_it_holds(tmp_path, ingest):
    root = two_classes(tmp_path / "x")
    put(
        root / "metadata.csv",
        "file_name,label\n" + "".join(f"{c}/{k}.png,{c.lower()}\n" for c in ("COVID", "NORMAL") for k in range(8)),
    )
    put(root / "__MACOSX/COVID/._0.png", b"no image")
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as zipped:
        for path in sorted(root.rglob("*")):
            zipped.write(path, path.relative_to(root))
    for kind in ("", "gz"):
        with tarfile.open(tmp_path / f"films.tar{kind and '.' + kind}", f"w:{kind}") as tar:
            tar.add(root, ".")
    _, folder = ingest(root)
    for name in ("films.zip", "films.tar", "films.tar.gz"):
        before = {path.name for path in tmp_path.iterdir()}
        _, store = ingest(tmp_path / name, f"{name}.h5")
        assert {path.name for path in tmp_path.iterdir()} - before == {f"{name}.h5", f"{name}.problems.csv"}
        assert rows(store) == rows(folder)
        assert (store.classes, set(store.source)) == (("covid", "normal"), {"films"})


def medmnist(findings=1):
    """Arrays as MedMNIST publishes them: images of three parts, and a column of labels a finding."""
    rng, arrays = np.random.default_rng(0), {}
    for split, n in (("train", 20), ("val", 8), ("test", 8)):
        small = rng.integers(0, 255, (n, 5, 5), dtype=np.uint8)
        arrays[f"{split}_images"] = np.stack([np.asarray(Image.fromarray(each).resize((28, 28))) for each in small])
        arrays[f"{split}_labels"] = np.tile(np.arange(n).reshape(n, 1) % 2, (1, findings))
    return arrays


def test_an_npz_of_medmnist_is_read(tmp_path, ingest):
    np.savez_compressed(tmp_path / "pneumoniamnist.npz", **medmnist())
    _, store = ingest(tmp_path / "pneumoniamnist.npz", fit="stretch", size=32)
    assert store.classes == ("normal", "pneumonia")
    assert {name: int((store.split == name).sum()) for name in ("train", "validation", "test")} == {"train": 20, "validation": 8, "test": 8}  # fmt: skip


def test_an_npz_of_several_findings_tells_each_or_one(tmp_path, ingest):
    np.savez_compressed(tmp_path / "chestmnist.npz", **medmnist(findings=14))
    _, store = ingest(tmp_path / "chestmnist.npz")
    assert store.task == "findings"
    assert set(store.classes) <= set(store.findings)
    _, store = ingest(tmp_path / "chestmnist.npz", label_of="Hernia")
    assert store.classes == ("hernia", "no hernia")
    assert len(store.findings) == 14
    assert ((store.findings["hernia"] == 1) == (store.labels == 0)).all()


# Masks, and what a table lacks


@pytest.mark.parametrize(
    ("header", "wanted"),
    [("file_name,zzz", "metadata.csv has no column of labels; received file_name, zzz. Name it with `label_column`"),
     ("qqq,age", "metadata.csv has no column that names files; received qqq, age. Name it with `file_column`")],
)  # fmt: skip
def test_a_table_that_gives_no_labels_is_named_with_the_flag_that_helps(tmp_path, ingest, header, wanted):
    for k in range(8):
        put(tmp_path / f"x/{k}.png", png(k))
    put(tmp_path / "x/metadata.csv", "\n".join([header, *(f"{k}.png,{k}0" for k in range(8))]))
    with pytest.raises(CatalogError, match=wanted):
        ingest(tmp_path / "x")


def test_a_table_below_a_title_is_read_and_a_list_of_classes_is_kept_short(tmp_path, ingest):
    for k in range(60):
        put(tmp_path / f"x/{k}.png", png(k))
    rows = [f"https://host/a/{k}.png?key=1,a class of a long name {k}" for k in range(60)]
    put(tmp_path / "x/metadata.csv", "\n".join(["Our study,", ",", "file_name,label", *rows]))
    with pytest.raises(CatalogError, match="and 5. more; received none of them") as error:
        ingest(tmp_path / "x", classes=["none of them"])
    assert len(str(error.value)) < 400


# What folders, headers and tables say of one patient, and of one image


def test_a_header_a_folder_and_a_table_that_name_one_patient_mean_one(tmp_path, ingest):
    rows = ["file_name,label,patient_id"]
    for k in range(8):
        folder = f"patient{k:05d}"
        put(tmp_path / f"x/{folder}/a.dcm", dicom(10 * k, PatientID=f"H{k}"))
        put(tmp_path / f"x/{folder}/b.png", png(10 * k + 1))
        put(tmp_path / f"x/{folder}/c.dcm", dicom(10 * k + 2, PatientID=f"H{k}"))
        label = "AB"[k % 2]
        rows += [f"{folder}/a.dcm,{label},T{k}", f"{folder}/b.png,{label},", f"{folder}/c.dcm,{label},"]
    put(tmp_path / "labels.csv", "\n".join(rows))
    _, store = ingest(tmp_path / "x", labels=tmp_path / "labels.csv")
    assert len(set(store.patient)) == 8
    assert {len(set(store.split[store.patient == patient])) for patient in set(store.patient)} == {1}


def test_a_patient_folder_of_one_name_in_two_parts_is_a_leak(tmp_path, ingest):
    root = two_classes(tmp_path / "x", parts=("train", "test"), n=6)
    put(root / "train/COVID/patient012/a.png", png(901))
    put(root / "test/COVID/patient012/b.png", png(902))
    done, _ = ingest(root)
    assert sorted(problem.file for problem in done.problems if problem.code == "leak") == [
        "test/COVID/patient012/b.png",
        "train/COVID/patient012/a.png",
    ]


def test_an_image_in_two_lists_is_kept_out_of_training_and_told(tmp_path, ingest):
    root = two_classes(tmp_path / "x", n=10)
    names = [f"{c}/{k}.png" for k in range(10) for c in ("COVID", "NORMAL")]
    put(root / "train_list.txt", "\n".join([*names[:14], "none.png"]))
    put(root / "test_list.txt", "\n".join([*names[14:], names[0]]))
    done, store = ingest(root)
    assert store.split[store.file == names[0]] == ["test"]
    assert {problem.code: problem.file for problem in done.problems} == {
        "two-splits": "COVID/0.png",
        "missing-file": "train_list.txt",
        "part-made": next(problem.file for problem in done.problems if problem.code == "part-made"),
    }


@pytest.mark.parametrize("column", ["group", "status", "portable,fixed", "intubated"])
def test_folders_stay_classes_beside_columns_that_may_mean_something_else(tmp_path, ingest, column):
    root = two_classes(tmp_path / "x")
    cells = {"group": "AB", "status": ["alive", "dead"], "portable,fixed": ["1,0", "0,1"], "intubated": "01"}[column]
    rows = [f"{c}/{k}.png,{cells[k % 2]}" for c in ("COVID", "NORMAL") for k in range(8)]
    put(root / "metadata.csv", "\n".join([f"file_name,{column}", *rows]))
    done, store = ingest(root)
    assert (store.classes, codes(done)) == (("COVID", "NORMAL"), ["labels-of-folders"])
    asked = {"label_of": "intubated"} if column == "intubated" else {"label_column": column.split(",")[0]}
    assert ingest(root, "t.h5", **asked)[1].classes != ("COVID", "NORMAL")


@pytest.mark.parametrize("asked", [{"label_of": "Edema"}, {"label_column": "x"}, {"patient_column": "y"}])
def test_an_option_about_tables_without_a_table_is_one_line(tmp_path, ingest, asked):
    with pytest.raises(CatalogError, match="Expected a table for `.*`; received none"):
        ingest(two_classes(tmp_path / "x"), **asked)


def test_a_patient_in_a_table_is_found_whatever_the_zeros(tmp_path, ingest):
    for k in range(8):
        put(tmp_path / f"x/{k}.dcm", dicom(k, PatientID=f"{k:04d}"))
    put(tmp_path / "labels.csv", "\n".join(["patient_id,label", *(f"{k},{'AB'[k % 2]}" for k in range(8))]))
    _, store = ingest(tmp_path / "x", labels=tmp_path / "labels.csv")
    assert (store.labels >= 0).all()


def test_findings_whose_names_a_store_cannot_tell_apart_are_both_kept(tmp_path, ingest):
    rows = ["file_name,Lung/Opacity,Lung_Opacity"]
    for k in range(12):
        put(tmp_path / f"x/{k}.png", png(k))
        rows.append(f"{k}.png,{k % 2},{k % 3 % 2}")
    put(tmp_path / "x/metadata.csv", "\n".join(rows))
    _, store = ingest(tmp_path / "x", label_of="Lung/Opacity")
    assert sorted(store.findings) == ["Lung_Opacity", "Lung_Opacity_"]


# Archives that can only be read in order


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The members asked for where a pass over a compressed tar begins; what waits holds fewer than 8 of them."""
    begun: list[int] = []
    plain = tar_archive.TarArchive._all
    monkeypatch.setattr(archive_members, "BUFFER_BYTES", 20_000)
    monkeypatch.setattr(
        tar_archive.TarArchive, "_all", lambda self, number: begun.append(number) or plain(self, number)
    )
    return begun


def packed(tmp_path: Path, files: dict[str, bytes]) -> Path:
    names = [list(files)[index] for index in np.random.default_rng(0).permutation(len(files))]
    return tarred(tmp_path / "set.tar.gz", {name: files[name] for name in names}, "w:gz")


def filled(catalog: Catalog, out: Path) -> Ingested:
    return fill_store(catalog, out, size=32, fit="stretch", on_bad="skip", workers=4, seed=0, resplit=False)


def test_a_compressed_tar_of_dicom_is_read_once_for_headers_and_once_to_decode(tmp_path, passes):
    files = {f"{'AB'[k % 2]}/{k}.dcm": dicom(k, PatientID=f"P{k}") for k in range(40)}
    assert min(map(len, files.values())) * 8 > archive_members.BUFFER_BYTES
    catalog = read_catalog([packed(tmp_path, files)], Asked())
    assert (len(catalog.entries), len(passes)) == (40, 1)
    assert filled(catalog, tmp_path / "s.h5").images == 40
    assert len(passes) == 2


def test_a_table_in_a_compressed_tar_leaves_its_order(tmp_path, passes):
    files = {f"{k}.png": png(k) + bytes(3000) for k in range(40)}
    table = "file_name,label\n" + "".join(f"{k}.png,{'AB'[k % 2]}\n" for k in range(40))
    catalog = read_catalog([packed(tmp_path, files | {"metadata.csv": table.encode()})], Asked())
    passes.clear()
    assert filled(catalog, tmp_path / "s.h5").images == 40
    assert len(passes) == 1


def test_depths_of_a_compressed_tar_are_looked_at_in_its_order(tmp_path, passes):
    stream = io.BytesIO()
    Image.fromarray(np.linspace(0, 4095, 48 * 48).astype(np.uint16).reshape(48, 48)).save(stream, "PNG")
    files = {f"{'AB'[k % 2]}/{k}.png": stream.getvalue() + bytes(3000) for k in range(40)}
    catalog = read_catalog([packed(tmp_path, files)], Asked())
    passes.clear()
    depths, _ = folder_depths(catalog.entries, workers=4)
    assert set(depths.values()) == {12}
    assert len(passes) == 1


def test_no_8_bit_file_is_decoded_to_guess_its_depth(tmp_path, monkeypatch):
    for kind in ("PNG", "JPEG", "BMP"):
        stream = io.BytesIO()
        Image.fromarray(np.arange(48 * 48, dtype=np.uint16).astype(np.uint8).reshape(48, 48)).save(stream, kind)
        for label in "AB":
            put(tmp_path / f"{label}/film.{kind.lower()}", stream.getvalue())
    catalog = read_catalog([tmp_path], Asked())
    assert len(catalog.entries) == 6
    monkeypatch.setattr("plainfilm.data.decoder_pool.read_many", lambda *_, **__: pytest.fail("decoded"))
    assert folder_depths(catalog.entries, workers=1) == ({}, [])


def test_ids_that_occur_in_two_sources_are_joined_and_told(tmp_path, ingest):
    rows = ["file_name,label,patient_id,source"]
    for k in range(16):
        put(tmp_path / f"x/{k}.png", png(k))
        rows.append(f"{k}.png,{'AB'[k % 2]},{k % 8},H{k // 8}")
    put(tmp_path / "x/metadata.csv", "\n".join(rows))
    done, store = ingest(tmp_path / "x")
    assert (len(set(store.patient)), codes(done)) == (8, ["joined-patients"])
    assert "8 ids of patients occur in several sources" in done.problems[0].sentence
    done, store = ingest(tmp_path / "x", "t.h5", separate_sources=True)
    assert (len(set(store.patient)), codes(done)) == (16, [])


def test_a_pattern_that_fits_no_file_is_said(tmp_path, ingest):
    with pytest.raises(CatalogError, match=r"received XX\(\.\), which fits none of 16, such as 0.png"):
        ingest(two_classes(tmp_path / "x"), label_pattern="XX(.)")


def test_a_column_of_files_that_is_named_counts_before_all_others(tmp_path, ingest):
    for k in range(8):
        put(tmp_path / f"x/{k}.dcm", dicom(k, AccessionNumber=f"A{k}"))
    put(
        tmp_path / "labels.csv",
        "\n".join(["accession_number,scan,label", *(f"A{k},{k}.dcm,{'AB'[k % 2]}" for k in range(8))]),
    )
    assert len(ingest(tmp_path / "x", labels=tmp_path / "labels.csv", file_column="scan")[1]) == 8
    with pytest.raises(CatalogError, match="received none of 8"):
        ingest(tmp_path / "x", labels=tmp_path / "labels.csv", file_column="label")


@pytest.mark.parametrize("name", ["IM-0001-0001", "20200101", "CR000001", "1-001"])
def test_a_row_never_labels_the_file_of_another_folder(tmp_path, ingest, name):
    for k in range(8):
        put(tmp_path / f"x/pat{k}/{k} {name}.png", png(k))
    put(tmp_path / f"x/pat0/{name}.png", png(99))
    rows = [f"pat{k}/{k} {name}.png,{'AB'[k % 2]}" for k in range(8)]
    put(tmp_path / "labels.csv", "\n".join(["file_name,label", *rows, f"pat1/{name}.png,B"]))
    _, store = ingest(tmp_path / "x", labels=tmp_path / "labels.csv")
    assert store.labels[store.file == f"pat0/{name}.png"] == [-1]
