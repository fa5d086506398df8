"""Recipes: presets as data."""

from __future__ import annotations

import pytest

from backhand import InputError
from backhand.tabular.recipes import LOG, PRESETS, RAW, Recipe, recipe_of


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_networks_for_both_tasks(preset):
    kinds = recipe_of(preset, regression=False, log_target=False, members=None).networks
    numbers = recipe_of(preset, regression=True, log_target=False, members=None).networks
    assert len(kinds) == len(numbers) >= 1
    assert all(kind.target == RAW for kind in kinds + numbers)


@pytest.mark.parametrize("preset", PRESETS)
def test_half_of_a_kind_learns_a_log_target(preset):
    plain, with_log = (
        recipe_of(preset, regression=True, log_target=log, members=None) for log in (False, True)
    )
    assert [kind.target for kind in with_log.networks].count(LOG) == 1
    counts = [sum(kind.members for kind in found.networks) for found in (plain, with_log)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("members", [1, 2, 3, 7])
def test_the_number_of_networks_is_the_one_asked_for(members):
    recipe = recipe_of("default", regression=False, log_target=False, members=members)
    assert sum(kind.members for kind in recipe.networks) == members
    assert recipe.folds == max(kind.members for kind in recipe.networks)


@pytest.mark.parametrize("members", [0, 1001, 10**9, 2.0, True])
def test_a_number_of_networks_that_makes_no_sense(members):
    with pytest.raises(InputError, match="n_members must be a whole number from 1 to 1,000"):
        recipe_of("fast", regression=False, log_target=False, members=members)


def test_lengths_are_by_rows():
    recipe = Recipe((), lengths=((10, 3, 4), (20, 5, 6)))
    assert recipe.length(10) == (3, 4)
    assert recipe.length(11) == recipe.length(1000) == (5, 6)


def test_a_recipe_of_ones_own_is_taken_as_it_is():
    own = recipe_of("fast", regression=False, log_target=False, members=None)
    assert recipe_of(own, regression=True, log_target=True, members=None) == own
    more = recipe_of(own, regression=True, log_target=True, members=9)
    assert sum(kind.members for kind in more.networks) == 9


@pytest.mark.parametrize(
    "own", [Recipe((), lengths=((10, 3, 4),)), Recipe(PRESETS["fast"].networks)]
)
def test_a_recipe_without_networks_or_lengths_is_refused(own):
    with pytest.raises(InputError, match="networks and lengths"):
        recipe_of(own, regression=False, log_target=False, members=None)


@pytest.mark.parametrize("preset", ["fats", None, 3, ["fast"]])
def test_an_unknown_preset_is_refused(preset):
    with pytest.raises(InputError, match="unknown preset"):
        recipe_of(preset, regression=False, log_target=False, members=None)
