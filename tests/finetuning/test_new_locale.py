"""A locale that the base has no prompt for, and a tokenizer of its own: what is kept, what is said loudly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning.base import base_of, notices, read_base, untagged
from workbench.finetuning.checks import problems
from workbench.finetuning.run import prepare

pytestmark = pytest.mark.model


@pytest.fixture
def irish(recipe, corpus):
    """The tiny recipe for ga-IE, which is Italian here: only the tag counts."""
    rows = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    for row in rows:
        row["target_lang"] = row["target_lang"].replace("it-IT", "ga-IE")
    manifest = corpus.with_name("irish.jsonl")
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    sources = tuple(replace(source, manifest=str(manifest)) for source in recipe.sources)
    sources = (replace(sources[0], locales=("ga-IE",)), replace(sources[1], except_locales=("ga-IE",)))
    short = {"steps": 2, "warmup_steps": 1, "validation": (), "new_locales": ("ga-IE",)}
    return recipe.changed(sources=sources, **short)


def test_a_new_locale_gets_a_free_slot_and_the_others_keep_theirs(irish, tmp_path):
    from workbench.finetuning.worker import _run
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.widgets.monitor_data import snapshot
    from workbench.widgets.monitor_static import monitor_html

    assert problems(irish) == []
    before = read_base(irish.base)
    prompt_index = base_of(irish).prompts["ga-IE"]
    assert prompt_index not in before.prompts.values()
    assert any("no prompt for 'ga-IE'" in fault for fault in problems(irish.changed(new_locales=())))

    run = prepare(irish, tmp_path / "run")
    assert _run(run.folder) == "finished"
    shown = snapshot(run)
    assert any("no piece <ga-IE>" in line for line in shown["state"]["notices"])
    assert "no piece &lt;ga-IE&gt;" in monitor_html([shown])
    found = Checkpoint.open(run.checkpoint_path).info
    assert found.prompts == {**before.prompts, "ga-IE": prompt_index}
    assert "ga-IE" in found.locales
    assert "ga-IE" in set(run.consumed_hours()["target_lang"])


def test_its_transcripts_go_without_a_tag_that_the_tokenizer_lacks(irish):
    from workbench.finetuning import data, plan

    base = base_of(irish)
    assert untagged(irish, base) == {"ga-IE"}
    said = notices(irish, base)
    assert any("free prompt index" in line for line in said)
    assert any("no piece <ga-IE>" in line for line in said)
    sources = plan.read_training(irish, [])
    texts = []

    def tokenize(text):
        texts.append(text)
        return [1]

    batches = data.PlanBatches(
        plan.draw(irish, sources), sources, irish, tokenize, base.prompts, untagged=untagged(irish, base)
    )
    for _ in batches:
        pass
    assert any(text.endswith("<el-GR>") for text in texts)
    assert not any("ga-IE" in text for text in texts)


@pytest.mark.parametrize(
    ("tags", "message"),
    [(("ga_IE",), "no locale tag"), (("el-GR",), "has a prompt"), (("irish",), "no locale")],
)
def test_bad_new_locales_are_refused(irish, tags, message):
    assert any(message in fault for fault in problems(irish.changed(new_locales=tags)))


def test_no_slot_left_is_said(irish):
    base = read_base(irish.base)
    free = 128 - len(set(base.prompts.values()))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    tags = tuple(f"qq-{a}{b}" for a in letters for b in letters)[: free + 1]
    with pytest.raises(WorkbenchError, match=f"only {free} of 128"):
        base_of(irish.changed(new_locales=tags))


def test_a_new_tokenizer_says_loudly_that_it_resets_decoder_and_joint(recipe, corpus, tmp_path):
    import torch

    from tooling.starter import tokenizer
    from workbench.finetuning import model as models
    from workbench.finetuning.preflight import preflight

    texts = [json.loads(line)["text"] for line in corpus.read_text("utf-8").splitlines()]
    tokenizer.train(texts, tmp_path / "tokens", model_type="bpe", vocab_size=120)
    chosen = recipe.changed(tokenizer=str(tmp_path / "tokens"))
    assert any("RESETS DECODER AND JOINT" in line for line in preflight(chosen).warnings)
    assert not any("RESETS" in line for line in preflight(recipe).warnings)

    model = models.load(chosen, base_of(chosen), "cpu")
    old = models.load(recipe, read_base(recipe.base), "cpu")
    assert model.joint.num_classes_with_blank == 121
    assert old.joint.num_classes_with_blank == 131
    assert model.joint.fuse_loss_wer, "the loss of the new joint is the fast one too"
    kept, before = model.encoder.state_dict(), old.encoder.state_dict()
    assert all(torch.equal(kept[name], before[name]) for name in before)

    assert any("no tokenizer here" in fault for fault in problems(recipe.changed(tokenizer=str(tmp_path))))
    adapter = problems(chosen.changed(trains="adapter"))
    assert any("resets decoder and joint" in fault for fault in adapter)
