"""Shapes of what torch saves, read without torch and without calling anything; all else is refused."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import time
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.recognizer.archive import WEIGHTS, Archive
from workbench.recognizer.shapes import read_shapes

STARTER = Path(__file__).parents[2] / "data" / "checkpoint" / "starter.nemo"


def saved(value: Any, protocol: int = 2) -> bytes:
    """The pickle in the file that ``torch.save`` writes."""
    file = io.BytesIO()
    torch.save(value, file, pickle_protocol=protocol)
    with zipfile.ZipFile(file) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return archive.read(name)


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.LSTM(4, 5))


def with_attribute(tensor: torch.Tensor) -> torch.Tensor:
    tensor.note = "kept by a library"
    return tensor


def test_the_starter_has_the_shapes_that_torch_loads():
    with tarfile.open(STARTER) as tar:
        [member] = [m for m in tar.getmembers() if m.name.endswith(WEIGHTS)]
        state = torch.load(tar.extractfile(member), weights_only=True, map_location="meta")
    assert Archive(STARTER).shapes == {name: tuple(tensor.shape) for name, tensor in state.items()}


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("keep_vars", [False, True])
def test_a_networks_state_in_every_protocol(protocol, keep_vars):
    state = network().state_dict(keep_vars=keep_vars)
    assert read_shapes(saved(state, protocol)) == {name: tuple(t.shape) for name, t in state.items()}


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(()),
        torch.zeros(2, 0),
        torch.nn.Parameter(torch.zeros(2, 3)),
        with_attribute(torch.nn.Parameter(torch.zeros(2, 3))),
        with_attribute(torch.zeros(5)),
        torch.nn.Buffer(torch.zeros(3)),
        torch.zeros(2, 3, device="meta"),
        torch.eye(3).to_sparse(),
        torch.zeros(4, 6).T[1:],
        *(
            torch.zeros(2, dtype=getattr(torch, kind))
            for kind in ("float64", "bfloat16", "float16", "int8", "uint16", "uint64", "bool", "complex64")
        ),
        torch.zeros(2, dtype=torch.float8_e4m3fn),
    ],
    ids=lambda tensor: f"{type(tensor).__name__}-{tensor.dtype}-{tuple(tensor.shape)}",
)
def test_every_kind_of_tensor(tensor):
    state = OrderedDict(first=tensor, again=tensor, other=torch.ones(7))
    for protocol in (2, 4):
        found = read_shapes(saved(state, protocol))
        assert found == {"first": tuple(tensor.shape), "again": tuple(tensor.shape), "other": (7,)}


def test_what_stands_beside_tensors_is_passed_over():
    beside = {
        "numpy": [np.float64(3), np.int64(4), np.zeros((2, 3)), np.bool_(True)],
        "torch": [torch.Size([2, 3]), torch.device("cpu"), torch.float32, torch.strided],
        "plain": [None, True, 1, 2**70, 1.5, "text", b"bytes", (1, 2, 3, 4), {"deep": [[]]}, {1, 2}, 1j],
        "x._extra_state": (4, 4),
        "storage": torch.zeros(2).untyped_storage(),
    }
    for protocol in range(2, 6):
        assert read_shapes(saved({**beside, "w": torch.zeros(2, 3)}, protocol)) == {"w": (2, 3)}


def test_a_library_that_changes_pickle_changes_nothing_here(monkeypatch):
    data = saved(network().state_dict())
    for name in ("Unpickler", "_Unpickler", "load", "loads"):
        monkeypatch.setattr(pickle, name, ("not", "callable"))
    assert len(read_shapes(data)) == 11


class Calls:
    """Pickled as a call of ``function``; ``state``: attributes to set on what it gives."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.how = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.how


@pytest.mark.parametrize("protocol", range(6))
def test_foreign_functions_are_named_and_not_run(tmp_path, protocol):
    made = tmp_path / "made"
    for value in (Calls(os.mkdir, str(made)), Calls(eval, "1"), Calls(getattr, "x", "join"), os.system):
        with pytest.raises(pickle.UnpicklingError, match=r"^names |^uses the operation "):
            read_shapes(pickle.dumps({"w": value}, protocol))
    assert not made.exists()


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00K\x05\x85K\x01\x85\x89NtR"
"""As ``torch.save`` writes one of five values, its storage left out."""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x80\x02}X\x01\x00\x00\x00w" + TENSOR + b"s.", None),
        (TENSOR + b"(tR.", "calls a Shape"),
        (b"(K\x01K\x02t(tR.", "calls a tuple"),
        (b"X\x01\x00\x00\x00w(tR.", "calls a str"),
        (b"ctorch\nfloat32\n(tR.", "calls torch.float32"),
        (b"ccollections\nOrderedDict\nNR.", "with no arguments"),
        (b"ctorch\nload\n.", "names torch.load"),
        (b"ctorch.storage\n_load_from_bytes\n.", r"names torch\.storage\._load_from_bytes"),
        (b"ctorch.evil\nStorage\n.", r"names torch\.evil\.Storage"),
        (b"ccollections\nOrderedDict\n)\x81.", "the operation NEWOBJ"),
        (b"(icollections\nOrderedDict\n.", "the operation INST"),
        (b"(ccollections\nOrderedDict\no.", "the operation OBJ"),
        (b"\x82\x01.", "the operation EXT1"),
        (TENSOR + b"}b.", "attributes of a Shape"),
        (TENSOR + b"K\x01K\x02s.", "items of a Shape"),
        (TENSOR + b"K\x01a.", "appends to a Shape"),
        (TENSOR + b".", "no state dictionary"),
        (b"\x80\x02}]K\x01s.", "has a list as a key"),
        (b"\x80\x02}(K\x01K\x02K\x03u.", "sets items of a dict"),
        (b"}(U\x07storageNNNNtQ.", "storage is not described"),
        (b"h\x07.", "damaged"),
        (b"}e.", "damaged"),
        (b"}", "damaged"),
        (b"", "damaged"),
        (TENSOR.replace(b"K\x05", b"J\xff\xff\xff\xff") + b".", "no size"),
        (TENSOR.replace(b"K\x05\x85", b"(" + b"K\x02" * 65 + b"t") + b".", "no size"),
    ],
)
def test_made_up_pickles(data, words):
    if words is None:
        assert read_shapes(data) == {"w": (5,)}
        return
    with pytest.raises(pickle.UnpicklingError, match=words):
        read_shapes(data)


NEST = b"K\x01" + b"q\x00h\x00\x86" * 200
"""Pairs of pairs: each the same object twice, so two hundred operations, and 2**200 steps to hash it."""


@pytest.mark.parametrize(
    "data",
    [
        b"}" + NEST + b"K\x01s.",
        b"}(" + NEST + b"K\x01u.",
        b"(" + NEST + b"K\x01d.",
        b"\x8f(" + NEST + b"\x90.",
        b"(" + NEST + b"\x91.",
        b"c__builtin__\nset\n](" + NEST + b"e\x85R.",
        b"ccollections\nOrderedDict\n](" + NEST + b"K\x01\x86e\x85R.",
        b"(U\x07storagectorch\nFloatStorage\n" + NEST + b"U\x03cpuK\x01tQ.",
    ],
)
def test_nothing_that_takes_for_ever_to_hash_is_hashed(data):
    begin = time.perf_counter()
    with pytest.raises(pickle.UnpicklingError):
        read_shapes(data)
    assert time.perf_counter() - begin < 5


def test_a_nest_without_end_is_refused():
    """A tensor of a type of its own, of a type of its own, …: as deep as the file likes."""
    rebuild = b"ctorch._tensor\n_rebuild_from_type_v2\n"
    deep = b"(" + (rebuild + b"N(") * 50_000 + rebuild + b"N)" + b"tN" * 50_000 + b"tR."
    with pytest.raises(pickle.UnpicklingError):
        read_shapes(deep)


def test_one_line_says_what_was_wrong_in_an_archive(tmp_path):
    path, weights = tmp_path / "x.nemo", io.BytesIO()
    with zipfile.ZipFile(weights, "w") as file:
        file.writestr("model/data.pkl", TENSOR + b"(tR.")
    with tarfile.open(STARTER) as old, tarfile.open(path, "w") as new:
        for member in old.getmembers():
            held = old.extractfile(member)
            if held is None:
                continue
            data = weights.getvalue() if member.name.endswith(WEIGHTS) else held.read()
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    with pytest.raises(WorkbenchError, match=r"not plain tensors \(calls a Shape\)"):
        Archive(path)
