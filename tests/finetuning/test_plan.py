"""The batch plan: exact shares, replay from the first steps on, the same from the same seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.finetuning import Recipe, Source
from workbench.finetuning import plan as plans
from workbench.finetuning.rows import Utterance

LOCALES = ["el-GR", "en-US", "it-IT"]


def rows_of(locales, seconds):
    return [
        Utterance(
            f"{tag}/{i}", Path("x.wav"), 0.0, seconds[(i * 7 + n) % len(seconds)], "a", tag, None, i + 1, "m"
        )
        for n, (tag, count) in enumerate(locales.items())
        for i in range(count)
    ]


def recipe_of(**changes):
    recipe = Recipe(
        name="p", base="b", sources=(Source("a"), Source("b", role="replay", weight=0.5)), batch_s=30.0
    )
    return recipe.changed(**changes)


SOURCES = [rows_of({"el-GR": 40}, [1.0, 2.5, 4.0]), rows_of({"en-US": 200, "it-IT": 20}, [0.5, 3.0, 9.0])]


def test_shares_follow_weight_and_temperature():
    found = plans.shares(recipe_of(temperature=0.0), SOURCES)
    assert found[0, "el-GR"] == pytest.approx(2 / 3)
    assert found[1, "en-US"] == pytest.approx(1 / 6)
    hours = plans.shares(recipe_of(temperature=1.0), SOURCES)
    assert hours[1, "en-US"] / hours[1, "it-IT"] == pytest.approx(10, rel=0.2)
    assert sum(hours.values()) == pytest.approx(1)


@settings(max_examples=25, deadline=None)
@given(
    weight=st.floats(0.05, 5),
    temperature=st.floats(0, 1),
    seed=st.integers(0, 1000),
    accumulate=st.integers(1, 3),
)
def test_consumed_hours_are_the_shares_at_every_prefix(weight, temperature, seed, accumulate):
    recipe = recipe_of(temperature=temperature, seed=seed, accumulate=accumulate, steps=60)
    recipe = recipe.changed(sources=(recipe.sources[0], replace(recipe.sources[1], weight=weight)))
    plan = plans.draw(recipe, SOURCES)
    shares = plans.shares(recipe, SOURCES)
    for steps in (30, 60):
        taken = plan[plan["step"] < steps].groupby(["source", "target_lang"])["duration_s"].sum()
        total = taken.sum()
        window_s = plans.WINDOW_BATCHES * recipe.batch_s
        for key, share in shares.items():
            assert abs(taken.get(key, 0.0) - share * total) <= window_s


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), batch_s=st.floats(9.0, 60.0), devices=st.integers(1, 2))
def test_batches_keep_their_size_and_none_is_missing(seed, batch_s, devices):
    recipe = recipe_of(seed=seed, batch_s=batch_s, devices=devices, steps=20)
    plan = plans.draw(recipe, SOURCES)
    batches = plan.groupby(["step", "part"])["duration_s"]
    assert len(batches) == 20 * devices
    assert (batches.max() * batches.size() <= batch_s + 1e-3).all()
    assert plan[["step", "part"]].apply(tuple, axis=1).is_monotonic_increasing


def test_every_utterance_comes_once_before_any_comes_twice():
    plan = plans.draw(recipe_of(steps=60, batch_s=10.0), SOURCES)
    uses = plan[plan["source"] == 0]["row"].value_counts()
    # Windows are sorted by length, so a pass may reach one window into the next.
    assert uses.max() - uses.min() <= 2


def test_same_seed_same_plan_and_parquet_keeps_it(tmp_path):
    first, second = (plans.draw(recipe_of(seed=3, steps=15), SOURCES) for _ in range(2))
    assert first.equals(second)
    assert not first.equals(plans.draw(recipe_of(seed=4, steps=15), SOURCES))
    plans.write(first, tmp_path / "plan.parquet")
    assert plans.read(tmp_path / "plan.parquet").equals(first)


def test_prompts_are_fixed_by_the_plan():
    sources = (Source("a", prompt_mode="langID"), Source("b", role="replay", prompt_mode="unified"))
    plan = plans.draw(recipe_of(steps=60, sources=sources), SOURCES)
    given = plan[plan["source"] == 0]
    assert (given["prompt"] == given["target_lang"]).all()
    mixed = (plan[plan["source"] == 1]["prompt"] == "auto").mean()
    assert 0.4 < mixed < 0.6


@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (2, 1), (2, 2)])
def test_more_ranks_change_neither_shares_nor_passes(devices, nodes):
    """As many batches in all, on one rank or on several: the same uses in the same order, shared out."""
    ranks = devices * nodes
    recipe = recipe_of(seed=5, batch_s=10.0, steps=96 // ranks, temperature=0.5)
    plan = plans.draw(recipe.changed(devices=devices, nodes=nodes), SOURCES)
    alone = plans.draw(recipe.changed(steps=96), SOURCES)
    assert plan[["source", "row", "prompt"]].equals(alone[["source", "row", "prompt"]])
    for rank in range(ranks):
        assert set(plan[plan["part"] % ranks == rank]["target_lang"]) == set(LOCALES)
    for (source, tag), share in plans.shares(recipe, SOURCES).items():
        hours = plans.consumed_hours(plan).set_index(["source", "target_lang"])["hours"]
        assert hours[source, tag] / hours.sum() == pytest.approx(share, abs=0.03)
        held = [row for row, utterance in enumerate(SOURCES[source]) if utterance.locale == tag]
        uses = plan[plan["source"] == source]["row"].value_counts().reindex(held, fill_value=0)
        # No clip of a locale comes again before all have come; the last window of the plan may be cut.
        assert uses.max() - uses.min() <= 2
