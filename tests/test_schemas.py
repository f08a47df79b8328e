"""Recipes, policies and settings: published schemas, old keys, faults that name line and nearest key."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
import yaml

import workbench as wb
from tooling.schemas import FOLDER, schemas
from workbench.errors import WorkbenchError
from workbench.finetuning.presets import PRESETS
from workbench.finetuning.recipe import Augmentation, Source, ValidationSet
from workbench.locales import Locale
from workbench.release.policy import OPTIONS, Policy
from workbench.workspace.settings import LocaleTable, RetrainingSchedule, load_file

ROOT = Path(__file__).resolve().parents[1]
RECIPE = {"name": "x", "base": "b.nemo", "sources": [{"manifest": "m.jsonl"}]}
REQUIRED = {
    "keywords": {"words": ["a"]}, "latency": {"p95_ms": 1}, "memory": {"maximum_mib": 1},
    "terms": {"licenses": ["CC0-1.0"]},
}  # fmt: skip


@pytest.mark.parametrize("name", schemas())
def test_the_published_schema_is_of_now(name):
    assert json.loads((FOLDER / name).read_text("utf-8")) == json.loads(json.dumps(schemas()[name])), (
        "write it anew: python -m tooling.schemas"
    )
    jsonschema.Draft202012Validator.check_schema(schemas()[name])


def test_what_the_house_writes_fits_its_schemas(tmp_path):
    for name in PRESETS:
        made = wb.preset(name, "b.nemo", "m.jsonl", "el-GR")
        jsonschema.validate(yaml.safe_load(made.to_yaml()), schemas()["recipe.schema.json"])
    policy = yaml.safe_load((ROOT / "notebooks" / "policy.yaml").read_text("utf-8"))
    jsonschema.validate(policy, schemas()["policy.schema.json"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"checks": [{"kind": "erasure", "margin": 1}]}, schemas()["policy.schema.json"])


def misspelled(name):
    """One letter more in the middle."""
    return name[: len(name) // 2] + name[len(name) // 2 - 1] + name[len(name) // 2 :]


def fault(call, *given):
    with pytest.raises(WorkbenchError) as caught:
        call(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


NESTED = [
    *(((), f.name) for f in fields(wb.Recipe)),
    *((("sources", 0), f.name) for f in fields(Source)),
    *((("validation", 0), f.name) for f in fields(ValidationSet)),
    *((("augmentation",), f.name) for f in fields(Augmentation)),
]


@pytest.mark.parametrize(("place", "name"), NESTED)
def test_a_misspelled_field_of_a_recipe_names_line_and_right_one(tmp_path, place, name):
    values = json.loads(json.dumps({**RECIPE, "validation": [{"manifest": "v.jsonl"}], "augmentation": {}}))
    held = values
    for part in place:
        held = held[part]
    wrong = misspelled(name)
    held[wrong] = 1
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    told = fault(wb.Recipe.from_yaml, path)
    assert f"unknown field {wrong!r}" in told
    assert f"Did you mean {name}?" in told
    number = 1 + next(i for i, line in enumerate(path.read_text().splitlines()) if f"{wrong}:" in line)
    assert told.startswith("recipe.yaml:"), told
    assert abs(int(told.partition(":")[2].split()[0].rstrip(":")) - number) <= len(values), told


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_misspelled_option_of_a_check_names_the_right_one(kind):
    for option in (*OPTIONS[kind], "name"):
        if option in REQUIRED.get(kind, {}):
            continue
        check = {"kind": kind, **REQUIRED.get(kind, {}), misspelled(option): 1}
        told = fault(Policy.from_yaml, yaml.safe_dump({"checks": [{"kind": "erasure"}, check]}))
        assert f"Did you mean {option}?" in told
        assert "check 2" in told


@pytest.mark.parametrize("name", [f.name for f in fields(RetrainingSchedule)])
def test_a_misspelled_setting_names_line_and_right_one(tmp_path, name):
    path = tmp_path / "workspace.toml"
    path.write_text(f"slots = 2\n\n[retraining_schedule]\n{misspelled(name)} = 1\n")
    told = fault(load_file, path)
    assert told.startswith("workspace.toml:")
    assert f"Did you mean {name}?" in told


def test_a_locale_table_has_the_fields_of_a_locale():
    named = [f.name for f in fields(Locale) if f.name != "tag"]
    assert sorted(f.name for f in fields(LocaleTable)) == sorted(named)
    defaults = {
        f.name: f.default for f in fields(Locale) if f.name in ("script", "direction", "marks", "cased")
    }
    assert {f.name: f.default for f in fields(LocaleTable) if f.name in defaults} == defaults


def test_wrong_kinds_say_so(tmp_path):
    cases = {
        "steps": ("many", "'many' is not a int"),
        "train_subsampling": ("yes please", "is not a bool"),
        "schedule": ("linear", "One of cosine, noam, constant"),
        "sources": ("m.jsonl", "expected a list"),
        "augmentation": (3, "expected a mapping"),
    }
    for name, (value, says) in cases.items():
        told = fault(wb.Recipe.from_dict, {**RECIPE, name: value}, "r.yaml")
        assert says in told, (name, told)
        assert f"[{name}]" in told
    assert "field 'base' is missing" in fault(wb.Recipe.from_dict, {"name": "x", "sources": []})
    # What YAML invites to write is taken for what it means.
    made = wb.Recipe.from_dict({**RECIPE, "learning_rate": "1e-4", "precision": 32, "steps": 5.0, "name": 7})
    assert (made.learning_rate, made.precision, made.steps, made.name) == (1e-4, "32", 5, "7")
    assert "is not a int" in fault(wb.Recipe.from_dict, {**RECIPE, "steps": True})


def test_old_keys_keep_loading(tmp_path):
    path = tmp_path / "workspace.toml"
    path.write_text('normaliser = "raw"\n[cadence]\ndays = 7\nslipped = 0.05\n')
    found = load_file(path)
    assert found.normalizer == "raw"
    assert found.retraining_schedule == RetrainingSchedule(days=7, regressed=0.05)
    path.write_text('[source.cadence]\nlicense = "CC0-1.0"\n')
    assert list(load_file(path).sources) == ["cadence"]  # a name that a team chose is no key of ours
    policy = Policy.from_yaml("checks:\n- kind: not_worse\n  normaliser: raw\n")
    assert policy.checks[0]["normalizer"] == "raw"


def test_findings_and_problems_of_before_keep_loading(tmp_path):
    source = tmp_path / "m.jsonl"
    row = {"audio_filepath": "a.wav", "duration": 1.0, "text": "Hi.", "target_lang": "en-US"}
    source.write_text(json.dumps(row) + "\n")
    corpus = wb.Workspace(tmp_path / "ws").import_corpus("calls", source, require_audio=False)
    old = {"file": "m.jsonl", "what": "no duration", "mend": "Write one.", "line": 3, "field": "duration"}
    (corpus.folder / "problems.jsonl").write_text(json.dumps(old) + "\n")
    assert corpus.problems[0].hint == "Write one."
