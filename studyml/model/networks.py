"""The networks in Keras: several members side by side in one graph, so that five cost little more than one.

``members_network`` predicts the recipe's target, one column per member; ``serving_network`` is the same members with
what turns their mean into hours, and is what is saved, exported and served. The feedforward members share layers with
a members axis; LSTM and attention members are copies in one graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.model.recipe import Recipe

#: The log target leaves the network within these hours, so that no exponential overflows.
SMALLEST_HOURS, LARGEST_HOURS = 0.01, 100.0
#: Inputs of every member [batch, members, in] times its own kernel [members, in, out].
MEMBERS_EQUATION = "bmi,mio->bmo"
_LSTM_UNITS, _LSTM_DROPOUT = (64, 32), 0.2
_HEADS, _KEY_DIMENSION = 4, 16
_ATTENTION_LAYERS = (64, 32)


@dataclass(frozen=True)
class Layout:
    """What the inputs are to the members.

    ``sequence``: where the inputs of a student's previous sessions are, positions [session, channel], the oldest
    first. ``seen``: which inputs each fold's member sees, [folds, inputs]; empty where all see all.
    """

    inputs: int
    sequence: tuple[tuple[int, ...], ...] = ()
    seen: tuple[tuple[bool, ...], ...] = ()

    def seen_by(self, members: int) -> NDArray[np.float32]:
        """1 where a member sees an input, else 0, [members, inputs]; a member beyond the folds sees all."""
        mask = np.ones((members, self.inputs), np.float32)
        if self.seen:
            mask[: len(self.seen)] = self.seen
        return mask


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

    inputs, seen = keras.Input((layout.inputs,), name="inputs"), layout.seen_by(members)
    if recipe.architecture in ("mlp", "ensemble"):
        repeated = keras.layers.RepeatVector(members)(inputs)
        return keras.Model(inputs, _feedforward(recipe, repeated * seen if layout.seen else repeated, rows))
    build = _lstm if recipe.architecture == "lstm" else _attention
    # Each copy is a model of its own, so that the weights of the whole come member by member.
    copies = [keras.Model(inputs, build(recipe, layout, inputs, member, rows)) for member in range(members)]
    outputs = [copy(inputs * seen[member] if layout.seen else inputs) for member, copy in enumerate(copies)]
    return keras.Model(inputs, keras.layers.Concatenate()(outputs) if members > 1 else outputs[0])


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


def member_weights(
    recipe: Recipe, weights: Sequence[NDArray[np.float32]], members: int, wanted: Sequence[int]
) -> list[NDArray[np.float32]]:
    """The weights of the ``wanted`` members out of those of a network of ``members``."""
    if recipe.architecture in ("mlp", "ensemble"):
        return [each[list(wanted)] for each in weights]
    size = len(weights) // members
    return [weights[member * size + position] for member in wanted for position in range(size)]


def set_member(
    recipe: Recipe, kept: list[NDArray[np.float32]], current: Sequence[NDArray[np.float32]], members: int, member: int
) -> None:
    """Copy one member's ``current`` weights into ``kept``, which belongs to the same network."""
    if recipe.architecture in ("mlp", "ensemble"):
        for target, source in zip(kept, current, strict=True):
            target[member] = source[member]
        return
    size = len(current) // members
    for position in range(member * size, (member + 1) * size):
        kept[position] = current[position].copy()


def first_kernel(network: Any) -> NDArray[np.float32] | None:
    """The first dense kernel, [members, inputs, units]; None for networks that do not begin with one."""
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.EinsumDense):
            return np.asarray(layer.kernel) if layer.equation == MEMBERS_EQUATION else None
    return None


def _feedforward(recipe: Recipe, inputs: Any, rows: int) -> Any:
    """Each member's target [n, members] from its own inputs [n, members, inputs]."""
    from keras import layers

    hidden, (members, width) = inputs, inputs.shape[1:]
    for position, (units, dropout) in enumerate(zip(recipe.layers, recipe.dropouts, strict=True)):
        hidden = _members_dense(recipe, members, (width, units), position, rows, recipe.activation)(hidden)
        width = units
        if dropout:
            hidden = layers.Dropout(dropout, seed=_seed(recipe, 100 + position))(hidden)
    output = _members_dense(recipe, members, (width, 1), len(recipe.layers), rows, "linear")
    return layers.Flatten()(output(hidden))


def _members_dense(recipe: Recipe, members: int, shape: tuple[int, int], position: int, rows: int, act: str) -> Any:
    """One dense layer of ``shape`` (inputs, units) for each member.

    The initialisers are written out: Keras would take the members axis for part of the fan. Sources: Glorot and
    Bengio (2010) for ``glorot_uniform``, He et al. (2015) for ``he_normal``.
    """
    from keras import initializers, layers

    seed = _seed(recipe, position)
    if recipe.initializer == "he_normal":
        start: Any = initializers.RandomNormal(stddev=(2 / shape[0]) ** 0.5, seed=seed)
    else:
        limit = (6 / (shape[0] + shape[1])) ** 0.5
        start = initializers.RandomUniform(-limit, limit, seed=seed)
    return layers.EinsumDense(
        MEMBERS_EQUATION,
        output_shape=(members, shape[1]),
        bias_axes="mo",
        activation=act,
        kernel_initializer=start,
        kernel_regularizer=_penalty(recipe, rows, shape[1]),
    )


def _dense(recipe: Recipe, units: int, seed: int, rows: int, activation: str) -> Any:
    from keras import initializers, layers

    start = {"he_normal": initializers.HeNormal, "glorot_uniform": initializers.GlorotUniform}[recipe.initializer]
    return layers.Dense(
        units,
        activation=activation,
        kernel_initializer=start(seed=seed),
        kernel_regularizer=_penalty(recipe, rows, units),
    )


def _lstm(recipe: Recipe, layout: Layout, inputs: Any, member: int, rows: int) -> Any:
    """The guide's LSTM over a student's previous sessions, beside the features of the session to come."""
    import keras
    from keras import layers

    seed = _seed(recipe, 1000 * (member + 1))
    positions = np.array(layout.sequence)
    sequence = layers.Reshape(positions.shape)(keras.ops.take(inputs, positions.ravel(), axis=1))
    for step, units in enumerate(_LSTM_UNITS):
        sequence = layers.LSTM(
            units,
            return_sequences=step == 0,
            unroll=True,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed + 10 * step),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 10 * step + 1),
        )(sequence)
        sequence = layers.Dropout(_LSTM_DROPOUT, seed=seed + 10 * step + 2)(sequence)
    plain = [each for each in range(layout.inputs) if each not in set(positions.ravel().tolist())]
    static = _dense(recipe, 32, seed + 30, rows, recipe.activation)(keras.ops.take(inputs, np.array(plain), axis=1))
    joined = layers.Concatenate()([sequence, static])
    joined = _dense(recipe, 16, seed + 31, rows, recipe.activation)(joined)
    return _dense(recipe, 1, seed + 32, rows, "linear")(joined)


def _attention(recipe: Recipe, layout: Layout, inputs: Any, member: int, rows: int) -> Any:
    """Multi-head attention with every input as a token: its value times its own vector, plus its own vector."""
    import keras
    from keras import layers

    seed = _seed(recipe, 1000 * (member + 1))
    width = _HEADS * _KEY_DIMENSION // 2
    tokens = layers.EinsumDense(
        "bft,fte->bfe",
        output_shape=(layout.inputs, width),
        bias_axes="fe",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.3, seed=seed),
        bias_initializer=keras.initializers.RandomNormal(stddev=0.3, seed=seed + 1),
    )(layers.Reshape((layout.inputs, 1))(inputs))
    attended = layers.MultiHeadAttention(
        _HEADS, _KEY_DIMENSION, kernel_initializer=keras.initializers.GlorotUniform(seed=seed + 2)
    )(tokens, tokens)
    tokens = layers.LayerNormalization()(layers.Add()([tokens, attended]))
    hidden = layers.GlobalAveragePooling1D()(tokens)
    hidden = layers.Concatenate()([hidden, inputs])
    for step, units in enumerate(_ATTENTION_LAYERS):
        hidden = _dense(recipe, units, seed + 10 + step, rows, recipe.activation)(hidden)
        hidden = layers.Dropout(recipe.dropouts[0], seed=seed + 20 + step)(hidden)
    return _dense(recipe, 1, seed + 30, rows, "linear")(hidden)


def _penalty(recipe: Recipe, rows: int, units: int) -> Any:
    """None for the output: its scale is that of the target, and a penalty on it draws every prediction to the mean."""
    from keras import regularizers

    return regularizers.L2(recipe.l2_at(rows)) if recipe.l2 and units > 1 else None


def _seed(recipe: Recipe, offset: int) -> int:
    return (recipe.seed * 1_000_003 + offset) % (2**31)
