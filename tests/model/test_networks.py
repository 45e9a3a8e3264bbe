"""The networks: members side by side are what each is alone, and what serves is their mean in hours."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.hyperparameters import WITHOUT_EFFECT
from studyml.model.networks import (
    LARGEST_HOURS,
    SMALLEST_HOURS,
    Layout,
    Target,
    _attend,
    _lstm_layer,
    first_kernel,
    fit_target,
    members_network,
    serving_network,
    without_unseen,
)
from studyml.model.recipe import ARCHITECTURES, Recipe, with_hyperparameters

INPUTS, MEMBERS = 5, 3
LAYOUT = Layout(INPUTS, ((2, 3), (0, 1)))
SMALL = Recipe(layers=(8, 4), dropouts=(0.1, 0.0), target="log", l2=0.01)
MATRIX = np.random.default_rng(0).normal(size=(20, INPUTS)).astype(np.float32)


def small(architecture: str) -> Recipe:
    return replace(SMALL, architecture=architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_lone_network_with_a_members_weights_computes_what_the_member_does(architecture: str) -> None:
    recipe = small(architecture)
    together, alone = members_network(recipe, LAYOUT, MEMBERS, 100), members_network(recipe, LAYOUT, 1, 100)
    expected = np.asarray(together(MATRIX))

    assert expected.shape == (20, MEMBERS)
    for member in range(MEMBERS):
        alone.set_weights([each[[member]] for each in together.get_weights()])
        assert np.asarray(alone(MATRIX))[:, 0] == pytest.approx(expected[:, member], abs=1e-6)
    assert np.abs(expected[:, 0] - expected[:, 1]).max() > 1e-3, "members start from numbers of their own"


def layers_of(recipe: Recipe) -> list[object]:
    """The shapes of a network's weights, and its dropout rates."""
    network = members_network(recipe, LAYOUT, 1, 100)
    rates = [each.rate for each in network.layers if hasattr(each, "rate")]
    return [*(each.shape for each in network.get_weights()), *rates]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("change", [{"neurons": 32}, {"layers": 4}, {"dropout": 0.4}], ids=str)
def test_what_is_said_to_change_nothing_for_an_architecture_does_not_and_all_else_does(
    architecture: str, change: dict[str, float]
) -> None:
    recipe = small(architecture)
    same = layers_of(with_hyperparameters(recipe, change)) == layers_of(recipe)

    assert same == (set(change) <= WITHOUT_EFFECT.get(architecture, frozenset()))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_serves_is_the_mean_of_the_members_hours(architecture: str) -> None:
    recipe, target = small(architecture), Target(True, 1.1, 0.6)
    members = members_network(recipe, LAYOUT, MEMBERS, 100)
    serving = serving_network(recipe, LAYOUT, target, 2)
    serving.set_weights([each[[2, 0]] for each in members.get_weights()])

    hours = target.decode(np.asarray(members(MATRIX))[:, [2, 0]])

    assert np.asarray(serving(MATRIX))[:, 0] == pytest.approx(hours.mean(axis=1), rel=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_member_does_not_see_what_is_hidden_from_it_and_one_beyond_the_folds_sees_all(architecture: str) -> None:
    hidden = replace(LAYOUT, seen=((True,) * 4 + (False,), (False,) + (True,) * 4))
    network = members_network(small(architecture), hidden, MEMBERS, 100)
    before = np.asarray(network(MATRIX))

    for position, blind in ((4, [0]), (0, [1])):
        changed = MATRIX.copy()
        changed[:, position] += 1.0
        moved = np.abs(np.asarray(network(changed)) - before).max(axis=0)
        assert [member for member in range(MEMBERS) if moved[member] < 1e-6] == blind


def test_what_serves_has_no_weight_on_what_a_member_did_not_see_and_says_the_same() -> None:
    recipe, target = small("ensemble"), Target(True, 1.1, 0.6)
    hidden = replace(LAYOUT, seen=((True, False) * 2 + (True,), (True,) * 5, (False,) * 5))
    members = members_network(recipe, hidden, MEMBERS, 100)
    serving = serving_network(recipe, hidden, target, MEMBERS)
    serving.set_weights(without_unseen(recipe, hidden, members.get_weights(), MEMBERS))

    assert np.asarray(serving(MATRIX))[:, 0] == pytest.approx(
        target.decode(np.asarray(members(MATRIX))).mean(axis=1), rel=1e-5
    )
    kernel = first_kernel(serving)
    assert kernel is not None
    assert (kernel == 0).all(axis=2).tolist() == [[not each for each in seen] for seen in hidden.seen]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_penalty_is_on_every_dense_kernel_but_that_of_the_output(architecture: str) -> None:
    recipe = small(architecture)
    network = members_network(recipe, LAYOUT, 1, 100)
    *_, output_kernel, output_bias = network.trainable_variables
    penalty = float(sum(network.losses))

    output_kernel.assign(output_kernel + 10.0)
    output_bias.assign(output_bias + 10.0)
    assert float(sum(network.losses)) == pytest.approx(penalty)

    for each in network.trainable_variables[:-2]:
        each.assign(each * 2.0)
    assert penalty > 0
    assert float(sum(network.losses)) == pytest.approx(4 * penalty, rel=1e-4)
    assert members_network(replace(recipe, l2=0.0), LAYOUT, 1, 100).losses == []


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_penalty_of_the_members_is_the_sum_of_each_ones_own(architecture: str) -> None:
    recipe = small(architecture)
    together, alone = members_network(recipe, LAYOUT, MEMBERS, 100), members_network(recipe, LAYOUT, 1, 100)
    parts = []
    for member in range(MEMBERS):
        alone.set_weights([each[[member]] for each in together.get_weights()])
        parts.append(float(sum(alone.losses)))

    assert float(sum(together.losses)) == pytest.approx(sum(parts), rel=1e-5)


def test_an_lstm_of_one_member_is_keras_own() -> None:
    import keras

    sequence = np.random.default_rng(1).normal(size=(7, 4, 3)).astype(np.float32)
    inputs = keras.Input(batch_shape=(1, 4, None, 3))
    ours = keras.Model(inputs, keras.ops.stack(_lstm_layer(inputs, 6, seed=5), axis=2))
    enter, bias, recur = ours.get_weights()
    theirs = keras.layers.LSTM(6, return_sequences=True)
    theirs.build(sequence.shape)
    # Keras keeps the open forget gate in its bias.
    opened = bias.ravel() + np.repeat([0.0, 1.0, 0.0, 0.0], 6)
    theirs.set_weights([enter[0], recur[0], opened])

    assert np.asarray(ours(sequence.transpose(1, 0, 2)[None]))[0] == pytest.approx(
        np.asarray(theirs(sequence)), abs=1e-5
    )


def test_attention_of_one_member_is_keras_own() -> None:
    import keras

    tokens = np.random.default_rng(1).normal(size=(7, 5, 32)).astype(np.float32)
    inputs = keras.Input(batch_shape=(1, None, 5, 32))
    ours = keras.Model(inputs, _attend(inputs, seed=5))
    theirs = keras.layers.MultiHeadAttention(4, 16)
    theirs.build(tokens.shape, tokens.shape)
    kernel, bias, *out = [each[0] for each in ours.get_weights()]
    kernels, biases = kernel.reshape(32, 3, 4, 16), bias.reshape(3, 4, 16)
    ordered = [part for each in range(3) for part in (kernels[:, each], biases[each])]
    theirs.set_weights([*ordered, out[0].reshape(4, 16, 32), out[1].ravel()])

    assert np.asarray(ours(tokens[None]))[0] == pytest.approx(np.asarray(theirs(tokens, tokens)), abs=1e-5)


def test_a_token_of_attention_is_a_feature_whatever_the_order_of_its_inputs() -> None:
    recipe, layout = small("attention"), Layout(INPUTS, feature_of=(0, 1, 0, 2, 1))
    network = members_network(recipe, layout, MEMBERS, 100)
    kernel, bias, *others = network.get_weights()

    assert (kernel.shape[1], bias.shape[2]) == (INPUTS, 3)
    order = [2, 3, 4, 0, 1]
    moved = members_network(recipe, Layout(INPUTS, feature_of=(0, 2, 1, 0, 1)), MEMBERS, 100)
    moved.set_weights([kernel[:, order], bias, *others[:4], *_moved(others[4:], order)])
    assert np.asarray(moved(MATRIX[:, order])) == pytest.approx(np.asarray(network(MATRIX)), abs=1e-5)
    apart = members_network(recipe, Layout(INPUTS), MEMBERS, 100)
    assert apart.get_weights()[1].shape[2] == INPUTS


def _moved(weights: list[np.ndarray], order: list[int]) -> list[np.ndarray]:
    """The weights of the dense layers behind attention, for inputs in another order: they follow the tokens' mean."""
    first = weights[0].copy()
    first[:, -len(order) :] = first[:, -len(order) :][:, order]
    return [first, *weights[1:]]


def test_the_lstm_reads_the_sequence_from_the_oldest_session_to_the_newest() -> None:
    network = members_network(small("lstm"), LAYOUT, 1, 100)
    swapped = MATRIX[:, [2, 3, 0, 1, 4]]

    assert np.abs(np.asarray(network(swapped)) - np.asarray(network(MATRIX))).max() > 1e-3
    renumbered = members_network(small("lstm"), Layout(INPUTS, ((0, 1), (2, 3))), 1, 100)
    renumbered.set_weights(network.get_weights())
    assert np.asarray(renumbered(swapped)) == pytest.approx(np.asarray(network(MATRIX)), abs=1e-6)


def test_the_first_kernel_is_known_where_a_network_begins_with_one() -> None:
    for architecture in ("mlp", "ensemble"):
        network = members_network(small(architecture), LAYOUT, MEMBERS, 100)
        kernel = first_kernel(network)
        assert kernel is not None
        assert kernel.shape == (MEMBERS, INPUTS, 8)
        assert (kernel == network.get_weights()[0]).all()
    for architecture in ("lstm", "attention"):
        assert first_kernel(members_network(small(architecture), LAYOUT, 1, 100)) is None


@given(
    st.lists(st.floats(0.1, 24), min_size=2, max_size=20),
    st.sampled_from(["hours", "log"]),
)
def test_a_target_and_back_are_the_same_hours(hours: list[float], kind: str) -> None:
    actual = np.array(hours)
    target = fit_target(replace(SMALL, target=kind), actual)  # type: ignore[arg-type]

    assert target.decode(target.encode(actual)) == pytest.approx(actual, rel=1e-4)
    if target.is_log and actual.std() > 1e-3:
        assert target.encode(actual).mean() == pytest.approx(0, abs=1e-3)
        assert target.encode(actual).std() == pytest.approx(1, abs=1e-3)


def test_no_log_target_however_large_overflows() -> None:
    target = Target(True, 1.0, 0.5)
    assert target.decode(np.array([-1e30, 1e30])) == pytest.approx([SMALLEST_HOURS, LARGEST_HOURS])
