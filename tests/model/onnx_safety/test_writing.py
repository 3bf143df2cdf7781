"""A network with some of its weights as inputs: every other byte as it was."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hostile.base import constant, network
from plainfilm.model.onnx_safety import reading, writing
from plainfilm.model.onnx_safety.writing import as_inputs


@pytest.fixture
def model():
    made = network(3)
    for name, values in {
        "large": np.ones((300, 2), np.float32),
        "small": np.arange(4),
        "scalar": np.float32(2),
    }.items():
        constant(made, values, name)
    return made


def test_with_no_weight_as_input_not_a_byte_changes(model):
    data = model.SerializeToString()
    assert as_inputs(data, frozenset()) == data


@pytest.mark.parametrize("names", [{"large"}, {"large", "scalar"}, {"small"}])
def test_weights_become_inputs_of_their_name_type_and_shape(model, names):
    data = model.SerializeToString()
    before, after = reading.read(data), reading.read(as_inputs(data, frozenset(names)))
    assert after.weights.keys() == before.weights.keys() - names
    told = {info.name: (info.dtype, info.sides) for info in after.inputs}
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    assert told == {"images": (2, (None, 32, 32))} | {
        name: (kinds[name], before.weights[name].values.shape) for name in names
    }


def test_it_is_what_onnx_writes_of_the_same_network(model):
    data = model.SerializeToString()
    names = ["large", "scalar"]
    expected = onnx.ModelProto.FromString(data)
    for weight in [each for each in model.graph.initializer if each.name in names]:
        expected.graph.initializer.remove(weight)
        shape = numpy_helper.to_array(weight).shape
        expected.graph.input.append(onnx.helper.make_tensor_value_info(weight.name, weight.data_type, shape))
    written = onnx.ModelProto.FromString(as_inputs(data, frozenset(names)))
    inputs = {each.name: each for each in written.graph.input}
    assert [inputs[each.name] for each in expected.graph.input] == list(expected.graph.input)
    assert len(inputs) == len(expected.graph.input)
    del written.graph.input[:], expected.graph.input[:]
    assert written == expected


@pytest.fixture
def heavy(model):
    constant(model, np.arange(writing.LARGE, dtype=np.float32).reshape(2, -1), "heavy")
    constant(model, np.zeros(writing.LARGE // 4 - 100, np.float32), "light")
    return model.SerializeToString()


def test_large_weights_are_parted_uncopied_and_put_back_where_they_were(heavy):
    bare, apart = writing.parted(heavy)
    assert apart.keys() == {"heavy"}
    assert apart["heavy"].base is not None
    assert len(bare) < 100_000 < len(heavy)
    names = [each.name for each in onnx.load_from_string(bare).graph.initializer]
    whole = onnx.load_from_string(writing.joined(bare, apart))
    assert [each.name for each in whole.graph.initializer] == names
    assert whole == onnx.load_from_string(heavy)


def test_a_weight_that_is_not_of_this_network_is_not_put_in(heavy):
    bare, apart = writing.parted(heavy)
    assert writing.joined(bare, {"other": apart["heavy"]}) == bare


def test_parted_twice_of_one_name_is_refused(heavy):
    model = onnx.load_from_string(heavy)
    model.graph.initializer.append(next(each for each in model.graph.initializer if each.name == "heavy"))
    with pytest.raises(reading.NetworkRefused, match="two weights of one name"):
        writing.parted(model.SerializeToString())


def test_kinds_of_weights_and_places_outside_are_told(heavy):
    model = onnx.load_from_string(heavy)
    assert writing.kinds(heavy) == {1, 7}
    assert writing.locations(heavy) == []
    for place in ("b", "a", "b"):
        outside = model.graph.initializer.add(name=place, data_type=10, data_location=1)
        outside.external_data.add(key="offset", value="location")
        outside.external_data.add(key="location", value=place)
    assert writing.kinds(model.SerializeToString()) == {1, 7, 10}
    assert writing.locations(model.SerializeToString()) == ["a", "b"]
