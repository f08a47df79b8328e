"""Sampling a view: so many of each value, the same whatever the order of the rows."""

import pytest

from workbench.corpus.importing import import_source
from workbench.errors import WorkbenchError
from workbench.starter_files import MANIFEST


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return import_source(MANIFEST, tmp_path_factory.mktemp("sample") / "starter", name="starter")


def test_takes_so_many_of_each_value_nulls_too(corpus):
    sample = corpus.sample(7, by="accent", seed=3)
    counts = sample.groups("accent")["utterances"].tolist()
    assert counts == [7] * len(corpus.groups("accent"))
    assert sample.ids() == corpus.sample(7, by="accent", seed=3).ids()
    assert set(sample.ids()) != set(corpus.sample(7, by="accent", seed=4).ids())


def test_small_cells_are_taken_whole_and_filters_hold(corpus):
    few = corpus.where("source = 'tuxpaint-en'")
    assert sorted(few.sample(1000, by="source").ids()) == sorted(few.ids())


def test_does_not_depend_on_what_else_is_in_view(corpus):
    greek = corpus.where("target_lang = 'el-GR'").sample(5).ids()
    every = corpus.sample(5).where("target_lang = 'el-GR'").ids()
    assert sorted(greek) == sorted(every)


def test_unknown_column_is_one_clear_line(corpus):
    with pytest.raises(WorkbenchError, match="accent"):
        corpus.sample(3, by="acent")
