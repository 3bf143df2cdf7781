import json

from plainfilm.app.progressing import Progressing


def line(at, stage, done, every, note=""):
    return json.dumps({"at": at, "stage": stage, "done": done, "every": every, "note": note}) + "\n"


def test_what_is_appended_is_read_as_it_comes(tmp_path):
    path = tmp_path / "p"
    progress = Progressing(path)
    assert not progress.read()
    path.write_text(line(10, "Reading", 0, 100) + line(12, "Reading", 20, 100)[:-5])
    assert progress.read()
    assert progress.told()[0]["done"] == 0
    path.write_text(line(10, "Reading", 0, 100) + line(12, "Reading", 20, 100))
    progress.read()
    (told,) = progress.told()
    assert told == {
        "stage": "Reading",
        "done": 20,
        "every": 100,
        "note": "",
        "rate": 10.0,
        "left_s": 8.0,
        "seconds": 2.0,
    }


def test_epochs_are_a_curve_also_where_the_loss_is_no_number(tmp_path):
    path = tmp_path / "p"
    notes = ["", "validation: loss 0.700, accuracy 0.5", "validation: loss nan, accuracy 0.5"]
    path.write_text("".join(line(at, "Training", at, 2, note) for at, note in enumerate(notes)))
    progress = Progressing(path)
    progress.read()
    assert progress.curve == [{"epoch": 1, "loss": 0.7, "accuracy": 0.5}, {"epoch": 2, "loss": None, "accuracy": 0.5}]
    json.dumps(progress.told(), allow_nan=False)


def test_files_are_counted_by_the_folder_that_they_lie_in(tmp_path):
    path = tmp_path / "p"
    path.write_text(
        "".join(
            [
                line(1, "Listing", 0, 0),
                line(1, "Listing", 45, 0, "A"),
                line(2, "Listing", 90, 0, "B"),
                line(3, "Listing", 91, 91),
            ]
        )
    )
    progress = Progressing(path)
    progress.read()
    assert progress.by_note == {"A": 45, "B": 45, "": 1}


def test_a_stage_that_begins_again_counts_anew(tmp_path):
    path = tmp_path / "p"
    path.write_text(line(1, "Encoding", 50, 50) + line(5, "Encoding", 0, 30) + line(7, "Encoding", 10, 30))
    progress = Progressing(path)
    progress.read()
    assert [(each["done"], each["every"], each["rate"]) for each in progress.told()] == [(10, 30, 5.0)]


def test_what_is_no_line_of_ours_is_passed_over(tmp_path):
    path = tmp_path / "p"
    path.write_bytes(b"\xff\n[]\n{}\nnull\n" + b'{"at": "x"}\n' + line(1, "A", 1, 1).encode() + b'{"at": 1, "stage"')
    progress = Progressing(path)
    progress.read()
    assert [each["stage"] for each in progress.told()] == ["A"]
