"""The wheel and the source archive that a release is made of, built and installed without a network."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import plainfilm

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OLD = ROOT / "tests" / "written_by_0_1_0"
check = runpy.run_path(str(ROOT / "scripts" / "check_distributions.py"))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def done(*words, **options):
    """Run a command, which must end well, and give what it printed."""
    ended = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, **options)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    done(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def environment(dist, tmp_path_factory):
    """An environment in which the wheel is installed, beside the packages of the tests'."""
    folder = tmp_path_factory.mktemp("clean") / "env"
    done(sys.executable, "-m", "venv", "--without-pip", folder)
    binaries = folder / ("Scripts" if sys.platform == "win32" else "bin")
    [wheel] = dist.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", binaries / "python", "install")
    done(*pip, "--no-index", "--no-deps", "--disable-pip-version-check", wheel, env=CLEAN)
    packages = next(folder.rglob("site-packages"))
    others = [path for path in sys.path if path and Path(path).name in {"site-packages", "dist-packages"}]
    (packages / "others.pth").write_text(
        "\n".join(others)
    )  # whose own .pth files, such as that of a checkout, are not read
    return binaries


# ---- what they hold


@pytest.mark.slow
def test_a_wheel_and_an_archive_of_this_checkout_hold_what_they_must(dist):
    assert [*check["wrong"](dist)] == []


@pytest.mark.slow
def test_what_is_wrong_with_a_wheel_is_named(dist, tmp_path):
    [wheel] = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(tmp_path / wheel.name, "w") as spoilt:
        for name in whole.namelist():
            content = whole.read(name)
            if name.endswith("METADATA"):
                content = content.replace(b"\nVersion: ", b"\nVersion: 9") + b"\n[a](docs/a.md)"
            if name == "plainfilm/errors.py":
                content += b"\n"
            if name not in {"plainfilm/py.typed"} and not name.endswith("LICENSE"):
                spoilt.writestr(name, content)
        spoilt.writestr("tests/test_it.py", "")
        spoilt.writestr("plainfilm/film.dcm", "")
    said = "\n".join(check["wrong"](tmp_path))
    for fault in (
        "tests/test_it.py is in the wheel",
        "plainfilm/film.dcm is in the wheel",
        "plainfilm/errors.py is another in the wheel",
        "plainfilm/py.typed is not in the wheel",
        "the licence is not in the wheel",
        f"CHANGELOG.md names {plainfilm.__version__}, the wheel 9{plainfilm.__version__}",
        "README.md leads to docs/a.md",
        "found 1 and 0",
    ):
        assert fault in said


@pytest.mark.slow
def test_the_archive_holds_what_its_docs_and_tests_name(dist, tmp_path):
    [archive] = dist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    own = CLEAN | {"PYTHONPATH": str(source / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    named = ["tests/test_docs.py", "tests/test_supply.py", "tests/test_deploy.py", "tests/test_written_by_0_1_0.py"]
    words = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *named, "-k")
    ran = done(*words, "links or developers or container or store_opens", cwd=source, env=own)
    for name in named[:3]:
        assert f"PASSED {name}::" in ran


# ---- what it says of itself


def test_a_package_index_can_show_readme_and_lead_to_the_project():
    assert [*check["wrong_with_description"]((ROOT / "README.md").read_text(encoding="utf-8"))] == []
    assert [*check["wrong_with_description"]("![p](docs/p.png) [q](#part) [r](https://example.org)")] == [
        "README.md leads to docs/p.png, which a package index does not have: write the whole address"
    ]
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= set(PROJECT["urls"])
    assert all(address.startswith(PROJECT["urls"]["Source"]) for address in PROJECT["urls"].values())
    assert f"repository-code: {PROJECT['urls']['Source']}\n" in (ROOT / "CITATION.cff").read_text()
    assert PROJECT["keywords"]


@pytest.mark.skipif(not check["tracked"](), reason="needs a checkout: what git tracks is looked through")
def test_contributing_names_every_file_that_states_the_address_of_the_repository():
    stated = re.compile(rb"github(usercontent)?(\.com)?/" + PROJECT["urls"]["Source"].split("/", 3)[3].encode())
    step = re.search(r"stated in (.+?), which", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
    named = {path for pattern in re.findall(r"`(.+?)`", step) for path in ROOT.glob(pattern)}
    assert len(named) == 6
    assert {ROOT / name for name in check["tracked"]() if stated.search((ROOT / name).read_bytes())} == named


def test_the_classifiers_name_the_versions_that_are_allowed():
    named = {each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each}
    assert named == {"3.11", "3.12", "3.13", "3.14"}
    assert PROJECT["requires-python"] == ">=3.11,<3.15"


def test_the_version_is_that_of_the_changelog_and_of_the_citation():
    assert [*check["wrong_with_version"](plainfilm.__version__)] == []
    assert len([*check["wrong_with_version"]("0.0.1")]) >= 2


def test_at_a_tag_the_version_is_the_tags_and_all_is_committed(monkeypatch):
    said = {"tag": "v9.9.9\n", "status": " M src/plainfilm/a b.py\n?? new.py\n"}
    wrong = check["wrong_with_version"]
    monkeypatch.setitem(wrong.__globals__, "_git", lambda command, *_: said[command])
    found = [*wrong(plainfilm.__version__)]
    assert f"this commit is tagged v9.9.9, the wheel is {plainfilm.__version__}" in found
    assert "src/plainfilm/a b.py, new.py: not committed, and this commit is tagged" in found
    said |= {"tag": f"v{plainfilm.__version__}\n", "status": ""}
    assert not [each for each in wrong(plainfilm.__version__) if "tagged" in each and "unreleased" not in each]


# ---- installed


@pytest.mark.slow
def test_the_wheel_works_where_no_checkout_is(environment, tmp_path):
    shutil.copy(OLD / "store.h5", tmp_path)
    own = CLEAN | {"PLAINFILM_CACHE": str(tmp_path / "cache")}

    def run(*words):
        return done(environment / "plainfilm", *words, cwd=tmp_path, env=own)

    where = done(environment / "python", "-c", "import plainfilm; print(plainfilm.__file__)", cwd=tmp_path, env=own)
    assert Path(where.strip()).is_relative_to(environment.parent)
    assert run("-V") == f"{plainfilm.__version__}\n"
    assert "predict" in run("help")
    assert json.loads(run("info", OLD / "run" / "model.plainfilm", "--json"))
    answers = json.loads(run("predict", OLD / "run" / "model.plainfilm", OLD / "films", "--json"))
    assert len(answers["predictions"]) == 4
    run(
        "audit", "store.h5", "--model", OLD / "run" / "model.plainfilm", "--out", "audited"
    )  # networks, templates, fonts
    assert "<html" in (tmp_path / "audited" / "audit.html").read_text(encoding="utf-8")
    assert json.loads(run("doctor", "--json"))
