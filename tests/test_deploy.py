"""The container file, the service unit, and what serving needs."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from plainfilm.reporting import environment

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMPORTED = """
import sys

class Hidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Hidden())
import numpy as np
import plainfilm.serve.server, plainfilm.serve.dicom.node, plainfilm.data.decoding.radiograph_dicom, plainfilm.cli
from plainfilm.model.lung_segmentation import LungFinder
LungFinder().find(np.zeros((1, 256, 256), np.uint8))
"""


def named(lines):
    """Distributions that lines of pyproject.toml name."""
    return {re.match(r"[\w.-]+", line)[0] for line in lines}


def test_the_versions_that_a_report_states_are_of_packages_that_are_required():
    train, tensorflow = (PROJECT["optional-dependencies"][extra] for extra in ("train", "tensorflow"))
    known = named([*PROJECT["dependencies"], *train, *tensorflow])
    assert set(environment.versions()) - known <= {"plainfilm", "python"}


def test_serving_needs_nothing_that_the_container_does_not_install():
    brought = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    brought |= {"plainfilm", "setuptools"}
    hidden = [
        module
        for module, distributions in metadata.packages_distributions().items()
        if not brought & {re.sub(r"[-_.]+", "-", each).lower() for each in distributions}
    ]
    assert {"jax", "keras", "onnx", "optuna", "sklearn", "tensorflow"} <= set(hidden)
    done = subprocess.run([sys.executable, "-c", IMPORTED, *hidden], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-600:]


def test_the_container_file_copies_what_is_there_and_starts_a_command_that_exists(call):
    text = (ROOT / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources), line
    assert "USER plainfilm" in text
    code, out, _ = call("serve", "--help")
    assert code == 0
    for flag in re.findall(r"--[a-z-]+", re.search(r"^CMD (.+)$", text, re.MULTILINE)[1]):
        assert flag in out


def test_the_service_unit_is_sound_and_well_closed(call):
    unit = ROOT / "deploy" / "plainfilm.service"
    _, out, _ = call("serve", "--help")
    flags = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.sub(r"^# See.*|^# Copy.*", "", unit.read_text(), flags=re.M))
    )
    assert {flag for flag in flags if flag not in out} == {"--now"} & flags
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, which is not on this machine")
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert not re.search(r"Unknown|Failed to parse|Invalid", checked.stderr), checked.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-400:]


def prometheus_names():
    """Names of all metrics that the code gives."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "plainfilm" / "serve").glob("*.py"))
    return set(re.findall(r'"(plainfilm_[a-z_]+)"', text))


def test_the_alerts_are_sound_and_about_metrics_that_there_are(tmp_path):
    rules = ROOT / "deploy" / "prometheus-rules.yml"
    named = set(re.findall(r"plainfilm_[a-z_]+", rules.read_text(encoding="utf-8")))
    known = {f"{name}{end}" for name in prometheus_names() for end in ("", "_total", "_bucket")}
    assert {name for name in named if not name.startswith("plainfilm_dicom_")} <= known
    assert {f"plainfilm_dicom_{name}" for name in ("failed", "undelivered")} <= named
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool (Debian's prometheus)")
    checked = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    config = (
        (ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8").replace("/etc/prometheus/", f"{rules.parent}/")
    )
    (tmp_path / "token").write_text("x")
    (tmp_path / "p.yml").write_text(config.replace("/run/secrets/plainfilm_token", str(tmp_path / "token")))
    checked = subprocess.run(
        ["promtool", "check", "config", tmp_path / "p.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_compose_file_starts_what_there_is_with_files_that_are_there(call):
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    _, out, _ = call("serve", "--help")
    flags = re.findall(r"^ +- (--[a-z-]+)=", text, re.M)
    assert len(flags) >= 8
    assert {flag for flag in flags if flag not in out} == set()
    mounted = {name for name in re.findall(r"^ +- \./([\w.-]+):", text, re.M) if name != "model.plainfilm"}
    assert mounted == {"orthanc.json", "to_plainfilm.lua", "prometheus.yml", "prometheus-rules.yml"}
    assert all((ROOT / "deploy" / name).is_file() for name in mounted)
