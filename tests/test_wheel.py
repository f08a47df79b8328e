"""The wheel: installed into an empty environment, away from the checkout, it makes a project and opens it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
import wave
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LISTED = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").iterdir() if path.suffix in (".ipynb", ".yaml"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from what git holds."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    names = subprocess.run(
        [*LISTED, "workbench", "notebooks", "setup.py", "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in names:
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(out),
        ".",
    ]
    subprocess.run(pip, cwd=tree, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel; the libraries it needs are lent by a path file, without the checkout."""
    folder = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--no-deps", "-q", str(wheel)], check=True)
    place = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    lent = sysconfig.get_path("purelib")
    # A plain path, not site.addsitedir: path files in there would bring the checkout in.
    (Path(place) / "lent.pth").write_text(lent + "\n")
    return folder


def run(installed, *words, cwd, code=0, **environment):
    """A command of the environment, from a folder outside of the checkout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "PYTHON"))}
    done = subprocess.run(
        [str(installed / "bin" / words[0]), *map(str, words[1:])],
        cwd=cwd, capture_output=True, text=True, env={**clean, "HOME": str(cwd), **environment},
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-3000:]
    return done.stdout


def test_the_wheel_holds_code_and_notebooks_and_no_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"workbench/notebooks/{name}" for name in NOTEBOOKS} <= set(names)
    assert any(name.startswith("workbench/widgets/js/vendor/") for name in names)
    top = {name.partition("/")[0] for name in names}
    assert top == {"workbench", next(name for name in top if name.endswith(".dist-info"))}
    assert not [name for name in names if name.endswith((".ogg", ".nemo", ".wav", ".jsonl"))]


def test_without_the_checkout_it_imports_and_says_that_there_is_no_starter(installed, tmp_path):
    code = "import workbench as wb; print(wb.__file__); [getattr(wb, name) for name in wb.__all__]"
    place = run(installed, "python", "-c", code, cwd=tmp_path).strip()
    assert str(installed) in place
    code = "import workbench as wb\ntry: wb.starter()\nexcept wb.WorkbenchError as error: print(error)"
    told = run(installed, "python", "-c", code, cwd=tmp_path)
    assert "there is no starter here" in told
    assert "import_corpus" in told
    assert "WORKBENCH_DATA" in told


def test_init_makes_a_project_on_ones_own_data(installed, tmp_path):
    told = json.loads(run(installed, "workbench", "init", "my-pilot", "--json", cwd=tmp_path))
    folder = tmp_path / "my-pilot"
    assert told["starter"] is False
    assert sorted(path.name for path in (folder / "notebooks").iterdir()) == sorted(
        [*NOTEBOOKS, "own_recordings.ipynb"]
    )
    assert (folder / "workspace" / "workspace.toml").is_file()
    (folder / "notebooks" / "01_curate.ipynb").write_text("mine")
    again = json.loads(run(installed, "workbench", "init", "my-pilot", "--json", cwd=tmp_path))
    assert again["made"] == []
    assert (folder / "notebooks" / "01_curate.ipynb").read_text() == "mine"


def test_recordings_stay_out_of_git(installed, tmp_path):
    run(installed, "workbench", "init", "p", cwd=tmp_path)
    folder = tmp_path / "p"
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for name in (
        "calls/a.wav",
        "calls/manifest.jsonl",
        "b.FLAC",
        "workspace/x.txt",
        "notes.md",
        "tuned.nemo",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    subprocess.run(["git", "-C", str(folder), "add", "."], check=True)
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-files"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "notes.md" in listed
    assert not [name for name in listed if name.startswith(("calls", "workspace")) or name[0] in "bt"]


def test_own_recordings_go_through_the_notebook(installed, tmp_path):
    run(installed, "workbench", "init", "p", cwd=tmp_path)
    folder = tmp_path / "p"
    (folder / "calls").mkdir()
    for number in range(6):
        with wave.open(str(folder / "calls" / f"{number}.wav"), "wb") as sound:
            sound.setparams((1, 2, 16000, 0, "NONE", ""))
            sound.writeframes(bytes([number, 1]) * 16000)
        (folder / "calls" / f"{number}.txt").write_text(f"This is call number {number}.")
    book = json.loads((folder / "notebooks" / "own_recordings.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    code = "\n".join(cells).replace("path/to/recordings", "calls").replace("locale=None", 'locale="en-US"')
    out = run(installed, "python", "-c", f"{code}\nprint(len(corpus), ws.path)", cwd=folder)
    assert out.split() == ["6", str(folder / "workspace")]
    assert list((folder / "workspace" / "exports" / "calls").glob("*.jsonl"))


def test_with_the_starter_the_project_holds_it(installed, tmp_path):
    data = ROOT / "data"
    if not (data / "checkpoint" / "starter.nemo").is_file():
        pytest.fail("the checkout has lost its starter")
    told = json.loads(
        run(installed, "workbench", "init", "p", "--json", cwd=tmp_path, WORKBENCH_DATA=str(data))
    )
    assert told["starter"] is True
    code = (
        "import workbench as wb; ws = wb.starter(); print(len(ws.corpus('starter')), wb.starter_manifest())"
    )
    # The workspace has it by now: the data need not be named again.
    out = run(installed, "python", "-c", code, cwd=tmp_path / "p")
    assert out.split() == ["6845", str(data / "starter" / "manifest.jsonl")]


def test_lab_opens_the_project(installed, tmp_path):
    run(installed, "workbench", "init", "p", cwd=tmp_path)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "PYTHON"))}
    server = subprocess.Popen(
        [str(installed / "bin" / "workbench"), "lab", "--port", "0"], cwd=tmp_path / "p", text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**clean, "HOME": str(tmp_path), "JUPYTERLAB_DIR": f"{sys.prefix}/share/jupyter/lab"},
    )  # fmt: skip
    try:
        address, end = None, time.monotonic() + 180
        while address is None and time.monotonic() < end and server.poll() is None:
            address = re.search(r"http://127\.0\.0\.1:\d+/lab\S+", server.stdout.readline())
        assert address, "no address printed"
        found = re.sub(r"/lab/tree/[^?]*", "/api/contents/notebooks", address[0])
        listed = json.loads(urllib.request.urlopen(found, timeout=60).read())
        assert {entry["name"] for entry in listed["content"]} == {*NOTEBOOKS, "own_recordings.ipynb"}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def test_outside_of_a_project_lab_says_what_to_do(installed, tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "PYTHON"))}
    done = subprocess.run(
        [str(installed / "bin" / "workbench"), "lab"], cwd=tmp_path, capture_output=True, text=True, env=clean
    )
    assert done.returncode == 2
    assert "workbench init" in done.stderr
