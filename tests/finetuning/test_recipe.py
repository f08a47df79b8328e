"""Recipes: read, written, refused in one line before NeMo is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning import PRESETS, Recipe, preset
from workbench.finetuning.checks import problems
from workbench.finetuning.recipe import noam_peak, noam_scale

pytestmark = pytest.mark.model  # the base checkpoint is built with NeMo


def test_yaml_round_trip(recipe, tmp_path):
    recipe.to_yaml(tmp_path / "recipe.yaml")
    assert Recipe.from_yaml(tmp_path / "recipe.yaml") == recipe


def test_a_good_recipe_has_no_faults(recipe):
    assert problems(recipe) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lerning_rate: 1e-4", "learning_rate"),
        ("steps: many", "not a int"),
        ("steps: 2.5", "not a int"),
        ("trains: everything", "encoder_frozen"),
        ("sources: [{manifest: m, wait: 1}]", "weight"),
        ("augmentation: {speed: [1]}", "speeds"),
        ("schema_version: 9", "schema_version"),
    ],
)
def test_faulty_fields_are_named(text, message, tmp_path):
    path = tmp_path / "recipe.yaml"
    lines = ["name: a", "base: b.nemo", "sources: [{manifest: m}]"]
    kept = [line for line in lines if line.split(":")[0] != text.split(":")[0]]
    path.write_text("\n".join([*kept, text]))
    with pytest.raises(WorkbenchError, match=message):
        Recipe.from_yaml(path)


def test_numbers_that_yaml_reads_as_text(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\nbase: b\nsources: [{manifest: m}]\nlearning_rate: 1e-4\n")
    assert Recipe.from_yaml(path).learning_rate == 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.1}, "Noam scale"),
        ({"learning_rate": 1e-8}, "no peak learning rate"),
        ({"warmup_steps": 12}, "warmup_steps"),
        ({"steps": 0}, "steps"),
        ({"batch_s": 4.0}, "do not fit"),
        ({"base": "missing.nemo"}, "missing.nemo"),
        ({"lookahead_ms": 123}, "123 ms"),
        ({"temperature": 2.0}, "temperature"),
        ({"sources": ()}, "nothing to train on"),
    ],
)
def test_bad_values_are_refused(recipe, changes, message):
    faults = problems(recipe.changed(**changes))
    assert any(message in fault for fault in faults), faults
    assert all("\n" not in fault for fault in faults)


def test_bad_data_is_refused(recipe, corpus, tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    rows = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    lost = tmp_path / "lost.jsonl"
    lost.write_text("".join(json.dumps(row) + "\n" for row in rows))  # the audio lies elsewhere
    source, validation = recipe.sources[0], recipe.validation[0]
    cases = {
        "no such manifest": {"sources": (replace(source, manifest=str(tmp_path / "none.jsonl")),)},
        "no usable row": {"sources": (replace(source, manifest=str(empty), locales=()),)},
        "no prompt for 'xx-XX'": {"sources": (replace(source, locales=("xx-XX",)),)},
        "audio files are missing": {"sources": (replace(source, manifest=str(lost)),)},
        "also trained on": {"validation": (replace(validation, split="train"),)},
        "no usable row of sv-SE": {"sources": (replace(source, locales=("el-GR", "sv-SE")),)},
    }
    for message, changes in cases.items():
        faults = problems(recipe.changed(**changes))
        assert any(message in fault for fault in faults), (message, faults)


def test_a_path_that_leaves_the_root_becomes_a_problem(recipe, corpus, tmp_path):
    from workbench.finetuning.rows import read_source

    row = json.loads(corpus.read_text("utf-8").splitlines()[0])
    row["audio_filepath"] = "../outside.wav"
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps(row) + "\n")
    problems = []
    source = replace(recipe.sources[0], manifest=str(manifest))
    assert read_source(source, ["el-GR"], problems, (0, 100)) == []
    assert [problem.field for problem in problems] == ["audio_filepath"]


REFUSED = {
    "unknown field 'lerning_rate'": lambda r, empty: {"lerning_rate": 1e-4},
    "no such checkpoint": lambda r, empty: {"base": "missing.nemo"},
    "no such manifest": lambda r, empty: {"sources": [{**r["sources"][0], "manifest": "missing.jsonl"}]},
    "no peak learning rate": lambda r, empty: {"learning_rate": 5.0},
    "no usable row": lambda r, empty: {
        "sources": [{**r["sources"][0], "manifest": str(empty), "locales": []}]
    },
    "no prompt for 'xx-XX'": lambda r, empty: {"sources": [{**r["sources"][0], "locales": ["xx-XX"]}]},
    "also trained on": lambda r, empty: {"validation": [{**r["validation"][0], "split": "train"}]},
}


def test_refusals_need_no_nemo(recipe, tmp_path):
    """Unknown field, missing file, absurd rate, empty manifest, unknown locale, shared sentences."""
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    paths = []
    for number, change in enumerate(REFUSED.values()):
        paths.append(tmp_path / f"{number}.yaml")
        values = recipe.to_dict()
        paths[-1].write_text(json.dumps({**values, **change(values, empty)}))  # JSON is YAML
    code = (
        "import sys; from workbench.finetuning import Recipe, start\n"
        "for path in sys.argv[2:]:\n"
        "    try: start(Recipe.from_yaml(path), sys.argv[1])\n"
        "    except ValueError as error: print(error)\n"
        "print('nemo' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "run", *paths], capture_output=True, text=True, check=True
    )
    *said, loaded = done.stdout.splitlines()
    assert loaded == "False False"
    assert len(said) == len(REFUSED)
    for message, line in zip(REFUSED, said, strict=True):
        assert message in line, (message, line)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("schedule", ["cosine", "noam", "constant"])
def test_stated_rates_are_those_of_nemos_schedulers(recipe, schedule):
    import torch
    from nemo.core.optim.lr_scheduler import get_scheduler

    from workbench.finetuning.model import optimizer

    chosen = recipe.changed(schedule=schedule, steps=20, warmup_steps=5, learning_rate=3e-4)
    config = optimizer(chosen, d_model=16)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=config["lr"])
    arguments = {key: value for key, value in config["sched"].items() if key != "name"}
    scheduler = get_scheduler(config["sched"]["name"])(optimizer, **arguments)
    seen = []
    for _ in range(20):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx([chosen.learning_rate_at(step) for step in range(20)])
    assert max(seen) == pytest.approx(chosen.effective_peak())
    assert max(seen) == pytest.approx(3e-4)


def test_noam_scale_is_not_a_rate():
    assert noam_peak(0.1, 1024, 100) == pytest.approx(3.1e-4, rel=0.01)
    assert noam_peak(1e-4, 1024, 10_000) < 1e-7
    assert noam_peak(noam_scale(3e-4, 640, 250), 640, 250) == pytest.approx(3e-4)


def test_presets_are_valid_but_for_the_device(base, corpus):
    for name in PRESETS:
        made = preset(name, str(base), str(corpus), "el-GR")
        assert problems(made) == [], name
    with pytest.raises(WorkbenchError, match="quick_cpu"):
        preset("fast", str(base), str(corpus), "el-GR")


def test_the_same_sentence_in_another_language_is_no_leak(recipe, corpus, tmp_path):
    lines = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    spanish = {**lines[0], "id": "es", "target_lang": "en-US", "text": "Un polo.", "split": "train"}
    same = {**lines[0], "id": "same", "target_lang": "it-IT", "text": "Un polo.", "split": "train"}
    tested = {**lines[0], "id": "ca", "target_lang": "it-IT", "text": "Un polo.", "split": "validation"}
    for extra, leaks in ((spanish, False), (same, True)):
        path = tmp_path / "manifest.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in (*lines, extra, tested)), "utf-8")
        root = str(corpus.parent)
        sources = tuple(replace(s, manifest=str(path), audio_root=root) for s in recipe.sources)
        sets = tuple(replace(s, manifest=str(path), audio_root=root) for s in recipe.validation)
        found = problems(recipe.changed(sources=sources, validation=sets))
        assert any("also trained on" in fault for fault in found) == leaks, found
