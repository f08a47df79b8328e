"""The house rules that no linter knows: quick import, one list of dependencies, clean notebooks."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_import_is_light():
    heavy = ["torch", "nemo", "pandas", "numpy", "IPython"]
    code = f"import sys, workbench; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_public_names_resolve():
    import workbench

    for name in workbench.__all__:
        assert getattr(workbench, name) is not None
    with pytest.raises(AttributeError):
        _ = workbench.no_such_thing


def test_wb_starter_is_a_plain_function(tmp_path):
    code = (
        f"import workbench as wb; ws = wb.starter({str(tmp_path / 'ws')!r}); "
        "print(len(ws.corpus('starter')), ws.checkpoint_names())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["6845", "['starter']"]


def test_conda_environment_installs_what_pyproject_says():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    python, pip, (extra,) = (
        environment["dependencies"][0],
        environment["dependencies"][1],
        environment["dependencies"][2:],
    )
    assert pip == "pip"
    assert "--editable .[dev]" in extra["pip"]
    assert "--constraint constraints.txt" in extra["pip"]
    from packaging.specifiers import SpecifierSet

    assert SpecifierSet(project()["project"]["requires-python"]).contains(
        python.removeprefix("python=") + ".0"
    )


def test_every_dependency_is_pinned_within_its_range():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    extras = project()["project"]["optional-dependencies"]
    wanted = project()["project"]["dependencies"] + extras["dev"] + extras["cluster"]
    for requirement in map(Requirement, wanted):
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} against the pin {version}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_thin_and_stripped(path):
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            assert cell["execution_count"] is None
            source = "".join(cell["source"])
            defined = [
                n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.ClassDef)
            ]
            assert not defined
            assert len(source.splitlines()) <= 14


def test_the_notebooks_are_in_order():
    names = [p.stem for p in NOTEBOOKS]
    rooms = ["00_start_here", "01_curate", "02_stream", "03_finetune", "04_errors", "05_release", "06_field"]
    assert names == [*rooms, "raw_calls", "your_data"]


def test_readme_names_only_what_exists():
    text = (ROOT / "README.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for target in re.findall(r"`make ([a-z]+)`", text):
        assert target in targets
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / path).exists(), path


def test_architecture_names_every_module():
    from tooling.module_map import PAGE, with_map

    text = PAGE.read_text("utf-8")
    assert text == with_map(text), "the map is old: python -m tooling.module_map"
    assert "(not described)" not in text


def test_architecture_points_at_what_exists():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = text.partition("## Where is")[2].partition("## Modules")[0]
    for path in re.findall(r"`([a-z_]+/[a-z_/]+(?:\.py|\.js)?)`", table):
        assert (ROOT / "workbench" / path).exists(), path


def imports(module):
    """The modules of this package that one imports: at its top, within functions, and for types alone."""
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in PACKAGE}
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from [name for name in (inner, node.module) if name in names][:1]


PACKAGE = [
    path
    for folder in ("workbench", "tooling")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != ROOT / "workbench" / "__init__.py"
]


def test_no_module_imports_one_that_imports_it():
    """No cycles, those within functions and those for types alone included."""
    named = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in PACKAGE
    }
    left = {name: set(imports(path)) - {name} for name, path in named.items()}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert not left, sorted(left)


MAY_BE_LATE = {
    "torch", "nemo", "ray", "lightning", "hydra", "omegaconf", "lhotse", "datasets", "onnx", "onnxruntime",
    "sherpa_onnx", "silero_vad", "transformers", "IPython", "ipykernel", "anywidget", "ipywidgets",
    "workbench",
}  # fmt: skip
"""What loads torch, NeMo, Ray, Jupyter or a runtime, and our own modules that do."""
LATE = {"lab.py", "cli", "release/smoke.py"}


def test_imports_stand_at_the_top():
    """Within functions stands only what takes seconds to load."""
    found = []
    for path in sorted((ROOT / "workbench").rglob("*.py")):
        at = path.relative_to(ROOT / "workbench").as_posix()
        if at in LATE or at.partition("/")[0] in LATE:
            continue
        for outer in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(outer):
                    if isinstance(node, ast.Import | ast.ImportFrom):
                        name = node.names[0].name if isinstance(node, ast.Import) else node.module or ""
                        if name.partition(".")[0] not in MAY_BE_LATE:
                            found.append(f"{at}:{node.lineno}: {name}")
    assert not found


def test_no_two_test_files_have_one_name():
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert not {name for name in names if names.count(name) > 1}


PRIVATE_WORDS = re.compile(
    r"\bmend(s|ed)?\b|[Dd]oubtful|seudonymis|\b[Rr]ecognis|too little to say|too few words to say"
    r"|half a character"
    r"|rows stay behind|no row is fit|is no source|reads badly|deserves? (most )?ears|painting waited"
    r"|the run is going|words in their capitals|Nothing to do again|stands in another split"
)
OLD_KEYS = {"errors.py": "mend", "signatures.py": "pseudonymise"}  # what is still read, or told of


def test_words_are_the_fields_own():
    """The private words of the first version stay out of code, messages, widgets, notebooks and docs."""
    found = []
    for folder in ("workbench", "notebooks", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".py", ".js", ".ipynb", ".md") or "vendor" in path.parts:
                continue
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if PRIVATE_WORDS.search(line) and OLD_KEYS.get(path.name, "\0") not in line:
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found
