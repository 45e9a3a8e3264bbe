"""Adam with TensorFlow's fused kernel: one operation for each variable, where Keras's own optimizer makes a dozen.

With few rows those take a good part of a training, in the making of the graph as much as in its steps.
"""

from collections.abc import Callable, Sequence
from typing import Any

#: Keras's defaults (Kingma and Ba, 2015, but for epsilon).
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7


def adam(variables: Sequence[Any], rate: Any) -> Callable[[Sequence[Any]], None]:
    """A function that moves Keras's ``variables`` by one step from their gradients, to be called within a graph.

    ``rate``: a TensorFlow variable, the learning rate; what is assigned to it counts from the next step on.
    """
    import tensorflow as tf

    moments = [[tf.Variable(tf.zeros(each.shape)) for each in variables] for _ in range(2)]
    powers = tf.Variable((_BETA_1, _BETA_2))

    def step(gradients: Sequence[Any]) -> None:
        of_1, of_2 = tf.unstack(powers.read_value())
        now = rate.read_value()
        for variable, first, second, gradient in zip(variables, *moments, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=of_1,
                beta2_power=of_2,
                lr=now,
                beta1=_BETA_1,
                beta2=_BETA_2,
                epsilon=_EPSILON,
                grad=gradient,
            )
        powers.assign((of_1 * _BETA_1, of_2 * _BETA_2))

    return step
