"""A store as a `tf.data.Dataset`, straight into `model.fit`: the paper's own way, end to end.

    python examples/tf_data.py my.h5

The frozen backbone runs again in every epoch here. `plainfilm train` gives the same head from cached features, many times
faster; use this where you want to change what comes before the head. Needs plainfilm[tensorflow].
"""

import sys

import keras

import plainfilm
from plainfilm.model import backbones, weights

SIZE = 224


def main(path: str, epochs: int = 2) -> None:
    row = backbones.BACKBONES["efficientnet_lite0"]
    backbone = backbones.build(row, SIZE)
    weights.load_into(backbone, row, weights.locate(row))
    backbone.trainable = False
    scaling = backbones.SCALINGS[row.scaling]
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(scaling.scale, scaling.offset)(inputs)  # pyright: ignore[reportArgumentType] - one a channel
    x = keras.layers.Dense(64, "relu")(backbone(x, training=False))
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(x))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    with plainfilm.Store(path) as store:
        train = store.to_tf_dataset("train", batch_size=32, input_size=SIZE)
        validation = store.to_tf_dataset("validation", batch_size=32, input_size=SIZE)
        model.fit(train, validation_data=validation, epochs=epochs)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Write: python examples/tf_data.py STORE [EPOCHS], with a store of: plainfilm ingest")
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2)
