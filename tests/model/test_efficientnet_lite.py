import numpy as np
import pytest

from made_networks import empty_network
from plainfilm.errors import WeightsError
from plainfilm.model import backbones, efficientnet_lite, torch_checkpoint, weights

MILITARY_UNIFORM = 652  # ImageNet's class of the photograph that comes with matplotlib: Rear Admiral Grace Hopper
ROW = backbones.BACKBONES["efficientnet_lite0"]


def test_the_wheels_weights_recognise_a_labelled_photograph():
    from matplotlib import cbook
    from PIL import Image

    found = weights.locate(ROW)
    tensors = torch_checkpoint.read_tensors(found.path)
    network = empty_network(ROW, 224)
    efficientnet_lite.assign(network, tensors)
    photograph = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    square = photograph.crop((0, 0, photograph.width, photograph.width)).resize((224, 224))
    scaling = backbones.SCALINGS[ROW.scaling]
    scaled = np.asarray(square, "float32") * np.float32(scaling.scale) + np.float32(scaling.offset)
    features = np.asarray(network(scaled[None], training=False))[0]
    scores = tensors["_fc.weight"] @ features + tensors["_fc.bias"]
    assert scores.argmax() == MILITARY_UNIFORM


def test_a_checkpoint_of_another_network_is_refused():
    with pytest.raises(WeightsError, match="_conv_stem.weight"):
        efficientnet_lite.assign(empty_network(ROW, 64), {"layer1.weight": np.zeros((1, 1), "float32")})
    with pytest.raises(WeightsError, match="shapes"):
        efficientnet_lite.assign(empty_network(ROW, 64), {"_conv_stem.weight": np.zeros((8, 3, 3, 3), "float32")})
