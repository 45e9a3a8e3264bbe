"""The networks in Keras: several members side by side in one graph, so that five cost little more than one.

``members_network`` predicts the recipe's target, one column per member; ``serving_network`` is the same members with
what turns their mean into hours, and is what is saved, exported and served. Every weight has the members as its first
axis, and so has all that is computed between inputs and output: each product is then one matrix product per member.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.model.recipe import Recipe

#: The log target leaves the network within these hours, so that no exponential overflows.
SMALLEST_HOURS, LARGEST_HOURS = 0.01, 100.0
#: Inputs of every member [members, batch, in] times its own kernel [members, in, out].
MEMBERS_EQUATION = "mbi,mio->mbo"
_LSTM_UNITS, _LSTM_DROPOUT = (64, 32), 0.2
_HEADS, _KEY_DIMENSION = 4, 16
_ATTENTION_LAYERS = (64, 32)


@dataclass(frozen=True)
class Layout:
    """What the inputs are to the members.

    ``sequence``: where the inputs of a student's previous sessions are, positions [session, channel], the oldest
    first. ``feature_of``: the number of the feature that an input is made of, from 0; empty where each is its own.
    ``seen``: which inputs each fold's member sees, [folds, inputs]; empty where all see all.
    """

    inputs: int
    sequence: tuple[tuple[int, ...], ...] = ()
    feature_of: tuple[int, ...] = ()
    seen: tuple[tuple[bool, ...], ...] = ()

    def seen_by(self, members: int) -> NDArray[np.float32]:
        """1 where a member sees an input, else 0, [members, inputs]; a member beyond the folds sees all."""
        mask = np.ones((members, self.inputs), np.float32)
        if self.seen:
            mask[: len(self.seen)] = self.seen
        return mask

    def inputs_of_features(self) -> NDArray[np.float32]:
        """1 where an input is made of a feature, else 0, [features, inputs]."""
        feature_of = np.array(self.feature_of or range(self.inputs))
        owned: NDArray[np.bool_] = feature_of == np.arange(feature_of.max() + 1)[:, None]
        return owned.astype(np.float32)


@dataclass(frozen=True)
class Target:
    """Hours to the network's target and back: standardised log hours, or the hours themselves."""

    is_log: bool
    mean: float = 0.0
    scale: float = 1.0

    def encode(self, hours: NDArray[np.float64]) -> NDArray[np.float32]:
        """The target [n] of hours [n]."""
        raw = np.log(hours) if self.is_log else hours
        return ((raw - self.mean) / self.scale).astype(np.float32)

    def decode(self, target: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Hours of any shape, as the serving network computes them."""
        raw = target.astype(np.float64) * self.scale + self.mean
        return np.exp(np.clip(raw, np.log(SMALLEST_HOURS), np.log(LARGEST_HOURS))) if self.is_log else raw


def fit_target(recipe: Recipe, hours: NDArray[np.float64]) -> Target:
    """The recipe's target, standardised on the training labels [n] where it is the log."""
    if recipe.target == "hours":
        return Target(False)
    logs = np.log(hours)
    return Target(True, float(logs.mean()), float(logs.std()) or 1.0)


def members_network(recipe: Recipe, layout: Layout, members: int, rows: int) -> Any:
    """A Keras model from inputs [n, inputs] to targets [n, members]; ``rows`` scales the L2 penalty."""
    import keras

    inputs = keras.Input((layout.inputs,), name="inputs")
    repeated = keras.ops.tile(keras.ops.expand_dims(inputs, 0), (members, 1, 1))
    if layout.seen:
        repeated = repeated * layout.seen_by(members)[:, None, :]
    member_targets = _BUILDERS[recipe.architecture](recipe, layout, repeated, rows)
    return keras.Model(inputs, keras.ops.transpose(keras.ops.squeeze(member_targets, 2)))


def serving_network(recipe: Recipe, layout: Layout, target: Target, members: int) -> Any:
    """A Keras model from inputs [n, inputs] to hours [n, 1]: the mean of the members' hours.

    It hides nothing from a member: ``without_unseen`` has taken the weights of what a member did not see.
    """
    import keras

    network = members_network(recipe, replace(layout, seen=()), members, 1)
    hours = network.output
    if target.is_log:
        hours = keras.layers.Rescaling(target.scale, target.mean)(hours)
        hours = keras.ops.exp(keras.ops.clip(hours, np.log(SMALLEST_HOURS), np.log(LARGEST_HOURS)))
    hours = keras.ops.mean(hours, axis=1, keepdims=True)
    return keras.Model(network.input, hours)


def without_unseen(
    recipe: Recipe, layout: Layout, weights: list[NDArray[np.float32]], members: int
) -> list[NDArray[np.float32]]:
    """The weights with zero from each input to a feedforward member that did not see it.

    Other architectures serve the one member that sees all.
    """
    if not layout.seen or recipe.architecture not in ("mlp", "ensemble"):
        return weights
    return [weights[0] * layout.seen_by(members)[:, :, None], *weights[1:]]


def first_kernel(network: Any) -> NDArray[np.float32] | None:
    """The first dense kernel, [members, inputs, units]; None for networks that do not begin with one."""
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.EinsumDense):
            return np.asarray(layer.kernel) if layer.equation == MEMBERS_EQUATION else None
    return None


def _feedforward(recipe: Recipe, layout: Layout, inputs: Any, rows: int) -> Any:  # noqa: ARG001
    """The guide's layers: inputs [members, n, inputs] to targets [members, n, 1], as all that follow."""
    from keras import layers

    hidden = inputs
    for position, (units, dropout) in enumerate(zip(recipe.layers, recipe.dropouts, strict=True)):
        hidden = _members_dense(recipe, units, position, rows, recipe.activation)(hidden)
        if dropout:
            hidden = layers.Dropout(dropout, seed=_seed(recipe, 100 + position))(hidden)
    return _members_dense(recipe, 1, len(recipe.layers), rows, "linear")(hidden)


def _members_dense(recipe: Recipe, units: int, position: int, rows: int, activation: str) -> Any:
    """A dense layer of each member, from [members, n, in] to [members, n, units].

    The initialisers are written out: Keras would take the members axis for part of the fan. Sources: Glorot and
    Bengio (2010) for ``glorot_uniform``, He et al. (2015) for ``he_normal``.
    """

    def build(inputs: Any) -> Any:
        width = inputs.shape[-1]
        return _members_einsum(
            MEMBERS_EQUATION,
            (None, units),
            "mo",
            _start(recipe.initializer, width, units, _seed(recipe, position)),
            activation=activation,
            kernel_regularizer=_penalty(recipe, rows, units),
        )(inputs)

    return build


def _members_einsum(equation: str, shape: tuple[int | None, ...], biases: str | None, start: Any, **others: Any) -> Any:
    from keras import layers

    return layers.EinsumDense(equation, output_shape=shape, bias_axes=biases, kernel_initializer=start, **others)


def _start(initializer: str, width: int, units: int, seed: int) -> Any:
    from keras import initializers

    if initializer == "he_normal":
        return initializers.RandomNormal(stddev=(2 / width) ** 0.5, seed=seed)
    limit = (6 / (width + units)) ** 0.5
    return initializers.RandomUniform(-limit, limit, seed=seed)


def _lstm(recipe: Recipe, layout: Layout, inputs: Any, rows: int) -> Any:
    """The guide's LSTM over a student's previous sessions, beside the features of the session to come."""
    from keras import layers, ops

    positions = np.array(layout.sequence)
    sequence = ops.transpose(ops.take(inputs, positions, axis=2), (0, 2, 1, 3))
    for step, units in enumerate(_LSTM_UNITS):
        outputs = _lstm_layer(sequence, units, _seed(recipe, 200 + 10 * step))
        sequence = ops.stack(outputs, axis=1) if step == 0 else outputs[-1]
        sequence = layers.Dropout(_LSTM_DROPOUT, seed=_seed(recipe, 202 + 10 * step))(sequence)
    plain = [each for each in range(layout.inputs) if each not in set(positions.ravel().tolist())]
    static = _members_dense(recipe, 32, 0, rows, recipe.activation)(ops.take(inputs, np.array(plain), axis=2))
    joined = layers.Concatenate()([sequence, static])
    joined = _members_dense(recipe, 16, 1, rows, recipe.activation)(joined)
    return _members_dense(recipe, 1, 2, rows, "linear")(joined)


def _lstm_layer(sequence: Any, units: int, seed: int) -> list[Any]:
    """What each step of an LSTM says, [members, n, units], from a sequence [members, steps, n, channels].

    Hochreiter and Schmidhuber (1997) with a forget gate that begins open (Jozefowicz et al., 2015), as in Keras, whose
    own layer has no members. Recurrent weights begin with the variance of Keras's orthogonal ones.
    """
    from keras import initializers, ops

    _, steps, _, channels = sequence.shape
    start = _start("glorot_uniform", channels, 4 * units, seed)
    enter = _members_einsum("msbi,mio->msbo", (steps, None, 4 * units), "mo", start)(sequence)
    again = initializers.RandomNormal(stddev=(4 * units) ** -0.5, seed=seed + 1)
    recur = _members_einsum(MEMBERS_EQUATION, (None, 4 * units), None, again)
    outputs: list[Any] = []
    memory: Any = None
    # Not by slices: the gradient of each would be as large as the whole.
    for entering in ops.unstack(enter, axis=1):
        gates = entering + recur(outputs[-1]) if outputs else entering
        admit, keep, new, show = ops.split(gates, 4, axis=-1)
        admitted = ops.sigmoid(admit) * ops.tanh(new)
        memory = admitted if memory is None else ops.sigmoid(keep + 1.0) * memory + admitted
        outputs.append(ops.sigmoid(show) * ops.tanh(memory))
    return outputs


def _attention(recipe: Recipe, layout: Layout, inputs: Any, rows: int) -> Any:
    """Multi-head attention with every feature as a token: a vector of its own, plus each of its inputs times one."""
    from keras import initializers, layers, ops

    width, owned = _HEADS * _KEY_DIMENSION // 2, layout.inputs_of_features()
    tokens = layers.EinsumDense(
        "mbfi,mie->mbfe",
        output_shape=(None, len(owned), width),
        bias_axes="mfe",
        kernel_initializer=initializers.RandomNormal(stddev=0.3, seed=_seed(recipe, 200)),
        bias_initializer=initializers.RandomNormal(stddev=0.3, seed=_seed(recipe, 201)),
    )(ops.expand_dims(inputs, 2) * owned)
    # Scale and centre would be a member's own; the dense layer behind the mean has weights that do the same.
    tokens = layers.LayerNormalization(center=False, scale=False)(tokens + _attend(tokens, _seed(recipe, 202)))
    hidden = layers.Concatenate()([ops.mean(tokens, axis=2), inputs])
    for step, units in enumerate(_ATTENTION_LAYERS):
        hidden = _members_dense(recipe, units, step, rows, recipe.activation)(hidden)
        hidden = layers.Dropout(recipe.dropouts[0], seed=_seed(recipe, 100 + step))(hidden)
    return _members_dense(recipe, 1, len(_ATTENTION_LAYERS), rows, "linear")(hidden)


def _attend(tokens: Any, seed: int) -> Any:
    """Multi-head self-attention (Vaswani et al., 2017) of tokens [members, n, tokens, width], to the same shape."""
    from keras import ops

    members, _, count, width = tokens.shape
    flat = _HEADS * _KEY_DIMENSION
    start = _start("glorot_uniform", width, flat, seed)
    asked = _members_einsum("mbte,meo->mbto", (None, count, 3 * flat), "mo", start)(tokens)
    by_head = ops.reshape(asked, (members, -1, count, 3, _HEADS, _KEY_DIMENSION))
    query, key, value = ops.unstack(ops.transpose(by_head, (3, 0, 1, 4, 2, 5)), axis=0)
    scores = ops.matmul(query, ops.transpose(key, (0, 1, 2, 4, 3))) / _KEY_DIMENSION**0.5
    seen = ops.transpose(ops.matmul(ops.softmax(scores, axis=-1), value), (0, 1, 3, 2, 4))
    joined = ops.reshape(seen, (members, -1, count, flat))
    start = _start("glorot_uniform", flat, width, seed + 1)
    return _members_einsum("mbto,moe->mbte", (None, count, width), "me", start)(joined)


_BUILDERS: dict[str, Callable[[Recipe, Layout, Any, int], Any]] = {
    "mlp": _feedforward,
    "ensemble": _feedforward,
    "lstm": _lstm,
    "attention": _attention,
}


def _penalty(recipe: Recipe, rows: int, units: int) -> Any:
    """None for the output: its scale is that of the target, and a penalty on it draws every prediction to the mean."""
    from keras import regularizers

    return regularizers.L2(recipe.l2_at(rows)) if recipe.l2 and units > 1 else None


def _seed(recipe: Recipe, offset: int) -> int:
    return (recipe.seed * 1_000_003 + offset) % (2**31)
