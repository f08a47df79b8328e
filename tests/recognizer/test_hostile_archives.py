"""Archives made to do harm are refused in one line, quickly, before anything is built; readers are fuzzed.

``make soak`` opens every one of them in a process of its own and goes on fuzzing for as long as
``WORKBENCH_SOAK_MINUTES`` says; what it counted is in ``docs/evidence/hostile-archives.json``.
"""

from __future__ import annotations

import contextlib
import io
import math
import multiprocessing
import os
import pickle
import random
import resource
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import hostile
import pytest
import yaml
from evidence import record
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.plain_data import Limits, parse_json, parse_yaml, read_bytes, read_yaml
from workbench.recognizer import config_rules
from workbench.recognizer.archive import Archive
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.shapes import read_state
from workbench.recognizer.torch_file import inspect

ALLOWED_S = 10.0
"""Of processor time for one archive; more counts as hung."""


def test_the_unchanged_starter_passes_and_reaches_nemo_whole():
    held = hostile.config()
    passed = config_rules.for_nemo(config_rules.check(held))
    for name in ("encoder", "decoder", "preprocessor", "spec_augment", "loss", "model_defaults"):
        assert passed[name] == held[name]
    assert passed["tokenizer"]["dir"] == ""
    assert set(held) - set(passed) == {"labels", "optim"}
    assert [place for place, _ in config_rules.parts(held)] == [
        *("preprocessor", "spec_augment", "encoder", "decoder", "joint"),
    ]


def test_every_placement_of_a_target_is_refused_by_the_place():
    count = 0
    for name, held in hostile.hostile_configs():
        count += 1
        with pytest.raises(WorkbenchError):
            pytest.fail(f"through: {name}") if config_rules.check(held) else None
    assert count > 400


def test_every_class_that_a_place_may_have_is_one_of_nemo():
    """Names that are accepted exist, so that the list cannot rot into names that someone else may give."""
    for names in config_rules.PLACES.values():
        assert all(name.startswith("nemo.") and name.rpartition(".")[2].isidentifier() for name in names)
    allowed = hostile.config()
    allowed["encoder"]["_target_"] = "nemo.collections.asr.modules.conformer_encoder.ConformerEncoderAdapter"
    strategy = {"_target_": "nemo.core.classes.mixins.adapter_mixin_strategies.ResidualAddAdapterStrategy"}
    linear = {"_target_": "nemo.collections.common.parts.adapter_modules.LinearAdapter", "dim": 8}
    allowed["adapters"] = {"mine": {**linear, "adapter_strategy": strategy}}
    config_rules.check(allowed)
    for wrong in (
        {"mine": {**linear, "adapter_strategy": linear}},
        {"mine": strategy},
        {"mine": {**linear, "deeper": {"adapter_strategy": strategy}}},
        {"_target_": linear["_target_"]},
        {"mine": [linear]},
    ):
        with pytest.raises(WorkbenchError):
            config_rules.check({**allowed, "adapters": wrong})


def test_prompts_sizes_and_tokenizers_beyond_their_limits(tmp_path):
    for name, held in hostile.unfit_configs():
        path = tmp_path / "x.nemo"
        hostile.packed(path, {"model_config.yaml": yaml.safe_dump(held, sort_keys=False).encode()})
        refused(name, path)


def refused(name: str, path: Path) -> None:
    begin = time.process_time()
    with pytest.raises(WorkbenchError) as caught:
        pytest.fail(f"through: {name}: {Checkpoint.open(path)}")
    said = str(caught.value)
    assert "\n" not in said, name
    assert path.name in said, f"{name}: {said}"
    assert time.process_time() - begin < ALLOWED_S, name


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_texts_weights_and_tars(tmp_path):
    path = tmp_path / "x.nemo"
    for name, text in hostile.texts():
        hostile.packed(path, {"model_config.yaml": text})
        refused(name, path)
    for name, data in hostile.weights():
        hostile.packed(path, {"model_weights.ckpt": data})
        refused(name, path)
    for name, write in hostile.tars():
        write(path)
        refused(name, path)


def test_pipes_devices_and_folders_are_no_checkpoints_and_no_settings(tmp_path):
    os.mkfifo(tmp_path / "pipe.nemo")
    for path in (tmp_path / "pipe.nemo", Path("/dev/zero"), tmp_path):
        for call in (Archive, read_yaml, lambda p: read_bytes(p, 10)):
            with pytest.raises(WorkbenchError, match="not a regular file"):
                call(path)
    (tmp_path / "large.yaml").write_bytes(bytes(2 << 20))
    with pytest.raises(WorkbenchError, match="larger than 1,048,576 bytes"):
        read_yaml(tmp_path / "large.yaml")


def test_what_changes_after_inspection_is_not_loaded(tmp_path):
    path, folder = tmp_path / "x.nemo", tmp_path / "out"
    folder.mkdir()
    path.write_bytes(hostile.STARTER.read_bytes())
    archive = Archive(path)
    archive.unpack(folder)
    with tarfile.open(path) as tar:
        for member in tar:
            name = Path(member.name).name
            if member.isfile() and name != "model_config.yaml":
                assert (folder / name).read_bytes() == tar.extractfile(member).read()
    with path.open("r+b") as file:
        file.seek(-2000, 2)
        file.write(b"\1")
    with pytest.raises(WorkbenchError, match="has changed since it was opened"):
        archive.unpack(folder)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(plain)
def test_what_yaml_writes_is_read_as_omegaconf_reads_it(value):
    from omegaconf._utils import get_yaml_loader

    text = yaml.safe_dump({"a": value}, allow_unicode=True)
    found = parse_yaml(text, limits=Limits(depth=60))
    assert repr(found) == repr(yaml.load(text, Loader=get_yaml_loader()))


SCRAPS = st.sampled_from(
    [
        *("a: 1\n", "- x\n", "&a ", "*a", "<<: ", "!!python/name:os.system ", "{", "}", "[", "]", "? ", ": "),
        *("'", '"', "|\n", "---\n", "1e5", "0x", "1:59", ".inf", "\t", "\ud800", "\x00", "\n  ", "#"),
        *("%TAG ! x\n", "!!set ", "~", "...\n", ">-\n", ",", "=", "@", "`", "9" * 70),
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(SCRAPS | st.text(max_size=4), max_size=40).map("".join) | st.binary(max_size=200))
def test_any_text_is_a_plain_value_or_one_line(text):
    for read in (parse_yaml, parse_json):
        said = ""
        try:
            read(text)
        except WorkbenchError as error:
            said = str(error)
        assert "\n" not in said


PIECES = st.sampled_from(
    [
        *(data for _, data in hostile.pickles() if len(data) < 2000),
        *(
            b"}",
            b"(",
            b")",
            b"]",
            b"t",
            b"d",
            b"u",
            b"s",
            b"e",
            b"R",
            b"b",
            b".",
            b"q\x00",
            b"h\x00",
            b"K\x01",
        ),
        hostile.TENSOR,
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300) | st.lists(PIECES, max_size=12).map(b"".join))
def test_any_pickle_is_shapes_or_refused(data):
    with contextlib.suppress(UnpicklingError):
        read_state(data)


def test_hostile_adapters_are_one_line(tmp_path):
    import torch

    from workbench.finetuning import adapters

    path, weight = tmp_path / "a.pt", {"encoder.layers.0.adapter_layer.workbench.w": torch.zeros(2)}
    good = {"schema_version": 1, "base_sha256": "x", "dim": 2, "weights": weight}
    torch.save(good, path)
    assert adapters.read(path).parameters == 2
    for change in (
        *({"schema_version": 2}, {"schema_version": "1"}, {"base_sha256": None}, {"weights": []}),
        *({"dim": True}, {"dim": 10**9}, {"dim": -1}),
        *({"weights": {"encoder.pre_encode.w": torch.zeros(2)}}, {"weights": {3: torch.zeros(2)}}),
        *({"weights": dict.fromkeys(weight, bad)} for bad in (1, torch.zeros(2, dtype=torch.int64))),
        {"weights": dict.fromkeys(weight, torch.eye(2).to_sparse())},
    ):
        torch.save({**good, **change}, path)
        with pytest.raises(WorkbenchError, match="adapter"):
            adapters.read(path)
    for data in [data for _, data in hostile.weights()] + [b"", os.urandom(300)]:
        path.write_bytes(data)
        with pytest.raises(WorkbenchError) as caught:
            adapters.read(path)
        assert "\n" not in str(caught.value)


# What make soak runs.


def _open(path: str, answers: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(ALLOWED_S), int(ALLOWED_S)))
    try:
        Checkpoint.open(path)
        answers.send(("through", ""))
    except WorkbenchError as error:
        answers.send(("raw" if "\n" in str(error) else "refused", str(error)))
    except BaseException as error:
        answers.send(("raw", repr(error)[:200]))


def outcome(path: Path) -> tuple[str, str, float]:
    """refused, through, raw or hung; what was said; seconds."""
    mine, other = multiprocessing.Pipe(False)
    process = multiprocessing.get_context("fork").Process(target=_open, args=(str(path), other))
    begin = time.perf_counter()
    process.start()
    other.close()
    try:
        found = mine.recv() if mine.poll(20 * ALLOWED_S) else ("hung", "")
    except EOFError:
        found = ("hung", "ended by its limit")
    process.kill()
    process.join()
    return *found, time.perf_counter() - begin


def fuzzed(seconds: float, rng: random.Random) -> dict[str, Any]:
    """The starter's configuration and pickle with bytes changed, cut and spliced, until the time is over."""
    text = yaml.safe_dump(hostile.config(), sort_keys=False).encode()
    with tarfile.open(hostile.STARTER) as tar:
        member = next(m for m in tar if m.name.endswith("model_weights.ckpt"))
        weights = tar.extractfile(member).read()
    with io.BytesIO(weights) as held:
        inspect(held)
    with zipfile.ZipFile(io.BytesIO(weights)) as held:
        state = held.read(next(n for n in held.namelist() if n.endswith("data.pkl")))
    counts: Counter[str] = Counter()
    slowest, end = 0.0, time.monotonic() + seconds
    readers: list[tuple[str, bytes, Callable[[bytes], Any], type[Exception]]] = [
        ("yaml", text, lambda data: config_rules.check(parse_yaml(data)), WorkbenchError),
        ("pickle", state[:6000], read_state, UnpicklingError),
        ("pickle", state, read_state, UnpicklingError),
        ("zip", hostile.zipped(pickle.dumps({}, 2)), lambda data: inspect(io.BytesIO(data)), UnpicklingError),
    ]
    while time.monotonic() < end:
        kind, data, read, error = rng.choice(readers)
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            place, length = rng.randrange(len(changed)), int(2 ** rng.uniform(0, 8))
            how = rng.randrange(4)
            if how == 0:
                changed[place] = rng.randrange(256)
            elif how == 1:
                del changed[place : place + length]
            elif how == 2:
                changed[place:place] = changed[place : place + length] * rng.choice((1, 2, 50))
            else:
                source = rng.randrange(len(data))
                changed[place:place] = data[source : source + length]
            if not changed:
                changed = bytearray(b"\0")
        begin = time.process_time()
        try:
            read(bytes(changed))
            counts[f"{kind} read"] += 1
        except error:
            counts[f"{kind} refused"] += 1
        except BaseException as fault:
            counts[f"{kind} raw"] += 1
            counts[f"raw: {type(fault).__name__}"] += 1
        slowest = max(slowest, time.process_time() - begin)
    return {**dict(sorted(counts.items())), "slowest_s": round(slowest, 3)}


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_soak_hostile_archives(tmp_path):
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    longest, faults, path = 0.0, [], tmp_path / "x.nemo"
    for name, write in hostile.made():
        write(path)
        found, said, seconds = outcome(path)
        counts[found] += 1
        kinds[name.partition(":")[0]] += 1
        longest = max(longest, seconds)
        if found != "refused":
            faults.append(f"{name}: {found} {said}")
    minutes = float(os.environ.get("WORKBENCH_SOAK_MINUTES", "60"))
    fuzz = fuzzed(60 * minutes, random.Random(20))
    record(
        "hostile-archives",
        Checkpoint.open(hostile.STARTER),
        {
            "command": "make soak (tests/recognizer/test_hostile_archives.py)",
            "tried": sum(counts.values()),
            **{name: counts[name] for name in ("refused", "raw", "hung", "through")},
            "kinds": dict(kinds),
            "longest_s": round(longest, 2),
            "faults": faults,
            "fuzz_minutes": minutes,
            "fuzz": fuzz,
        },
    )
    assert not faults
    assert not [name for name in fuzz if "raw" in name]
    assert math.isfinite(longest)
    assert fuzz["slowest_s"] < ALLOWED_S
