"""Files answered in pieces by others: the same answers as here, to the last bit, whatever becomes of the pieces."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import made_jobs
import plainfilm
from plainfilm.data import decoder_pool, phantom, pieces
from plainfilm.errors import EngineError, ImageError, UsageError
from plainfilm.evidence.inference import pieces as inference_pieces
from plainfilm.evidence.inference.pieces import answer_piece
from plainfilm.evidence.inference.predictor import BLOCK, Predictor
from plainfilm.model import devices, shared_bundle

OLD = Path(__file__).parents[2] / "written_by_0_1_0"
FILMS = 2 * BLOCK + 8


@pytest.fixture(scope="module")
def bundle():
    return OLD / "run" / "model.plainfilm"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder of films, one that is none and one that leads nowhere."""
    folder = phantom.write_phantoms(tmp_path_factory.mktemp("films") / "films", n=FILMS - 2, seed=3)
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    return folder


@pytest.fixture(scope="module")
def here(bundle, films):
    return plainfilm.load(bundle).predict(films, prevalence=0.1)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """The cache's folder of answers."""
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "answers"


@pytest.fixture
def engine(monkeypatch):
    made = made_jobs.InThisProcess()
    monkeypatch.setattr("plainfilm.engines.opening.open_engine", lambda *_args, **_options: made)
    yield made
    inference_pieces._opened.cache_clear()
    shared_bundle.opened.cache_clear()


def test_other_processes_give_the_same_answers_in_the_same_order(bundle, films, here, folder):
    told = []
    there = plainfilm.load(bundle).predict(
        films, prevalence=0.1, cluster="local:2", progress=lambda *at: told.append(at)
    )
    assert there[:] == here[:]
    assert np.asarray(there.probabilities).tobytes() == here.probabilities.tobytes()
    assert {answer.level for answer in there} >= {"ok", "unreadable"}
    assert told[0] == ("Predicting", 0, FILMS, "")
    assert told[-1] == ("Predicting", FILMS, FILMS, "")
    assert [*folder.iterdir()] == []


def test_pieces_are_made_as_they_come_and_joined_in_order(engine, bundle, films, here):
    there = plainfilm.load(bundle).predict(films, prevalence=0.1)
    assert [job.number for job in engine.done] == [2, 1, 0]
    assert {len(job.files) for job in engine.done} == {BLOCK, 8}
    assert there[:] == here[:]


def test_a_command_that_was_stopped_goes_on(engine, bundle, films, here, folder):
    def stop(_stage, done, _every, _note):
        if done == 8 + BLOCK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plainfilm.load(bundle).predict(films, prevalence=0.1, progress=stop)
    assert len(list(folder.iterdir())) == 2
    assert not any(b"films" in file.read_bytes() for file in folder.iterdir()), "names of files"
    engine.done.clear()
    assert plainfilm.load(bundle).predict(films, prevalence=0.1)[:] == here[:]
    assert [job.number for job in engine.done] == [0]
    assert [*folder.iterdir()] == []


def test_another_prevalence_a_changed_file_or_a_picture_is_another_piece(engine, bundle, films, tmp_path, folder):
    changing = tmp_path / "films"
    shutil.copytree(films, changing, symlinks=True)
    predictor = plainfilm.load(bundle)

    def stop(_stage, done, every, _note):
        if done == every:
            raise KeyboardInterrupt

    def made(**options):
        engine.done.clear()
        with pytest.raises(KeyboardInterrupt):
            predictor.predict(changing, progress=stop, **options)
        return len(engine.done)

    assert made() == 3
    assert made() == 0
    assert made(prevalence=0.2) == 3
    assert made(explain=tmp_path / "pictures", explain_by="gradcam") == 3
    name = next(path for path in sorted(changing.rglob("*.jpg")))
    Image.open(name).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(name, quality=50)
    assert made() == 1


def test_a_piece_that_is_lost_damaged_or_cannot_be_known_is_made_here(engine, bundle, films, here, monkeypatch):
    engine.lost = (0, 2)
    assert plainfilm.load(bundle).predict(films, prevalence=0.1)[:] == here[:]

    def changed(job):
        left = answer_piece(job)
        content = bytearray(Path(job.path).read_bytes())
        content[len(content) // 2] ^= 1
        Path(job.path).write_bytes(content)
        return left

    engine.lost = ()
    monkeypatch.setattr(inference_pieces, "answer_piece", changed)
    assert plainfilm.load(bundle).predict(films, prevalence=0.1)[:] == here[:]


def test_what_another_machine_cannot_read_is_read_here(engine, bundle, films, here, monkeypatch):
    whole = decoder_pool.read_many
    monkeypatch.setattr(
        inference_pieces, "answer_piece", lambda job: _in_a_poor_machine(job, monkeypatch, whole, answer_piece)
    )
    assert plainfilm.load(bundle).predict(films, prevalence=0.1)[:] == here[:]


def _in_a_poor_machine(job, monkeypatch, whole, made):
    def poor(files, **options):
        for number, outcome in enumerate(whole(files, **options)):
            yield ImageError("out-of-memory", "Expected enough memory.") if number == 5 else outcome

    with monkeypatch.context() as patch:
        patch.setattr(decoder_pool, "read_many", poor)
        return made(job)


def test_pictures_are_those_that_are_drawn_here(engine, bundle, films, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    shown = sorted(films.rglob("*.*"))[: BLOCK + 3]
    shown += [shutil.copy(shown[0], tmp_path / shown[0].name)]  # of the same name
    answers = Predictor(plainfilm.load(bundle).bundle).predict(shown, explain=here)
    sent = plainfilm.load(bundle).predict(shown, explain=there)
    assert len(engine.done) == 2
    assert sent[:] == answers[:]
    assert {path.name: path.read_bytes() for path in here.iterdir()} == {
        path.name: path.read_bytes() for path in there.iterdir()
    }
    assert any(path.stem.endswith("-2") for path in there.iterdir())


def test_arrays_few_films_and_bundles_of_no_path_are_answered_here(engine, bundle, films):
    predictor = plainfilm.load(bundle)
    several = sorted(films.rglob("*.jpg"))[: BLOCK + 1]
    arrays = [np.asarray(Image.open(path).convert("L")) for path in several]
    assert predictor.predict(several[:BLOCK])[:]
    assert [answer.file for answer in predictor.predict([*several, arrays[0]])][-1] == "array 0"
    assert len(predictor.predict(arrays)) == BLOCK + 1
    assert len(Predictor(predictor.bundle).predict(several)) == BLOCK + 1
    assert not engine.done
    assert len(predictor.predict(path for path in several)) == BLOCK + 1
    assert len(engine.done) == 2


def test_a_bundle_that_is_another_elsewhere_is_refused(engine, bundle, films, tmp_path, monkeypatch):
    mine = Path(shutil.copy(bundle, tmp_path / "model.plainfilm"))
    predictor = plainfilm.load(mine)
    shutil.copy(OLD / "folds" / "model.plainfilm", mine)
    with pytest.raises(EngineError, match=r"bundle .*model\.plainfilm to be the same on every machine"):
        predictor.predict(films)
    mine.unlink()
    with pytest.raises(EngineError, match=r"at the same path on every machine; received none at .*model\.plainfilm"):
        predictor.predict(films)


def test_what_cannot_be_meant_is_told_before_anything(bundle, films, monkeypatch):
    with pytest.raises(UsageError, match="prevalence between 0 and 1"):
        plainfilm.load(bundle).predict(films, prevalence=3, cluster="local:2")
    with pytest.raises(UsageError, match="local:N"):
        plainfilm.load(bundle).predict(films, cluster="there")
    predictor = plainfilm.load(bundle)
    monkeypatch.setattr(predictor.bundle.classifier, "_device", devices.Chosen("cuda", is_demanded=False))
    with pytest.raises(UsageError, match="`device` cpu with `cluster`, whose jobs run on processors; received cuda"):
        predictor.predict(films, cluster="local:2")


def test_an_entry_is_whole_blocks():
    assert [pieces.length(films, block=32) for films in (33, 1024, 1025, 2000, 20_000, 10**6)] == [32, 32, 64, 64, 512, 512]  # fmt: skip
    assert pieces.length(300, block=256) == 256
