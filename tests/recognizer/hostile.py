"""Archives made to do harm, by kind: every one is the starter with one thing changed.

``made()`` gives hundreds, each with a name; those of configurations go over every path of the starter's own
configuration, so that a new part of it is attacked without a change here.
"""

from __future__ import annotations

import copy
import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

STARTER = Path(__file__).parents[2] / "data" / "checkpoint" / "starter.nemo"
Where = tuple[Any, ...]
Writer = Callable[[Path], None]

TARGETS = (
    "nemo.collections.asr.parts.utils.manifest_utils.write_manifest",
    "nemo.collections.common.parts.preprocessing.manifest.item_iter",
    "nemo.core.utils.process_launcher.launcher.ProcessLauncher",
    "nemo.collections.asr.models.EncDecCTCModel.from_pretrained",
    "nemo.collections.asr.modules.ConformerEncoder",
    "os.system",
    "builtins.eval",
    "nemo.collections.asr.modules.conv_asr.ConvASRDecoder ",
)
"""Functions with side effects where NeMo allows any name, foreign ones, and right classes in wrong places."""


@cache
def starter() -> dict[str, bytes]:
    """The starter's members by their plain names."""
    with tarfile.open(STARTER) as tar:
        return {Path(m.name).name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


@cache
def _config() -> dict[str, Any]:
    return yaml.safe_load(starter()["model_config.yaml"])


def config() -> dict[str, Any]:
    """A copy of the starter's configuration, its long lists of pieces cut."""
    held = copy.deepcopy(_config())
    held["labels"] = held["labels"][:4]
    held["joint"]["vocabulary"] = held["joint"]["vocabulary"][:4]
    return held


def paths(node: Any, here: Where = ()) -> Iterator[Where]:
    """Of every mapping, list and value."""
    yield here
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from paths(value, (*here, key))


def at(node: Any, where: Where) -> Any:
    for key in where:
        node = node[key]
    return node


def changed(where: Where, value: Any) -> dict[str, Any]:
    """The configuration with another value at a path."""
    held = config()
    at(held, where[:-1])[where[-1]] = value
    return held


def hostile_configs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Targets, older forms of them and interpolations at every path of the configuration."""
    plain = config()
    for number, where in enumerate(paths(plain)):
        name, node = ".".join(map(str, where)) or "top", at(plain, where)
        target = TARGETS[number % len(TARGETS)]
        call = {"_target_": target, "path": "x"}
        if isinstance(node, dict):
            yield f"target in {name}", changed((*where, "nested"), call)
            yield f"cls in {name}", changed((*where, "nested"), {"cls": target, "params": {"path": "x"}})
            yield f"params in {name}", changed((*where, "params"), {"_target_": target})
            yield f"partial in {name}", changed((*where, "_partial_"), True)
            yield f"key of {name}", changed((*where, "${oc.env:HOME}"), 1)
            if where and (where, target) != (("encoder",), TARGETS[4]):
                yield f"second target of {name}", changed((*where, "_target_"), target)
                yield f"target of {name}", changed((*where, "target"), target)
        elif isinstance(node, list):
            yield f"target in the list {name}", changed(where, [*node, [call]])
        elif where:
            yield f"target at {name}", changed(where, call)
            yield f"interpolation at {name}", changed(where, "${oc.env:HOME}")
            yield f"interpolation inside {name}", changed(where, f"{node}-${{model_defaults.num_prompts}}")


def unfit_configs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Prompts, sizes, tokenizers and types that must be refused before anything is built."""
    for index in (-1, 128, 10**9, True, 1.0, "3", None, [1], float("nan")):
        yield f"prompt {index!r}", changed(("model_defaults", "prompt_dictionary", "en-US"), index)
    for count in (0, -1, 10**9, True, "128", None, 5000, 1.5):
        yield f"num_prompts {count!r}", changed(("model_defaults", "num_prompts"), count)
    yield "a list of prompts", changed(("model_defaults", "prompt_dictionary"), ["en-US"])
    for where in paths(config()):
        node = at(config(), where)
        sized = where and where[0] in ("encoder", "decoder", "joint", "preprocessor", "spec_augment")
        if sized and isinstance(node, int | float) and not isinstance(node, bool):
            for value in (10**9, -(10**9), 10**400, float("inf"), float("nan")):
                yield f"{'.'.join(map(str, where))} of {str(value)[:12]}", changed(where, value)
    for key in ("n_layers", "d_model", "feat_in"):
        yield f"many weights: {key}", changed(("encoder", key), 250 if key == "n_layers" else "80")
    yield "wide and deep", {**config(), "encoder": {**config()["encoder"], "d_model": 8192, "n_layers": 256}}
    for kind in ("wpe", "agg", "WPE", None, 3, ["bpe"], "hf"):
        yield f"tokenizer {kind!r}", changed(("tokenizer", "type"), kind)
    for value in ("bert-base-cased", "/etc/passwd", "nemo:../x", "nemo:gone.model", None, 3, "nemo:a/b"):
        yield f"tokenizer model {value!r}", changed(("tokenizer", "model_path"), value)
        yield f"tokenizer vocabulary {value!r}", changed(("tokenizer", "vocab_path"), value)
        if value is not None:
            yield f"tokenizer table {value!r}", changed(("tokenizer", "spe_tokenizer_vocab"), value)
    yield "custom tokenizer", changed(("tokenizer", "custom_tokenizer"), {"model": "x"})
    for name in ("encoder", "decoder", "joint", "preprocessor", "tokenizer", "model_defaults"):
        for value in ([], "text", 3, None, [{"_target_": "os.system"}]):
            yield f"{name} is {value!r}", changed((name,), value)
    for target in ("os.system", "nemo.collections.asr.models.EncDecCTCModel", None, ["x"], {"a": 1}, ""):
        yield f"class {target!r}", changed(("target",), target)
    held = config()
    held["joint"]["num_extra_outputs"] = 5
    yield "durations", held
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep}
    yield "deep", changed(("nested",), deep)
    yield "a key that is no text", changed((3,), "x")


def texts() -> Iterator[tuple[str, bytes]]:
    """Configurations as bytes: what no YAML reader should follow."""
    plain = yaml.safe_dump(config(), sort_keys=False).encode()
    bomb = b"a0: &a0 [x,x]\n" + b"".join(
        b"a%d: &a%d [*a%d,*a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)
    )
    merge = b"m0: &m0 {a: 1}\n" + b"".join(
        b"m%d: &m%d {<<: [*m%d, *m%d], k%d: 1}\n" % (n, n, n - 1, n - 1, n) for n in range(1, 30)
    )
    yield "alias bomb", plain + bomb
    yield "merge bomb", plain + merge
    yield "itself", b"a: &a [*a]\n" + plain
    yield "a merge of a scalar", plain + b"m: {<<: 3}\n"
    yield "a python object", plain + b"o: !!python/object/apply:os.system ['true']\n"
    yield "a python name", plain + b"o: !!python/name:os.system\n"
    yield "a tag of its own", plain + b"o: !evil x\n"
    yield "binary", plain + b"o: !!binary aGk=\n"
    yield "a set", plain + b"o: !!set {a, b}\n"
    yield "3,000 flow lists deep", plain + b"o: " + b"[" * 3000 + b"]" * 3000 + b"\n"
    yield "100,000 flow lists deep", plain + b"o: " + b"[" * 100_000
    yield "100,000 flow maps deep", plain + b"o: " + b"{a: " * 100_000
    yield "3,000 blocks deep", plain + b"o:\n" + b"".join(b" " * (n + 1) + b"a:\n" for n in range(3000))
    yield "a key that is a list", plain + b"? [a]\n: b\n"
    yield "a key twice", plain + b"target: os.system\n"
    yield "a number of a million digits", plain + b"o: " + b"9" * 1_000_000 + b"\n"
    yield "a sexagesimal without end", plain + b"o: 1" + b":59" * 300_000 + b"\n"
    yield "hexadecimal without end", plain + b"o: 0x" + b"f" * 1_000_000 + b"\n"
    yield "a million keys", plain + b"".join(b"k%d: \n" % n for n in range(1_100_000))
    yield "larger than any configuration", plain + b"# " + b"x" * (9 << 20)
    yield "two documents", plain + b"\n---\n" + plain
    yield "not UTF-8", b"\xff\xfe" + plain
    yield "UTF-16", plain.decode().encode("utf-16")
    yield "zeros", bytes(2000)
    yield "no mapping", b"- a\n- b\n"
    yield "a scalar", b"just text\n"
    yield "nothing", b""
    yield "cut", plain[: len(plain) // 2] + b"  [unclosed"
    yield "a boolean for a tag", plain.replace(b"    el-GR:", b"    no:")


NEST = b"K\x01" + b"q\x00h\x00\x86" * 200
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x05tQK\x00K\x05\x85K\x01\x85"
    b"\x89ccollections\nOrderedDict\n)RtR"
)


def pickles() -> Iterator[tuple[str, bytes]]:
    """Pickles of weights: calls of foreign code, and what takes for ever to read."""
    for call in ("cos\nsystem", "cbuiltins\neval", "cnemo.utils.file_utils\nrobust_copy", "ctorch.hub\nload"):
        yield f"calls {call[1:].split()[0]}", call.encode() + b"\n(S'x'\ntR."
    yield "a new object", b"ccollections\nOrderedDict\n)\x81."
    yield "an instance", b"(icollections\nOrderedDict\n."
    yield "an extension", b"\x82\x01."
    yield "a nest as a key", b"}" + NEST + TENSOR + b"s."
    yield "a nest in a set", b"\x8f(" + NEST + b"\x90."
    yield "a nest in a frozen set", b"(" + NEST + b"\x91."
    yield "a nest as a storage", b"(U\x07storagectorch\nFloatStorage\n" + NEST + b"U\x03cpuK\x01tQ."
    yield "a nest in an ordered dictionary", b"ccollections\nOrderedDict\n](" + NEST + b"K\x01\x86e\x85R."
    yield "three million operations", b"N0" * 1_500_000 + b"}."
    yield "two million nothings", b"N" * 2_100_000 + b"}."
    yield "a nest of a million tuples", b"N" + b"\x85" * 1_000_000 + b"."
    yield "a long integer", b"\x8b" + struct.pack("<i", 4_000_000) + b"\x7f" * 4_000_000 + b"."
    yield "a long of no length", b"\x8b\xff\xff\xff\xff."
    yield "a text longer than the file", b"\x8d" + b"\xff" * 8 + b"x."
    for name, length in (("2**60", b"\x8a\x08" + b"\xff" * 7 + b"\x0f"), ("2**31", b"J\xff\xff\xff\x7f")):
        yield f"a tensor of {name}", b"}U\x01w" + TENSOR.replace(b"K\x05\x85", length + b"\x85") + b"s."
    yield "no dictionary", b"]."
    yield "nothing", b""
    yield "a stop", b"."
    yield "cut", pickle.dumps({"a": 1})[:-2]
    yield "a list for a key", b"}]K\x01s."


def zipped(data: bytes, **options: Any) -> bytes:
    """The weights' file with this pickle."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", **options) as file:
        file.writestr("model/data.pkl", data)
        file.writestr("model/data/0", bytes(20))
    return held.getvalue()


def weights() -> Iterator[tuple[str, bytes]]:
    """Weights as bytes."""
    empty = pickle.dumps({}, 2)
    for name, data in pickles():
        yield f"pickle: {name}", zipped(data)
    yield "zip: compressed", zipped(empty, compression=zipfile.ZIP_DEFLATED)
    yield "zip: a bomb", zipped(empty + bytes(40 << 20), compression=zipfile.ZIP_DEFLATED)
    yield "zip: large pickle", zipped(empty + bytes(9 << 20))
    yield "zip: something before it", b"x" * 64 + zipped(empty)
    yield "zip: something after it", zipped(empty) + b"x" * 64
    yield "zip: cut", zipped(empty)[:-10]
    yield "zip: damaged", zipped(empty)[:20] + b"\xff" * 20 + zipped(empty)[40:]
    yield "zip: none", b"no zip at all"
    yield "zip: a bare pickle", empty
    yield "zip: nothing", b""
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as file:
        file.writestr("model/data.pkl", empty)
        file.writestr("model/data.pkl", b"cos\nsystem\n(S'x'\ntR.")
    yield "zip: a name twice", twice.getvalue()
    folders = io.BytesIO()
    with zipfile.ZipFile(folders, "w") as file:
        file.writestr("a/data.pkl", empty)
        file.writestr("b/data.pkl", b"cos\nsystem\n(S'x'\ntR.")
    yield "zip: two folders", folders.getvalue()
    script = io.BytesIO()
    with zipfile.ZipFile(script, "w") as file:
        file.writestr("a/data.pkl", empty)
        file.writestr("a/constants.pkl", empty)
    yield "zip: a program", script.getvalue()


def packed(
    path: Path,
    change: dict[str, bytes] | None = None,
    extra: Sequence[tuple[tarfile.TarInfo, bytes]] = (),
) -> None:
    """The starter with members replaced or added; its weights are left out, so that tests stay quick."""
    members = {**starter(), "model_weights.ckpt": zipped(pickle.dumps({}, 2)), **(change or {})}
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member, data in extra:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


def _weights_are(kind: bytes, link: str = "") -> Writer:
    def write(path: Path) -> None:
        with tarfile.open(path, "w") as tar:
            for name, data in starter().items():
                if name != "model_weights.ckpt":
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
            tar.addfile(_member("model_weights.ckpt", kind, link))

    return write


def _edited(edit: Callable[[bytes], bytes]) -> Writer:
    def write(path: Path) -> None:
        packed(path)
        path.write_bytes(edit(path.read_bytes()))

    return write


def _two_views(path: Path) -> None:
    """A tar that is also the start of a gzip to a reader that tries that first."""
    packed(path)
    path.write_bytes(gzip.compress(path.read_bytes()) + path.read_bytes())


def tars() -> Iterator[tuple[str, Writer]]:
    """Archives whose members reach out, hide or disagree."""
    for name in ("../evil", "/etc/evil", "a/../../evil", "..", "a\\b"):
        yield f"member {name}", lambda path, n=name: packed(path, extra=[(_member(n), b"x")])
    for what, kind in (
        ("symlink", tarfile.SYMTYPE), ("hardlink", tarfile.LNKTYPE), ("fifo", tarfile.FIFOTYPE),
        ("character device", tarfile.CHRTYPE), ("block device", tarfile.BLKTYPE),
    ):  # fmt: skip
        yield what, lambda path, k=kind: packed(path, extra=[(_member("link", k, "/etc/passwd"), b"")])
        yield f"weights are a {what}", _weights_are(kind, "/etc/passwd")
    yield "weights are a folder", _weights_are(tarfile.DIRTYPE)
    for name in ("model_config.yaml", "./model_config.yaml", "model_weights.ckpt", "a/../model_config.yaml"):
        yield f"{name} twice", lambda path, n=name: packed(path, extra=[(_member(n), b"target: os.system\n")])
    yield "a sparse member", lambda path: packed(path, extra=[(_member("s", tarfile.GNUTYPE_SPARSE), b"")])
    yield "3,000 members", lambda path: packed(path, extra=[(_member(f"m{n}"), b"") for n in range(3000)])
    yield "a tokenizer of 65 MB", lambda path: packed(path, {_tokenizer(): bytes(65 << 20)})
    yield "a tokenizer that is none", lambda path: packed(path, {_tokenizer(): b"no model"})
    yield "an empty tokenizer", lambda path: packed(path, {_tokenizer(): b""})
    yield "no weights", lambda path: _without(path, "model_weights.ckpt")
    yield "no configuration", lambda path: _without(path, "model_config.yaml")
    yield "no tokenizer", lambda path: _without(path, _tokenizer())
    yield "gzip", _edited(gzip.compress)
    yield "two views", _two_views
    yield "bzip2", _edited(lambda data: b"BZh9" + data)
    yield "xz", _edited(lambda data: b"\xfd7zXZ" + data)
    yield "a header of negative size", _edited(lambda data: _size(data, b"\xff" * 12))
    yield "a header of great size", _edited(lambda data: _size(data, b"\x80" + b"\x7f" * 11))
    yield "a long name of 2 GB", _edited(_long_name)
    yield "cut in a member", _edited(lambda data: data[:3000])
    yield "cut in a header", _edited(lambda data: data[:100])
    yield "empty", _edited(lambda data: b"")
    yield "zeros", _edited(lambda data: bytes(20_000))
    yield "debris", _edited(lambda data: b"not an archive at all" * 500)
    yield "negative size by attribute", _by_attribute("-1000")
    yield "huge size by attribute", _by_attribute("9" * 30)
    yield "a path by attribute", _by_attribute("../../evil", "path")


def _tokenizer() -> str:
    return next(name for name in starter() if name.endswith("tokenizer.model"))


def _without(path: Path, name: str) -> None:
    with tarfile.open(path, "w") as tar:
        for held, data in starter().items():
            if held != name:
                member = tarfile.TarInfo(held)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _checked(header: bytes) -> bytes:
    """A header with its sum put right."""
    blank = header[:148] + b" " * 8 + header[156:512]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def _size(data: bytes, size: bytes) -> bytes:
    return _checked(data[:124] + size + data[136:512]) + data[512:]


def _long_name(data: bytes) -> bytes:
    header = _checked(data[:124] + b"17777777777\0" + data[136:156] + b"L" + data[157:512])
    return header + data


def _by_attribute(value: str, key: str = "size") -> Writer:
    def write(path: Path) -> None:
        packed(path)
        with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as tar:
            member = _member("odd")
            member.pax_headers = {key: value}
            tar.addfile(member)

    return write


def made() -> Iterator[tuple[str, Writer]]:
    """Every kind, each as the name and what writes the archive."""

    def of(text: bytes) -> Writer:
        return lambda path: packed(path, {"model_config.yaml": text})

    for name, held in (*hostile_configs(), *unfit_configs()):
        yield f"configuration: {name}", of(yaml.safe_dump(held, sort_keys=False).encode())
    for name, text in texts():
        yield f"text: {name}", of(text)
    for name, data in weights():
        yield f"weights: {name}", lambda path, d=data: packed(path, {"model_weights.ckpt": d})
    for name, write in tars():
        yield f"tar: {name}", write
