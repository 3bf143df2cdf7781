"""Dask: two workers behind TLS on loopback, killed, lied to, and asked by strangers."""

import contextlib
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import made_jobs
import plainfilm
from plainfilm.data import phantom, shards
from plainfilm.engines import certificates, terms
from plainfilm.engines.opening import open_engine
from plainfilm.errors import EngineError, UsageError
from plainfilm.workflows import elsewhere
from waiting import until

psutil = pytest.importorskip("psutil", reason="needs distributed and what it brings")
pytest.importorskip("distributed")
from plainfilm.engines.dask.client import RETRIES, Dask  # noqa: E402

BUNDLE = Path(__file__).parents[1] / "written_by_0_1_0" / "run" / "model.plainfilm"
ASKED = ("/info", "/metrics", "/json/identity.json", "/health", "/")


@contextlib.contextmanager
def running(log, *words, folder=None):
    """Run a command until the block ends; give what it says first, and its process."""
    env = os.environ | {"PYTHONPATH": str(Path(made_jobs.__file__).parent), "PYTHONUNBUFFERED": "1"}
    env.pop("PLAINFILM_CERTIFICATES", None)
    more = ["--certificates", str(folder)] if folder else []
    with log.open("ab") as errors:
        command = [sys.executable, "-m", "plainfilm", *map(str, words), *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=env, text=True) as process:
            try:
                yield process.stdout.readline(), process
            finally:
                process.terminate()
                process.stdout.read()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address, folder of certificates, log, scheduler and worker."""
    folder = tmp_path_factory.mktemp("cluster")
    keys, log = folder / "keys", folder / "log"
    certificates.make(keys)
    with running(log, "scheduler", "--port", 0, folder=keys) as (said, scheduler):
        address = re.search(r"tls://\S+(?=\. )", said)[0]
        with running(log, "worker", address, "--processes", 2, folder=keys) as (_, worker):
            yield address, keys, log, psutil.Process(scheduler.pid), psutil.Process(worker.pid)


@pytest.fixture
def engine(cluster):
    with Dask(cluster[0], certificates=cluster[1], seen_within_s=0.2) as opened:
        yield opened


def jobs(folder, count, **more):
    return [made_jobs.Job(number, str(folder), **more) for number in range(count)]


def workers(cluster):
    """The processes that do jobs: whoever listens below `plainfilm worker`."""
    return [each for each in cluster[4].children(recursive=True) if each.net_connections()]


def kill_workers(cluster, most=None):
    """Kill those who do jobs; a scheduler may just have ended one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in workers(cluster)[:most]:
            each.kill()


def test_each_job_gives_one_result_whoever_is_killed(cluster, engine, tmp_path):
    kills = sorted(random.Random(20).sample(range(1, 30), 3))
    numbers = []
    for done in engine.map(made_jobs.work, iter(jobs(tmp_path, 40, seconds=0.02)), check=made_jobs.kind):
        numbers.append(done.number)
        if len(numbers) in kills:
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                random.Random(len(numbers)).choice(workers(cluster)).kill()
    assert sorted(numbers) == list(range(40))
    assert all((tmp_path / f"{number}.out").read_bytes() == made_jobs.content(number) for number in range(40))


def test_an_ingest_whose_workers_die_gives_the_same_store(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CERTIFICATES", str(cluster[1]))
    monkeypatch.setattr(shards, "MOST_FILMS", 8)
    monkeypatch.setattr(shards, "BATCH", 8)
    films = phantom.write_phantoms(tmp_path / "films", n=48, seed=4)
    kills = {8, 24}

    def kill(_stage, done, _every, _note=""):
        if done in kills:
            kills.remove(done)
            kill_workers(cluster, 1)

    stores = [tmp_path / "here.h5", tmp_path / "there.h5"]
    plainfilm.ingest(films, stores[0], size=64)
    plainfilm.ingest(films, stores[1], size=64, cluster=cluster[0], progress=kill)
    assert len(kills) < 2
    with plainfilm.Store(stores[0]) as here, plainfilm.Store(stores[1]) as there:
        assert here.fingerprint == there.fingerprint
        for name in ("labels", "split", "source", "file", "sha256", "group"):
            assert getattr(here, name).tolist() == getattr(there, name).tolist()
    assert not list(tmp_path.glob(".*.shards"))


def test_a_prediction_whose_workers_die_gives_the_same_answers(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CERTIFICATES", str(cluster[1]))
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    films = phantom.write_phantoms(tmp_path / "films", n=70, seed=4)
    (films / "bad.png").write_bytes(b"no picture")
    kills = {32}

    def kill(_stage, done, _every, _note):
        if done in kills:
            kills.remove(done)
            kill_workers(cluster, 1)

    predictor = plainfilm.load(BUNDLE)
    there = predictor.predict(films, prevalence=0.1, cluster=cluster[0], progress=kill)
    assert not kills
    assert there[:] == predictor.predict(films, prevalence=0.1)[:]


@pytest.mark.slow
def test_seeds_whose_workers_die_end_with_the_same_bits(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CERTIFICATES", str(cluster[1]))
    monkeypatch.setattr(elsewhere, "FEWEST_PASSES", 0)
    films, left = phantom.write_phantoms(tmp_path / "films", n=60, seed=4), [1]
    plainfilm.ingest(films, tmp_path / "s.h5", size=64)
    fitted = dict[str, list[bytes]]()

    def kill(stage, done, _every, _note=""):
        if stage == "Training elsewhere" and done in left:
            left.remove(done)
            kill_workers(cluster)

    for where in ("here", cluster[0]):
        monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / where[:4]))
        plainfilm.compare(
            tmp_path / "s.h5",
            tmp_path / f"compared-{where[:4]}",
            recipes=["default"],
            seeds=3,
            settings={"backbone.input_size": 64, "backbone.depth": 6, "training.epochs": 2},
            cluster=where,
            progress=kill,
        )
        for path in (tmp_path / where[:4] / "fits").glob("[!s]*.npz"):
            with np.load(path) as fit:
                fitted.setdefault(path.name, []).append(
                    b"".join(fit[each].tobytes() for each in fit.files if each != "about")
                )
    assert not left
    assert len(fitted) == 3
    assert all(len(both) == 2 and both[0] == both[1] for both in fitted.values())


def test_a_job_that_ends_every_worker_is_given_up_in_one_line(cluster, engine, tmp_path):
    some = jobs(tmp_path, 2)
    some[1] = replace(some[1], deaths=99)
    with pytest.raises(EngineError, match=r"^Expected job 1 to end well; every worker .* same command goes on"):
        list(engine.map(made_jobs.work, some))
    assert len(list(tmp_path.glob("1.begun.*"))) <= 1 + RETRIES
    assert len(list(engine.map(made_jobs.work, jobs(tmp_path, 1)))) == 1


def test_an_error_comes_once_and_what_is_done_stays(engine, tmp_path):
    some = jobs(tmp_path, 40)
    some[5] = replace(some[5], fails="usage")
    with pytest.raises(UsageError, match="Expected a number"):
        list(engine.map(made_jobs.work, some))
    assert list(tmp_path.glob("*.out"))
    assert len(list(tmp_path.glob("5.begun.*"))) == 1
    assert len(list(tmp_path.glob("*.begun.*"))) < 20


def test_a_folder_that_is_not_shared_is_told(engine, tmp_path):
    with pytest.raises(EngineError, match=r"no such file at .*0\.out.* Share the folder"):
        list(engine.map(made_jobs.lie, jobs(tmp_path, 1)))


def test_versions_that_differ_are_named_both(cluster, engine, monkeypatch, tmp_path):
    assert list(engine.map(made_jobs.work, jobs(tmp_path, 1)))
    monkeypatch.setattr(terms, "__version__", "9.9")
    with pytest.raises(EngineError, match=r"plainfilm 9\.9 on \S+ and 0\.\S+ on .*pip install plainfilm==9\.9"):
        list(engine.map(made_jobs.work, jobs(tmp_path, 1)))
    unlike = pytest.raises(EngineError, match=r"plainfilm 9\.9 on \S+ and 0\.\S+ on the scheduler tls")
    with Dask(cluster[0], certificates=cluster[1]) as another, unlike:
        list(another.map(made_jobs.work, jobs(tmp_path, 1)))
    assert len(list(tmp_path.glob("*.begun.*"))) == 1


def test_a_processor_that_computes_otherwise_takes_part_only_if_it_may(cluster, engine, monkeypatch, tmp_path):
    monkeypatch.setenv("PLAINFILM_TEST_KIND", "another")
    with pytest.raises(EngineError, match=r"received another on \S+ and usual on .*pass mixed=True"):
        list(engine.map(made_jobs.work, jobs(tmp_path, 1), check=made_jobs.kind))
    with Dask(cluster[0], certificates=cluster[1], mixed=True) as mixed:
        assert len(list(mixed.map(made_jobs.work, jobs(tmp_path, 1), check=made_jobs.kind))) == 1


def listening(cluster):
    """Addresses and ports at which scheduler, workers and their nannies listen."""
    with contextlib.suppress(psutil.NoSuchProcess):
        processes = (cluster[3], cluster[4], *workers(cluster))
        return {at.laddr for process in processes for at in process.net_connections() if at.status == "LISTEN"}
    return set()


def test_strangers_are_turned_away_at_every_port_and_there_is_no_http(cluster, tmp_path):
    # the scheduler's port, and of each worker its own and its nanny's; those that were killed come back
    found = until(lambda: at if len(at := listening(cluster)) == 5 else None)
    assert {at.ip for at in found} == {"127.0.0.1"}
    other, own = certificates.make(tmp_path / "others"), certificates.in_folder(cluster[1])
    for at in found:
        for loaded in (None, other):
            assert asked(at.port, encrypted(loaded)) == b""
        for context in (None, encrypted(own)):
            assert b"HTTP" not in asked(at.port, context)


def encrypted(held):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if held:
        context.load_cert_chain(held.certificate, held.key)
    return context


def asked(port, context):
    """What a port answers to requests of HTTP."""
    answer = b""
    for path in ASKED:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=1) as plain,
            context.wrap_socket(plain) if context else contextlib.nullcontext(plain) as opened,
        ):
            opened.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer += opened.recv(100)
    return answer


def test_logs_and_keys_have_no_names(cluster):
    log = cluster[2].read_text()
    assert "marked as failed" in log  # they are written, and say that workers died
    assert not re.search(r"\.out|\.begun|pytest-of|made_jobs", log)


def test_nobody_waits_for_ever(tmp_path):
    with running(tmp_path / "log", "scheduler", "--port", 0) as (said, scheduler):
        address = re.search(r"tcp://127\.0\.0\.1:\d+", said)[0]
        with Dask(address, patience_s=0.5) as engine:
            with pytest.raises(
                EngineError, match=r"received none for 0 s\. Jobs done: 0\. .*plainfilm worker tcp.* same command"
            ):
                list(engine.map(made_jobs.work, jobs(tmp_path, 2)))
            results = engine.map(made_jobs.work, jobs(tmp_path, 2))
            scheduler.send_signal(signal.SIGKILL)
            with pytest.raises(EngineError, match=r"scheduler tcp\S+ to stay; .* same command"):
                list(results)
        nobody = pytest.raises(EngineError, match=r"Expected a scheduler at tcp\S+; received no answer\. Start one")
        with Dask(address, connect_s=1) as engine, nobody:
            list(engine.map(made_jobs.work, jobs(tmp_path, 1)))


@pytest.mark.parametrize(
    "where", ["tcp://10.1.2.3:8786", "tcp://scheduler:8786", "tcp://0.0.0.0:8786", "tcp://[::]:8786"]
)
def test_an_open_port_of_another_machine_is_refused(where):
    with pytest.raises(UsageError, match=r"Expected tls:// for another machine; .* plainfilm cluster certificate DIR"):
        open_engine(where)


@pytest.mark.parametrize(
    "where", ["tls://host:99999", "tls://:8786", "tcp://127.0.0.1", "tls://host:1/path", "tls://user@host:1"]
)
def test_what_is_no_address_is_told(where):
    with pytest.raises(UsageError, match=r"tls://HOST:8786 or tcp://127\.0\.0\.1:8786; received"):
        open_engine(where)


def test_certificates_are_asked_for_and_looked_at(monkeypatch, tmp_path):
    monkeypatch.delenv("PLAINFILM_CERTIFICATES", raising=False)
    with pytest.raises(UsageError, match="Set PLAINFILM_CERTIFICATES"):
        open_engine("tls://host:8786")
    made = certificates.make(tmp_path / "keys")
    assert made.key.stat().st_mode & 0o777 == 0o600
    assert made.key.parent.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("PLAINFILM_CERTIFICATES", str(tmp_path / "keys"))
    assert isinstance(open_engine("tls://host:8786"), Dask)
    made.key.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        open_engine("tls://host:8786")
    made.key.write_text("no key")
    made.key.chmod(0o600)
    with pytest.raises(UsageError, match="OpenSSL cannot use"):
        open_engine("tls://host:8786")
    made.authority.unlink()
    with pytest.raises(UsageError, match=r"no ca\.pem"):
        open_engine("tls://host:8786")
    with pytest.raises(UsageError, match="holds something"):
        certificates.make(tmp_path / "keys")
