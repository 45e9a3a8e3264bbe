"""The fused step is Keras's Adam: the same numbers, gradient by gradient, at a rate that changes."""

import numpy as np
import pytest

from studyml.model.adam import adam
from studyml.model.keras_quietly import import_keras

SHAPES = ((5, 3, 4), (5, 4), (1,))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_it_moves_variables_as_keras_does(scale: float) -> None:
    keras = import_keras()
    import tensorflow as tf

    random = np.random.default_rng(1)
    start = [random.normal(size=shape).astype(np.float32) for shape in SHAPES]
    ours, theirs = ([keras.Variable(each) for each in start] for _ in range(2))
    rate = tf.Variable(0.01)
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(theirs)
    step = tf.function(adam(ours, rate))

    for at in range(30):
        gradients = [tf.constant((scale * random.normal(size=shape)).astype(np.float32)) for shape in SHAPES]
        rate.assign(0.01 / (1 + at))
        optimizer.learning_rate.assign(0.01 / (1 + at))
        step(gradients)
        optimizer.apply(gradients, theirs)

    for own, other, before in zip(ours, theirs, start, strict=True):
        assert np.asarray(own) == pytest.approx(np.asarray(other), abs=1e-6)
        assert np.abs(np.asarray(own) - before).mean() > 1e-3
