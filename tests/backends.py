"""Marks of tests that one of Keras' backends alone can pass."""

import os

import pytest

needs_tensorflow = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "tensorflow", reason="of TensorFlow alone: run with KERAS_BACKEND=tensorflow"
)
needs_jax = pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "jax", reason="of JAX alone: run with KERAS_BACKEND=jax")
