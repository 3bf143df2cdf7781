"""Several classifiers behind one server: names, tokens with rights, reload and the way back, gzip, a path of a proxy's; docs/serve.md."""

import gzip
import hashlib
import json
import logging
import os
import shutil
import signal
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from made_bundles import rewritten
from made_files import encoded, film
from made_requests import InThread, asked, form, head, post
from plainfilm.data.decoder_pool import Decoders
from plainfilm.errors import UsageError
from plainfilm.model.shared_trunk import Trunks
from plainfilm.serve import server as running
from plainfilm.serve import tokens
from plainfilm.serve.admission import Admission, Amount
from plainfilm.serve.batching import Judge
from plainfilm.serve.middleware import API, Door, Guard
from plainfilm.serve.models import Models, Opening, named
from plainfilm.serve.multipart import Limits
from plainfilm.serve.page_files import PageFiles
from plainfilm.serve.routes import RestService, application
from plainfilm.serve.telemetry import Telemetry
from plainfilm.serve.turns import Turns
from waiting import until

OLD = Path(__file__).parents[1] / "written_by_0_1_0" / "run" / "model.plainfilm"
LIMITS = Limits(files=12, file_bytes=400_000, request_bytes=1_500_000, fields=4)
PICTURE = encoded(Image.fromarray(film(200, 180)), "PNG")
BODY = form([("a.png", PICTURE)])
ADMIN, WARD = "an-admin-token-0123", "a-token-of-one-ward"
TOKENS = f"""
[admin]
sha256 = "{hashlib.sha256(ADMIN.encode()).hexdigest()}"
rights = ["predict", "explain", "store", "metrics", "reload"]
[ward]
sha256 = "{hashlib.sha256(WARD.encode()).hexdigest()}"
rights = ["predict"]
models = ["second"]
"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Two bundles of one network with other thresholds, and a third."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, threshold in (("a", 0.2), ("b", 0.8), ("c", 0.6)):
        rewritten(OLD, folder / f"{name}.plainfilm", threshold=threshold)
    return folder


@pytest.fixture(scope="module")
def parts():
    """The processes of a server, shared by all of this page."""
    decoders, turns = Decoders(3), Turns(3)
    judge = Judge(decoders, turns)
    yield SimpleNamespace(decoders=decoders, turns=turns, judge=judge)
    turns.close()
    judge.close()
    decoders.close()


@pytest.fixture
def files(bundles, tmp_path):
    """Files that a test may change."""
    for name, source in (("first", "a"), ("second", "b")):
        shutil.copy(bundles / f"{source}.plainfilm", tmp_path / f"{name}.plainfilm")
    return tmp_path


@contextmanager
def serving(parts, files, *, named_tokens=None, token=None, root="", names=("first", "second")):
    opening = Opening(decoders=parts.decoders, limits=LIMITS, seconds=30.0, root=root, trunks=Trunks())
    models = Models({name: files / f"{name}.plainfilm" for name in names}, opening)
    service = RestService(
        models=models,
        judge=parts.judge,
        turns=parts.turns,
        admission=Admission(Amount(uploads=64, files=64, held=64_000_000)),
        telemetry=Telemetry(dict),
        limits=LIMITS,
        is_ready=lambda: True,
    )
    if named_tokens is not None:
        (files / "tokens.toml").write_text(named_tokens)
    known = tokens.read(files / "tokens.toml" if named_tokens else None, models=names, everybodys=token)
    door = Door(hosts={"127.0.0.1"}, tokens=known, root=root)
    with InThread(Guard(application(service, PageFiles.of("plainfilm.serve")), door, service.telemetry)) as server:
        yield SimpleNamespace(port=server.port, models=models, tokens=known)


def got(server, path, token="", **more):
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return asked(server.port, head("GET", path, {**bearer, **more}))


def sent(server, path, token="", body=BODY, **more):
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return asked(server.port, post(path, body, {**bearer, **more}))


def test_each_answers_under_its_name_and_the_first_to_who_names_none(parts, files):
    with serving(parts, files) as server:
        listed = got(server, f"{API}/models").json
        assert listed["default"] == "first"
        assert [each["served_as"] for each in listed["models"]] == ["first", "second"]
        assert len({each["version"] for each in listed["models"]}) == 2
        thresholds = {
            name: sent(server, f"{API}/models/{name}/predict").json["threshold"] for name in ("first", "second")
        }
        assert thresholds == {"first": 0.2, "second": 0.8}
        assert sent(server, f"{API}/predict").json["threshold"] == 0.2
        assert got(server, f"{API}/model").json == got(server, f"{API}/models/first").json
        told = sent(server, f"{API}/models/second/explain").json
        assert told["picture"].startswith("data:image/png")
        assert b"<main>" in got(server, f"{API}/models/second/card").body
        one, other = (each.predictor for each in server.models)
        assert one.lungs is other.lungs
        assert one.bundle.classifier._prepared._trunk is other.bundle.classifier._prepared._trunk
        paths = got(server, f"{API}/openapi.json").json["paths"]
        parameters = paths[f"{API}/models/{{name}}/predict"]["post"]["parameters"]
        assert [each["name"] for each in parameters] == ["name"]


def test_another_name_is_not_there_and_opens_no_file(parts, files):
    others = ["third", "..", "%2e%2e", "..%2Ffirst", "first%00", "First", "%2Fetc%2Fpasswd", "first/..", ""]
    with serving(parts, files, names=("first",)) as server:
        for name in others:
            for answer in (
                got(server, f"{API}/models/{name}"),
                sent(server, f"{API}/models/{name}/predict"),
                got(server, f"{API}/models/{name}/card"),
            ):
                assert answer.status == 404, name
                assert answer.json["error"]["message"].startswith("Expected ")


def test_a_token_has_its_rights_and_sees_its_models(parts, files):
    with serving(parts, files, named_tokens=TOKENS, token="the-old-single-token") as server:
        assert got(server, f"{API}/models").status == 401
        assert got(server, f"{API}/models", "another-token-000").status == 401
        assert sent(server, f"{API}/models/second/predict", WARD).status == 200
        told = got(server, f"{API}/models", WARD).json
        assert (told["default"], [each["served_as"] for each in told["models"]]) == (None, ["second"])
        for path in (
            f"{API}/predict",
            f"{API}/models/first/predict",
        ):  # the first is not for it, as if it were not there
            assert sent(server, path, WARD).code == "model"
        assert got(server, f"{API}/models/first", WARD).status == 404
        seen = {name: got(server, f"{API}/models/{name}/drift", WARD).status for name in ("first", "second")}
        assert seen == {"first": 404, "second": 200}, "a warning about its own model, without a right"
        for right, answer in (
            ("explain", sent(server, f"{API}/models/second/explain", WARD)),
            ("metrics", got(server, f"{API}/metrics", WARD)),
            ("reload", sent(server, f"{API}/models/second/reload", WARD, b"")),
            ("reload", sent(server, f"{API}/models/first/rollback", WARD, b"")),
            ("reload", sent(server, f"{API}/models/first/reload", "the-old-single-token", b"")),
        ):
            assert (answer.status, answer.code) == (403, "right")
            assert f"the right {right};" in answer.json["error"]["message"]
        assert got(server, f"{API}/metrics", ADMIN).status == 200
        assert sent(server, f"{API}/predict", "the-old-single-token").status == 200
        assert got(server, f"{API}/metrics", "the-old-single-token").status == 200
        server.tokens.replace(tokens.read(None, models=(), everybodys="the-old-single-token"))
        assert sent(server, f"{API}/models/second/predict", WARD).status == 401


def test_without_tokens_nobody_changes_a_model(parts, files):
    with serving(parts, files) as server:
        assert sent(server, f"{API}/models/first/reload", body=b"").code == "right"


def test_a_new_bundle_answers_once_it_is_checked_and_the_one_before_can_come_back(parts, files, bundles):
    with serving(parts, files, named_tokens=TOKENS) as server:

        def change(what):
            return sent(server, f"{API}/models/first/{what}", ADMIN, b"")

        def threshold():
            return sent(server, f"{API}/predict", ADMIN).json["threshold"]

        assert change("rollback").code == "nothing-before"
        assert change("reload").json["changed"] is False
        shutil.copy(bundles / "c.plainfilm", files / "first.plainfilm")
        told = change("reload").json
        example = got(server, f"{API}/openapi.json", ADMIN).json["paths"][f"{API}/models/{{name}}/reload"]["post"]
        assert told.keys() == example["responses"]["200"]["content"]["application/json"]["example"].keys()
        assert told["changed"] is True
        assert told["before"]["version"] != told["now"]["version"] == got(server, f"{API}/model", ADMIN).json["version"]
        assert threshold() == 0.6
        assert change("rollback").json["changed"] is True
        assert threshold() == 0.2
        server.models.reload_all()  # what was gone back from is not taken again by a signal
        assert threshold() == 0.2
        assert change("reload").json["changed"] is True  # but by who names it
        assert threshold() == 0.6
        (files / "first.plainfilm").write_bytes((bundles / "b.plainfilm").read_bytes()[:-2000])
        refused = change("reload")
        assert (refused.status, refused.code) == (409, "bundle")
        assert "\n" not in refused.json["error"]["message"]
        (files / "first.plainfilm").unlink()
        assert change("reload").status == 409
        server.models.reload_all()
        assert threshold() == 0.6
        assert change("rollback").json["changed"] is True
        assert threshold() == 0.2


def test_a_file_that_is_written_while_it_is_read_does_not_answer(parts, files, monkeypatch):
    from plainfilm.evidence.inference import predictor as prediction

    plain = prediction.opened

    def opened(path, **more):
        made = plain(path, **more)
        path.write_bytes(path.read_bytes() + b"x")
        return made

    with serving(parts, files, named_tokens=TOKENS) as server:
        shutil.copy(files / "second.plainfilm", files / "first.plainfilm")
        monkeypatch.setattr(prediction, "opened", opened)
        answer = sent(server, f"{API}/models/first/reload", ADMIN, b"")
        assert (answer.status, answer.code) == (409, "bundle")
        assert "written while it was read" in answer.json["error"]["message"]


def test_no_request_is_lost_while_models_change_and_no_two_change_at_once(parts, files, bundles):
    with serving(parts, files, named_tokens=TOKENS) as server:
        ended, seen = threading.Event(), []

        def ask():
            while not ended.is_set():
                answer = sent(server, f"{API}/predict", ADMIN)
                seen.append((answer.status, answer.json.get("threshold"), answer.json.get("model", {}).get("version")))

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            for number in range(4):
                shutil.copy(bundles / f"{'ca'[number % 2]}.plainfilm", files / "new")
                (files / "new").replace(files / "first.plainfilm")
                assert sent(server, f"{API}/models/first/reload", ADMIN, b"").json["changed"] is True
            with server.models._alone():
                assert sent(server, f"{API}/models/first/reload", ADMIN, b"").code == "changing"
        finally:
            ended.set()
            for client in clients:
                client.join()
        assert {status for status, _, _ in seen} == {200}
        assert len({(threshold, version) for _, threshold, version in seen}) == 2, (
            "an answer is one model's in all it says"
        )


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_a_hangup_reads_bundles_and_tokens_again_and_what_is_none_changes_nothing(parts, files, bundles, caplog):
    with serving(parts, files, named_tokens=TOKENS) as server:

        def tokens_again():
            server.tokens.replace(tokens.read(files / "tokens.toml", models=("first", "second")))

        with running._Hangups() as hangups, caplog.at_level(logging.INFO):
            os.kill(os.getpid(), signal.SIGHUP)  # before all is there it is passed over
            hangups.work = partial(running._read_again, server.models, tokens_again)
            shutil.copy(bundles / "c.plainfilm", files / "first.plainfilm")
            (files / "second.plainfilm").write_bytes(b"no bundle")
            (files / "tokens.toml").write_text(TOKENS.replace("[ward]", "[night]").replace('["second"]', '["first"]'))
            os.kill(os.getpid(), signal.SIGHUP)
            until(lambda: "model not reloaded" in caplog.text)
            told = {record.event["model"]: record.event for record in caplog.records if hasattr(record, "event")}
            assert "no bundle" in told["second"]["reason"] or "whole plainfilm bundle" in told["second"]["reason"]
            assert told["first"]["before"] != told["first"]["now"]
            assert sent(server, f"{API}/predict", WARD).json["threshold"] == 0.6
            assert sent(server, f"{API}/models/second/predict", ADMIN).json["threshold"] == 0.8
            (files / "tokens.toml").write_text("[ward")
            os.kill(os.getpid(), signal.SIGHUP)
            until(lambda: "tokens not reloaded" in caplog.text)
            assert sent(server, f"{API}/predict", WARD).status == 200
            caplog.clear()
            (files / "first.plainfilm").unlink()
            server.models.reload_all()
            assert "first.plainfilm" in str(
                [record.event for record in caplog.records if "not reloaded" in record.message]
            )
            assert sent(server, f"{API}/predict", WARD).status == 200


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_a_hangup_of_the_terminal_stops_as_it_does_elsewhere(monkeypatch):
    stopped = []
    monkeypatch.setattr(os, "isatty", lambda _: True)
    with running._Hangups() as hangups:
        hangups.work = lambda: pytest.fail("it was no order to read again")
        monkeypatch.setattr(os, "isatty", lambda _: False)
        monkeypatch.setattr(signal, "raise_signal", stopped.append)
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: stopped)
    assert stopped == [signal.SIGTERM]


def test_a_second_hangup_waits_for_the_first_so_that_the_last_file_answers(parts, files, bundles):
    with serving(parts, files, names=("first",)) as server:
        with server.models._alone():
            shutil.copy(bundles / "c.plainfilm", files / "first.plainfilm")
            waiting = threading.Thread(target=server.models.reload_all)
            waiting.start()
            assert sent(server, f"{API}/predict").json["threshold"] == 0.2
        waiting.join()
        assert sent(server, f"{API}/predict").json["threshold"] == 0.6


def test_answers_are_compressed_for_who_takes_that(parts, files):
    many = form([(f"{number}.png", PICTURE) for number in range(12)])
    with serving(parts, files, names=("first",)) as server:
        plain = sent(server, f"{API}/predict", body=many)
        packed = sent(server, f"{API}/predict", body=many, **{"Accept-Encoding": "gzip, br"})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert len(packed.body) < len(plain.body) / 3
        told = json.loads(gzip.decompress(packed.body))
        assert told["predictions"] == plain.json["predictions"]
        assert got(server, f"{API}/health", **{"Accept-Encoding": "gzip"}).json == {"status": "ok"}


@pytest.mark.parametrize("before", ["/xray", "/x/ray-1", ""])
def test_behind_a_proxy_with_a_path_of_its_own_all_is_found(parts, files, before):
    with serving(parts, files, root=before, token="the-old-single-token", names=("first",)) as server:
        for at in ("", before):  # the proxy takes its path off, or leaves it
            found_at(server, before, at)
        if before:
            answer = got(server, before)
            assert (answer.status, answer.headers["location"]) == (308, f"{before}/")


def found_at(server, before, at):
    assert got(server, f"{at}{API}/model").status == 401
    assert got(server, f"{at}{API}/model", "the-old-single-token").status == 200
    assert sent(server, f"{at}{API}/models/first/predict", "the-old-single-token").status == 200
    assert got(server, f"{at}/page/page.css").status == 200
    assert b'src="page/page.js"' in got(server, f"{at}/").body
    card = got(server, f"{at}{API}/card").body.decode()
    assert f'href="{before}/page/page.css"' in card
    told = got(server, f"{at}{API}/openapi.json", "the-old-single-token").json
    assert told.get("servers") == ([{"url": before}] if before else None)
    assert f"See {before}{API}/openapi.json" in got(server, f"{at}/nothing").json["error"]["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "which has none"),
        ("[a]\nrights = ['predict']", "sha256"),
        ("[a]\nsha256 = 'x'\nrights = ['predict']", "sha256"),
        (f"[a]\nsha256 = '{'0' * 64}'\nrights = []", "rights"),
        (f"[a]\nsha256 = '{'0' * 64}'\nrights = ['all']", "rights"),
        (f"[a]\nsha256 = '{'0' * 64}'\nrights = ['predict']\ntoken = 'x'", "token"),
        (f"[a]\nsha256 = '{'0' * 64}'\nrights = ['predict']\nmodels = ['third']", "third of the token a"),
        (f"['a b']\nsha256 = '{'0' * 64}'\nrights = ['predict']", "table"),
        (
            f"[a]\nsha256 = '{'0' * 64}'\nrights = ['predict']\n[b]\nsha256 = '{'0' * 64}'\nrights = ['predict']",
            "twice",
        ),
        (f"[\"a\\n\"]\nsha256 = '{'0' * 64}'\nrights = ['predict']", "table"),
        ("not toml", "table"),
        ("a = " + 9000 * "[", "table"),
        (f"[a]\nsha256 = '{'0' * 64}'\nrights = ['predict']\n" + "#\n" * (1 << 19), "too large"),
    ],
)
def test_a_file_of_tokens_that_is_none_is_refused_in_one_line(tmp_path, text, said):
    (tmp_path / "tokens.toml").write_text(text)
    with pytest.raises(UsageError, match="^Expected ") as caught:
        tokens.read(tmp_path / "tokens.toml", models=("first", "second"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bundles_are_named_by_hand_by_their_folder_or_by_their_file(tmp_path):
    (tmp_path / "run 1").mkdir()
    places = [tmp_path / "run 1" / "model.plainfilm", Path("old/tb.plainfilm"), Path(f"chest={tmp_path}/x.plainfilm")]
    assert list(named(places)) == ["run-1", "tb", "chest"]
    (tmp_path / "a=b.plainfilm").touch()
    assert named([tmp_path / "a=b.plainfilm"]) == {"a-b": tmp_path / "a=b.plainfilm"}
    for wrong, said in (([], "received none"), ([Path("x/tb.plainfilm"), Path("y/tb.plainfilm")], "tb twice")):
        with pytest.raises(UsageError, match=said):
            named(wrong)
