"""The public face: one class a noun, every argument named, a misspelled keyword refused by name."""

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import workbench as wb
from workbench.evaluation import Evaluation, score_predictions
from workbench.signatures import public, takes_fields

ROOT = Path(__file__).resolve().parents[1]
REACHED = {
    "capacity.choice": ["Choice"],
    "capacity.measurement": ["Budget"],
    "corpus.export.export": ["Export"],
    "corpus.review.decisions": ["DecisionStore"],
    "evaluation.boosted": ["KeywordBoost"],
    "evaluation.rates": ["Settings", "Thresholds"],
    "field.baseline": ["Baseline"],
    "field.proposals": ["Proposal"],
    "finetuning.preflight": ["Preflight"],
    "finetuning.registry": ["Registry"],
    "privacy.erasure": ["Certificate", "ErasurePlan"],
    "recognizer.checkpoint_info": ["CheckpointInfo"],
    "recognizer.streaming": ["Session"],
    "release.bundle": ["Bundle"],
    "release.pipeline": ["Outcome"],
    "release.retraining_schedule": ["RetrainingStatus"],
    "widgets.board": ["Board"],
    "widgets.explorer": ["Explorer"],
    "widgets.import_plan": ["PlanEditor"],
    "widgets.lineage": ["Lineage"],
    "widgets.microphone": ["Microphone"],
    "widgets.monitor": ["Monitor"],
    "widgets.overview": ["Overview"],
    "widgets.playback": ["Playback"],
    "workspace.ledger": ["Ledger"],
    "workspace.settings": ["Config", "Pilot", "PilotLocale", "SourceTerms"],
}
"""What the public calls hand out or take, besides the names of ``wb`` itself."""


def objects():
    """(name, object) of every public function and class, and of the functions of public modules."""
    for name in wb.__all__:
        found = getattr(wb, name)
        if inspect.ismodule(found):
            for inner in found.__all__:
                yield f"{name}.{inner}", getattr(found, inner)
        elif inspect.isclass(found) or inspect.isfunction(found):
            yield name, found
    for module, names in REACHED.items():
        for name in names:
            yield name, getattr(importlib.import_module(f"workbench.{module}"), name)


def ours(cls, name):
    """Whether a member of a class is defined in this package, not in one that it builds on."""
    owner = next((c for c in cls.__mro__ if name in vars(c)), None)
    return owner is not None and owner.__module__.startswith("workbench.")


def callables():
    """(name, callable) of every public function, constructor and method; properties by their getter."""
    for name, found in objects():
        if not inspect.isclass(found):
            yield name, found
            continue
        if ours(found, "__init__"):
            yield name, found.__init__
        for inner in dir(found):
            if inner.startswith("_") or not ours(found, inner):
                continue
            member = inspect.getattr_static(found, inner)
            if isinstance(member, classmethod | staticmethod):
                yield f"{name}.{inner}", member.__func__
            elif isinstance(member, property):
                yield f"{name}.{inner}", member.fget
            elif inspect.isfunction(member):
                yield f"{name}.{inner}", member


CALLABLES = dict(callables())
KEYWORDS = [
    (name, parameter.name)
    for name, function in CALLABLES.items()
    for parameter in inspect.signature(function).parameters.values()
    if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    and parameter.name not in ("self", "cls")
    and len(parameter.name) > 2
]


@pytest.mark.parametrize("name", CALLABLES)
def test_every_argument_is_named_typed_and_told(name):
    function = CALLABLES[name]
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        assert parameter.kind is not parameter.VAR_KEYWORD, f"{name} hides its arguments: **{parameter.name}"
        if parameter.name not in ("self", "cls"):
            assert parameter.annotation is not parameter.empty, f"{name}: {parameter.name} has no type"
    if not name.rpartition(".")[2][:1].isupper():
        assert signature.return_annotation is not signature.empty, f"{name} does not say what it returns"
        assert inspect.getdoc(function), f"{name} has no docstring"


def test_every_public_class_has_a_docstring_of_its_own():
    for name, found in objects():
        if inspect.isclass(found):
            assert found.__doc__, name
            assert not found.__doc__.startswith(f"{found.__name__}("), f"{name}: only what dataclasses write"


def misspelled(word):
    """Each way to double or drop one letter, as fingers do."""
    yield word[0] + word[0] + word[1:]
    for place in range(1, len(word)):
        yield word[:place] + word[place + 1 :]


@pytest.mark.parametrize(("name", "keyword"), KEYWORDS, ids=[f"{n}-{k}" for n, k in KEYWORDS])
def test_a_misspelled_keyword_names_the_right_one(name, keyword):
    function = CALLABLES[name]
    taken = set(inspect.signature(function).parameters)
    for wrong in misspelled(keyword):
        if wrong in taken or len(wrong) < 3:
            continue
        with pytest.raises(TypeError) as caught:
            function(**{wrong: None})
        told = str(caught.value)
        assert repr(wrong) in told
        near = told.partition("Did you mean ")[2].rstrip("?")
        assert near in taken, told
        assert near == keyword or abs(len(near) - len(wrong)) <= 1, told


def test_a_misspelled_pseudonymize_writes_nothing(tmp_path):
    """It once wrote a real speaker's name: the option was passed on and swallowed."""
    source = tmp_path / "m.jsonl"
    row = {
        "audio_filepath": "a.wav",
        "duration": 1.0,
        "text": "Hi.",
        "target_lang": "en-US",
        "speaker": "Ann",
    }
    source.write_text(json.dumps({**row, "speaker": "Ann"}) + "\n")
    corpus = wb.Workspace(tmp_path / "ws").import_corpus("calls", source, require_audio=False)
    corpus.accept()
    with pytest.raises(TypeError, match="Did you mean pseudonymize"):
        corpus.export(tmp_path / "out", pseudonymise=True)
    assert not (tmp_path / "out").exists()
    made = corpus.export(tmp_path / "out", pseudonymize=True)
    written = "".join((made.path / name).read_text("utf-8") for name in made.files.values())
    assert "speaker-" in written
    assert "Ann" not in written


@public
@takes_fields(wb.Condition)
def with_condition(base: wb.Condition, **changes: object) -> dict[str, object]:
    """For the tests below."""
    return changes


def test_fields_of_a_dataclass_stand_in_the_signature():
    parameters = inspect.signature(with_condition).parameters
    assert list(parameters)[:2] == ["base", "snr_db"]
    assert parameters["snr_db"].annotation == "float | None"
    assert repr(parameters["snr_db"].default) == "unchanged"
    assert with_condition(wb.Condition(), snr_db=3) == {"snr_db": 3}
    with pytest.raises(TypeError, match="Did you mean snr_db"):
        with_condition(wb.Condition(), snr=3)


def test_one_class_a_noun():
    """Every class that the calls hand out has one name, and no other class of that name stands beside it."""
    seen = {}
    for path in (ROOT / "workbench").rglob("*.py"):
        if path.parent.name == "widgets":
            continue
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("class "):
                seen.setdefault(line[6:].partition("(")[0].partition(":")[0], []).append(path.name)
    nouns = [name for name, found in objects() if inspect.isclass(found)]
    assert {name: seen[name] for name in nouns if len(seen.get(name, [])) > 1} == {}


def test_the_notebooks_import_nothing_else():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                source = "".join(cell["source"])
                assert "from workbench" not in source, path.name
                assert source.count("import workbench") == source.count("import workbench as wb"), path.name


def test_importing_is_quick():
    """In CPU time, best of five: half a second at most, nothing heavy; the workspace loads no torch."""
    code = (
        "import sys, time; t = time.process_time(); import workbench as wb; t = time.process_time() - t; "
        "heavy = ('numpy', 'pandas', 'pyarrow', 'duckdb', 'torch', 'nemo', 'ray', 'IPython', 'anywidget'); "
        "found = [m for m in heavy if m in sys.modules]; wb.Workspace; wb.Corpus; "
        "print(t, found + [m for m in heavy[4:] if m in sys.modules])"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(5)]
    found = [run.stdout.split(" ", 1) for run in runs]
    assert {heavy.strip() for _, heavy in found} == {"[]"}
    assert min(float(seconds) for seconds, _ in found) < 0.5


def scored() -> Evaluation:
    rows = pd.DataFrame({"id": ["a", "b"], "text": ["one two", "three"], "target_lang": ["en-US", "el-GR"]})
    return score_predictions(rows, {"base": pd.DataFrame({"id": ["a", "b"], "hypothesis": ["one", "three"]})})


def test_an_evaluation_with_other_settings_still_has_its_explorer():
    found = scored().with_settings(resamples=50)
    assert found.settings.resamples == 50
    explorer = found.explorer()
    assert "el-GR" in explorer.static_html()
    explorer.close()


def test_a_workspace_says_what_it_is(tmp_path):
    said = repr(wb.Workspace(tmp_path / "ws")).splitlines()[0]
    assert said == f"Workspace {tmp_path / 'ws'}: 0 corpora, 0 checkpoints, 0 runs; overview() says more."


@pytest.mark.parametrize(
    "made",
    ["corpus.board(sort=1)", "Board(corpus, sort=1)", "Board(None)", "Monitor([])", "Explorer(None)",
     "Microphone(None)", "Playback(None, 1)", "Lineage(None)"],
)  # fmt: skip
def test_a_widget_that_could_not_be_made_leaves_nothing_behind(made):
    """Python said "Exception ignored" of each, since what was never begun was closed."""
    widgets = ("board", "explorer", "microphone", "monitor", "playback", "lineage")
    code = "".join(f"from workbench.widgets.{name} import {name.capitalize()}\n" for name in widgets)
    code += (
        "import gc, workbench as wb\ncorpus = wb.Corpus.__new__(wb.Corpus)\n"
        f"try: {made}\nexcept Exception as error: print(type(error).__name__)\ngc.collect()\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith(("Error",))
    assert "Exception ignored" not in found.stderr
