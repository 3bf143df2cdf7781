"""The locks that the container and CI install from, and the floors of pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = {"requirements.lock": ("serve", "dicom", "sign"), "requirements-dev.lock": ("dev",)}
# Package, a version with a known hole, and what it is.
HOLES = {
    ("keras", "3.13.1"): "CVE-2026-1669: a file of weights reads any file",
    ("jinja2", "3.1.5"): "CVE-2025-27516: a template leaves its sandbox",
    ("onnx", "1.20.1"): "CVE-2026-34445: a network sets attributes of objects",
    ("pillow", "12.2.0"): "several of 2026: writes out of bounds",
    ("cryptography", "46.0.4"): "CVE-2026-26007: a point that is not on its subgroup",
    ("python-multipart", "0.0.26"): "CVE-2026-42561: headers without end",
    ("starlette", "1.0.0"): "CVE-2026-48710: a Host that changes the path",
    ("pydicom", "3.0.1"): "CVE-2026-32711: a DICOMDIR that leaves its folder",
    ("pynetdicom", "3.0.3"): "CVE-2026-56445: a path from a data set",
    ("pyarrow", "23.0.0"): "CVE-2026-25087: use after free",
    ("distributed", "2025.12.0"): "CVE-2026-23528: a page beside its dashboard runs programs",
}


def wanted(*extras):
    """Requirements of plainfilm with extras, those of extras within extras too."""
    for line in [
        *PROJECT["dependencies"],
        *(line for extra in extras for line in PROJECT["optional-dependencies"][extra]),
    ]:
        requirement = Requirement(line)
        if requirement.name == "plainfilm":
            yield from wanted(*requirement.extras)
        else:
            yield requirement


def locked(name):
    """What a lock pins: (requirement, number of hashes) of each entry."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text())
    return [
        (Requirement(entry.split("\\")[0].strip()), entry.count("--hash=sha256:"))
        for entry in entries
        if entry[0] != "#"
    ]


def holds(requirement, python):
    here = default_environment() | {
        "python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux", "platform_machine": "x86_64"
    }  # fmt: skip
    return requirement.marker is None or requirement.marker.evaluate(here)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize(("name", "extras"), LOCKS.items())
def test_a_lock_pins_with_hashes_all_that_is_required(name, extras, python):
    pins = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin, _ in locked(name)
        if holds(pin, python)
    }
    assert all(hashes for _, hashes in locked(name))
    for requirement in wanted(*extras):
        if holds(requirement, python):
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), (
                f"{requirement}: run make lock"
            )


@pytest.mark.parametrize(("package", "version"), HOLES)
def test_no_version_with_a_known_hole_is_allowed(package, version):
    asked = [each for each in wanted("all", "dev") if canonicalize_name(each.name) == package]
    assert asked
    assert not any(each.specifier.contains(Version(version)) for each in asked)


def test_the_container_installs_what_is_locked_and_nothing_else():
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if "pip install" in line]
    assert len(lines) == 2
    assert "--require-hashes -r requirements.lock" in lines[0]
    assert "--no-deps ." in lines[1]


def test_the_lock_of_the_container_is_made_of_the_extras_that_serving_needs():
    made = re.search(r"\$\(LOCK\) (.+) --output-file requirements\.lock", (ROOT / "Makefile").read_text())[1]
    assert tuple(re.findall(r"--extra (\w+)", made)) == LOCKS["requirements.lock"]
