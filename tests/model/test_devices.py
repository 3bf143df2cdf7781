import onnxruntime
import pytest

from plainfilm import extras
from plainfilm.errors import UsageError
from plainfilm.model import devices


@pytest.fixture
def offering(monkeypatch):
    """Let ONNX Runtime offer execution providers."""
    monkeypatch.delenv(devices.VARIABLE, raising=False)

    def offer(*names):
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: [f"{name}ExecutionProvider" for name in (*names, "CPU")]
        )

    return offer


@pytest.mark.parametrize(
    ("providers", "asked", "expected"),
    [
        ([], None, ("cpu", False)),
        ([], "cpu", ("cpu", True)),
        (["CUDA"], None, ("cuda", False)),
        (["CUDA"], "auto", ("cuda", False)),
        (["CUDA"], "cpu", ("cpu", True)),
        (["MIGraphX"], None, ("rocm", False)),
        (["CoreML"], None, ("cpu", False)),
        (["Dml"], "auto", ("cpu", False)),
        (["OpenVINO"], None, ("cpu", False)),
        (["OpenVINO"], "openvino", ("openvino", True)),
        (["CoreML"], "coreml", ("coreml", True)),
        (["Dml"], "directml", ("directml", True)),
    ],
)
def test_a_device_is_taken_where_it_is_offered_and_asked_for_or_known_to_be_right(offering, providers, asked, expected):
    offering(*providers)
    with devices.using(asked):
        found = devices.current()
    assert (found.name, found.is_demanded) == expected
    assert devices.providers(found.name)[-1] == "CPUExecutionProvider"


def test_the_variable_holds_where_nothing_else_is_asked_for(offering, monkeypatch):
    offering("CUDA")
    monkeypatch.setenv(devices.VARIABLE, "cpu")
    assert devices.current().name == "cpu"
    with devices.using("cuda"):
        assert devices.current().name == "cuda"
        with devices.using(None):
            assert devices.current().name == "cuda"
    assert devices.current().name == "cpu"


def test_a_device_that_is_not_here_is_told_with_what_is_and_what_brings_it(offering):
    offering("OpenVINO")
    with devices.using("cuda"), pytest.raises(UsageError) as caught:
        devices.current()
    assert "openvino or cpu, which ONNX Runtime offers here; received cuda. Put onnxruntime-gpu in" in str(caught.value)


def test_a_variable_that_names_no_device_is_told(offering, monkeypatch):
    monkeypatch.setenv(devices.VARIABLE, "gpu")
    with pytest.raises(UsageError, match="auto, cpu, cuda, rocm, openvino, directml, coreml; received gpu"):
        devices.current()


def test_what_brings_a_device_counts_as_onnx_runtime():
    assert {device.brought_by for device in devices.KNOWN.values()} <= set(extras.RUNTIMES)
