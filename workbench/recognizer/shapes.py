"""The shapes in a pickle that ``torch.save`` wrote, read without carrying it out.

A pickle is a program. :mod:`pickle` runs it, however few classes it is given; here its operations are
followed on a stack of our own, where naming a function and calling one are only written down. So nothing that
a file names is imported or called, and a library that changes :mod:`pickle` for itself (Lightning does, while
it loads older checkpoints) has no part in it. torch is not needed.

Names are limited to what a state dictionary may hold; any other is refused. So are keys other than plain
values, here as in sets and storages: the hash of tuples within tuples, each there twice, takes for ever, in
torch's reader as in any other. Operations are counted.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

Operation = Callable[["_Machine", Any], None]
_DIMENSIONS = 64
"""Of a tensor at most, as in torch."""
MAX_LENGTH = 1 << 40
"""Of one dimension of a tensor."""
MAX_OPERATIONS = 2_000_000
"""Of one pickle; a state dictionary takes about forty a tensor."""
_SCALARS = (str, bytes, int, float, bool, type(None))


class Shape(tuple[int, ...]):
    """Of one tensor."""

    __slots__ = ()


class Named:
    """A class or function that a pickle names. ``name``: with its module."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Thing:
    """What is neither a tensor nor a plain value: a storage, a scalar of numpy, a layout."""

    __slots__ = ()


def read_state(data: bytes) -> Any:
    """The value of a pickle: plain values as they are, tensors as their :class:`Shape`.

    Args:
        data: the ``data.pkl`` of a file that ``torch.save`` wrote, of any pickle protocol.

    Raises:
        pickle.UnpicklingError: it names what no state dictionary holds, or it is damaged or too long.
    """
    machine = _Machine()
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(data)):
            known = _OPERATIONS.get(operation.name)
            if known is None:
                raise UnpicklingError(f"uses the operation {operation.name}")
            if count > MAX_OPERATIONS:
                raise UnpicklingError(f"takes more than {MAX_OPERATIONS:,} operations")
            known(machine, argument)
        return machine.pop()
    except _DAMAGE as error:
        raise UnpicklingError(f"damaged: {type(error).__name__} {str(error)[:60]}") from error


_DAMAGE = (
    IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, MemoryError,
)  # fmt: skip


def read_shapes(data: bytes) -> dict[str, Shape]:
    """Names and shapes of the tensors of a state dictionary.

    Args:
        data: as of :func:`read_state`.

    Raises:
        pickle.UnpicklingError: as :func:`read_state`, or it is no dictionary.
    """
    return shapes_of(read_state(data))


def shapes_of(state: Any) -> dict[str, Shape]:
    """Those of a value that :func:`read_state` gave, by name.

    Raises:
        pickle.UnpicklingError: it is no dictionary.
    """
    if not isinstance(state, dict):
        raise UnpicklingError("holds no state dictionary")
    return {str(key): value for key, value in state.items() if isinstance(value, Shape)}


def _plain(value: Any) -> Any:
    """A key, if it is a plain value: hashing anything else may take for ever."""
    if type(value) not in _SCALARS:
        raise UnpicklingError(f"has a {type(value).__name__} as a key")
    return value


def _tensor(arguments: tuple[Any, ...]) -> Shape:
    """``_rebuild_tensor_v2(storage, offset, size, stride, …)`` and its like."""
    return _shape(arguments[2])


def _shape(size: Any) -> Shape:
    if not isinstance(size, tuple) or len(size) > _DIMENSIONS or not all(_is_length(n) for n in size):
        raise UnpicklingError("a tensor has no size")
    return Shape(size)


def _is_length(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_LENGTH


def _mapping(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Empty: a pickle sets the items of an ordered dictionary afterwards; older ones give them as pairs."""
    pairs = arguments[-1] if arguments and isinstance(arguments[-1], list) else []
    return {_plain(key): value for key, value in pairs}


def _set(arguments: tuple[Any, ...]) -> Thing:
    for item in arguments[0] if arguments else ():
        _plain(item)
    return Thing()


def _thing(_: tuple[Any, ...]) -> Thing:
    return Thing()


def _again(arguments: tuple[Any, ...]) -> Any:
    """``_rebuild_from_type_v2(function, type, arguments, state)``: a tensor with attributes of its own."""
    return _called(arguments[0], arguments[2])


_NUMPY = ("multiarray.scalar", "multiarray._reconstruct", "numeric._frombuffer")
_CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_qtensor": _tensor,
    "torch._utils._rebuild_meta_tensor_no_storage": lambda arguments: _shape(arguments[1]),
    "torch._utils._rebuild_sparse_tensor": lambda arguments: _shape(arguments[1][2]),
    "torch._utils._rebuild_parameter": lambda arguments: arguments[0],
    "torch._utils._rebuild_parameter_with_state": lambda arguments: arguments[0],
    "torch._tensor._rebuild_from_type_v2": _again,
    "torch.Size": lambda arguments: arguments[0],
    "torch.device": _thing,
    "torch.serialization._get_layout": _thing,
    "_codecs.encode": _thing,
    "numpy.dtype": _thing,
    **{f"{core}.{name}": _thing for core in ("numpy.core", "numpy._core") for name in _NUMPY},
    **{f"{module}.complex": _thing for module in ("builtins", "__builtin__")},
    **{f"{module}.set": _set for module in ("builtins", "__builtin__")},
}
"""What a call of each function amounts to."""
_BARE = {
    *("numpy.ndarray", "builtins.list", "__builtin__.list", "torch.storage.UntypedStorage"),
    *("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"),
    *(f"torch.per_{what}_affine" for what in ("tensor", "channel")),
    *(f"torch.{kind}" for kind in ("float64", "float32", "float16", "bfloat16", "bool")),
    *(f"torch.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *(f"torch.complex{bits}" for bits in (32, 64, 128)),
    *(f"torch.float8_{kind}" for kind in ("e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")),
    *("torch.qint8", "torch.quint8", "torch.qint32"),
}
"""Names that stand as arguments and are not called."""


def _called(function: Any, arguments: Any) -> Any:
    if not isinstance(function, Named) or function.name not in _CALLS:
        name = function.name if isinstance(function, Named) else f"a {type(function).__name__}"
        raise UnpicklingError(f"calls {name}")
    if not isinstance(arguments, tuple):
        raise UnpicklingError(f"calls {function.name} with no arguments")
    return _CALLS[function.name](arguments)


class _Machine:
    """The stack of a pickle, its marks and its memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark, which is taken away with it."""
        start = self.marks.pop()
        found, self.stack[start:] = self.stack[start:], []
        return found

    def name(self, module: Any, name: Any) -> None:
        full = f"{module}.{name}"
        if full not in _CALLS and full not in _BARE and not (module == "torch" and name.endswith("Storage")):
            raise UnpicklingError(f"names {full}")
        self.push(Named(full))

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        self.push(_called(function, arguments))

    def build(self) -> None:
        """Attributes of an object: none of them says anything about shapes."""
        self.pop()
        if not isinstance(self.stack[-1], dict | Thing):
            raise UnpicklingError(f"sets attributes of a {type(self.stack[-1]).__name__}")

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise UnpicklingError(f"sets items of a {type(target).__name__}")
        target.update(_pairs(pairs))

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list | Thing):
            raise UnpicklingError(f"appends to a {type(target).__name__}")
        if isinstance(target, list):
            target.extend(values)


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(map(_plain, values[::2]), values[1::2], strict=True))


def _pair(machine: _Machine) -> list[Any]:
    value, key = machine.pop(), machine.pop()
    return [key, value]


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _persistent(machine: _Machine, _: Any) -> None:
    """A storage: ``('storage', its class, key, device, number of elements)``; torch looks the key up."""
    found = machine.pop()
    if not isinstance(found, tuple) or len(found) != 5 or found[0] != "storage":
        raise UnpicklingError("a storage is not described")
    if not isinstance(found[2], str) or not isinstance(found[3], str) or not _is_length(found[4]):
        raise UnpicklingError("a storage is not described")
    machine.push(Thing())


def _add_items(machine: _Machine, _: Any) -> None:
    values = machine.since_mark()
    for value in values:
        _plain(value)
    machine.append(values)


def _frozen(values: list[Any]) -> Thing:
    for value in values:
        _plain(value)
    return Thing()


def _taken(count: int) -> Operation:
    def operation(machine: _Machine, _: Any) -> None:
        values = [machine.pop() for _ in range(count)]
        machine.push(tuple(reversed(values)))

    return operation


def _put(machine: _Machine, number: Any) -> None:
    machine.memo[len(machine.memo) if number is None else int(number)] = machine.stack[-1]


def _list_of(make: Callable[[list[Any]], Any]) -> Operation:
    return lambda machine, _: machine.push(make(machine.since_mark()))


def _new(make: Callable[[], Any]) -> Operation:
    return lambda machine, _: machine.push(make())


_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_OPERATIONS: dict[str, Operation] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(_LITERALS, lambda machine, value: machine.push(value)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, number: m.push(m.memo[int(number)])),
    "NONE": _new(lambda: None),
    "NEWTRUE": _new(lambda: True),
    "NEWFALSE": _new(lambda: False),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "EMPTY_TUPLE": _taken(0),
    "TUPLE1": _taken(1),
    "TUPLE2": _taken(2),
    "TUPLE3": _taken(3),
    "TUPLE": _list_of(tuple),
    "EMPTY_LIST": _new(list),
    "LIST": _list_of(list),
    "EMPTY_DICT": _new(dict),
    "DICT": _list_of(_pairs),
    "EMPTY_SET": _new(Thing),
    "FROZENSET": _list_of(_frozen),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "ADDITEMS": _add_items,
    "SETITEM": lambda machine, _: machine.set_items(_pair(machine)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "GLOBAL": lambda machine, name: machine.name(*name.split(" ", 1)),
    "STACK_GLOBAL": _stack_global,
    "BINPERSID": _persistent,
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
"""Those that pickles of state dictionaries use, of protocols 0 to 5; NEWOBJ, INST, OBJ and EXT are not."""
