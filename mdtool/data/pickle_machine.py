"""An interpreter of the pickle format that calls nothing but what its caller allows.

Python's own unpicklers import and call whatever a file names. This one knows the opcodes of protocols 0 to 5 and
builds plain values; a name in the file is looked up in a table, and only what the table has is called. Every
allocation counts against the memory that the file may take, and a length is believed only as far as the file goes.
The format: Python's pickletools.py.
"""

from __future__ import annotations

import codecs
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np

from mdtool.data.byte_stream import ByteStream, Refused

OPCODE_BYTES = 128
"""Memory counted per opcode: an empty container and its place on the stack, in the memo and in another container."""
STORED_BYTES = 1024
"""Byte strings at least this long stay in a plain file when it is read lazily."""

_LONGEST_INTEGER = 1024
_LONGEST_KEY = 16
_KEYS = (str, int, float, bool, type(None), bytes, complex, np.generic)


class Name:
    """A name in a file that is allowed, and what stands for it here."""

    def __init__(self, module: str, name: str, stand_in: Callable[..., object]) -> None:
        self.module, self.name, self.stand_in = module, name, stand_in


class Pending:
    """An object that a file has named and not described yet; its description (opcode BUILD) makes the value."""

    def __init__(self) -> None:
        self.memo_keys: list[int] = []

    def build(self, state: object, machine: PickleMachine) -> object:
        """The value; it takes this object's place.

        Raises:
            Refused, ValueError, TypeError: `state` describes no such object.
        """
        raise Refused(f"it describes a {type(self).__name__} that has no state")


class StoredBytes:
    """A byte string that was left in the file."""

    __slots__ = ("offset", "size")

    def __init__(self, offset: int, size: int) -> None:
        self.offset, self.size = offset, size


class PickleMachine:
    """One run over a stream.

    Args:
        names: (module, name) → what stands for it; called with the arguments in the file.
        lazy: leave long byte strings of a plain file where they are (`StoredBytes`).
    """

    def __init__(
        self, stream: ByteStream, names: Mapping[tuple[str, str], Callable[..., object]], lazy: bool = False
    ) -> None:
        self.stream, self.names, self.lazy = stream, names, lazy and stream.plain
        self._stack: list = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """The value that the pickle describes; the stream is left behind it.

        Raises:
            Refused: it names what is not allowed, or takes too much.
            Exception: anything that damaged bytes lead to.
        """
        read, table, spend = self.stream.file.read, _TABLE, self.stream.spend
        while True:
            opcode = read(1)
            spend(OPCODE_BYTES)
            if opcode == pickle.STOP:
                return self._stack.pop()
            if not opcode:
                raise EOFError("it ends early")
            act = table.get(opcode)
            if act is None:
                raise ValueError(f"no pickle has the opcode {opcode!r}")
            act(self)

    # -- numbers, texts, bytes

    def _unsigned(self, size: int) -> int:
        return int.from_bytes(self.stream.read(size), "little")

    def _signed(self, size: int) -> int:
        return int.from_bytes(self.stream.read(size), "little", signed=True)

    def _large(self, size: int) -> None:
        if size > _LONGEST_INTEGER:
            raise Refused(f"it has a number of {size} bytes")
        self._stack.append(self._signed(size))

    def _integer(self) -> None:
        line = self.stream.read_line()
        self._stack.append({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line))

    def _long(self) -> None:
        self._stack.append(int(self.stream.read_line().rstrip(b"L")))

    def _float(self) -> None:
        self._stack.append(float(self.stream.read_line()))

    def _double(self) -> None:
        self._stack.append(struct.unpack(">d", self.stream.read(8))[0])

    def _text(self, size: int) -> None:
        self.stream.spend(3 * size)  # one wide character makes every character of a text take four bytes
        self._stack.append(self.stream.read(size).decode("utf-8", "surrogatepass"))

    def _escaped_text(self) -> None:
        line = self.stream.read_line()
        self.stream.spend(3 * len(line))
        self._stack.append(line.decode("raw-unicode-escape"))

    def _quoted(self) -> None:
        """A byte string of Python 2, protocol 0; texts and arrays alike, so a text until an array takes it."""
        line = self.stream.read_line().strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise ValueError("a text in it has no quotes")
        self.stream.spend(len(line))
        self._stack.append(codecs.escape_decode(line[1:-1])[0].decode("latin1"))

    def _bytes(self, size: int, kind: Callable[[bytes], object] = bytes) -> None:
        if self.lazy and size >= STORED_BYTES:
            self._stack.append(StoredBytes(self.stream.skip(size), size))
        else:
            self._stack.append(kind(self.stream.read(size)))

    # -- containers

    def _items(self) -> list:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError("too few values for a tuple")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _extend(self, items: list) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise Refused(f"it appends to a {type(target).__name__}")
        target.extend(items)

    def _append(self) -> None:
        item = self._stack.pop()
        self._extend([item])

    def _set_items(self, items: list) -> None:
        target = self._stack[-1]
        if type(target) not in (dict, OrderedDict):
            raise Refused(f"it writes items into a {type(target).__name__}")
        target.update(pairs(items))

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _add_items(self) -> None:
        items = self._items()
        if type(self._stack[-1]) is not set:
            raise Refused(f"it adds elements to a {type(self._stack[-1]).__name__}")
        self._stack[-1].update(hashable(item) for item in items)

    # -- memo

    def _put(self, key: int) -> None:
        value = self._memo[key] = self._stack[-1]
        if isinstance(value, Pending):
            value.memo_keys.append(key)

    # -- objects

    def _find(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name in it is no text")
        stand_in = self.names.get((module, name))
        if stand_in is None:
            raise Refused(f"it wants to use {module}.{name}, which is not among the allowed names; nothing of it ran")
        self._stack.append(Name(module, name, stand_in))

    def _find_line(self) -> None:
        module = self.stream.read_line().decode("utf-8")
        self._find(module, self.stream.read_line().decode("utf-8"))

    def _find_stack(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._find(module, name)

    def _call(self, target: object, arguments: object) -> None:
        if not isinstance(target, Name) or not isinstance(arguments, tuple):
            raise Refused("it calls something that is no allowed name")
        self.stream.spend(sum(_copied_bytes(part) for part in arguments))
        self._stack.append(target.stand_in(*arguments))

    def _reduce(self) -> None:
        arguments, target = self._stack.pop(), self._stack.pop()
        self._call(target, arguments)

    def _new_with_keywords(self) -> None:
        keywords = self._stack.pop()
        if keywords:
            raise Refused("it makes an object by keywords")
        self._reduce()

    def _instance(self) -> None:
        arguments = self._items()
        self._find_line()
        self._call(self._stack.pop(), tuple(arguments))

    def _object(self) -> None:
        target, *arguments = self._items()
        self._call(target, tuple(arguments))

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, Pending):
            raise Refused(f"it changes the inside of a {type(target).__name__}")
        value = self._stack[-1] = target.build(state, self)
        for key in target.memo_keys:
            self._memo[key] = value

    def _refuse(self) -> None:
        raise Refused("it refers to things outside of itself (persistent ids, extension codes or buffers)")


def _copied_bytes(argument: object) -> int:
    """Memory that a name may take for a copy of its argument; a container that is named twice is copied twice."""
    if isinstance(argument, str | bytes | bytearray):
        return len(argument)
    return OPCODE_BYTES * len(argument) if isinstance(argument, list | tuple | set | frozenset | dict) else 0


def pairs(items: list) -> list[tuple]:
    """[key, value, key, value, …] → [(key, value), …].

    Raises:
        Refused: a key that may not be one; ValueError: an odd number of items.
    """
    return [(hashable(key), value) for key, value in zip(items[::2], items[1::2], strict=True)]


def hashable(key: object) -> object:
    """The key itself: numbers, texts and short tuples of them; the hash of nested tuples can take for ever.

    Raises:
        Refused: anything else.
    """
    parts = key if isinstance(key, tuple) and len(key) <= _LONGEST_KEY else (key,)
    if not all(isinstance(part, _KEYS) for part in parts):
        raise Refused(f"it has a {type(key).__name__} as a key")
    return key


def _push(make: Callable[[], object]) -> Callable[[PickleMachine], object]:
    return lambda machine: machine._stack.append(make())


def _drop(machine: PickleMachine) -> None:
    """POP: of a value, or of a mark with nothing behind it."""
    if machine._marks and machine._marks[-1] == len(machine._stack):
        machine._marks.pop()
    else:
        machine._stack.pop()


_TABLE: dict[bytes, Callable[[PickleMachine], object]] = {
    pickle.PROTO: lambda m: _require_protocol(m._unsigned(1)),
    pickle.FRAME: lambda m: m.stream.read(8),  # frames only group bytes: they are read one after the other
    pickle.MARK: lambda m: m._marks.append(len(m._stack)),
    pickle.POP: _drop,
    pickle.POP_MARK: PickleMachine._items,
    pickle.DUP: lambda m: m._stack.append(m._stack[-1]),
    pickle.NONE: _push(lambda: None),
    pickle.NEWTRUE: _push(lambda: True),
    pickle.NEWFALSE: _push(lambda: False),
    pickle.INT: PickleMachine._integer,
    pickle.LONG: PickleMachine._long,
    pickle.FLOAT: PickleMachine._float,
    pickle.BINFLOAT: PickleMachine._double,
    pickle.BININT: lambda m: m._stack.append(m._signed(4)),
    pickle.BININT1: lambda m: m._stack.append(m._unsigned(1)),
    pickle.BININT2: lambda m: m._stack.append(m._unsigned(2)),
    pickle.LONG1: lambda m: m._large(m._unsigned(1)),
    pickle.LONG4: lambda m: m._large(m._signed(4)),
    pickle.STRING: PickleMachine._quoted,
    pickle.BINSTRING: lambda m: m._bytes(m._signed(4), _latin1),
    pickle.SHORT_BINSTRING: lambda m: m._bytes(m._unsigned(1), _latin1),
    pickle.UNICODE: PickleMachine._escaped_text,
    pickle.SHORT_BINUNICODE: lambda m: m._text(m._unsigned(1)),
    pickle.BINUNICODE: lambda m: m._text(m._unsigned(4)),
    pickle.BINUNICODE8: lambda m: m._text(m._unsigned(8)),
    pickle.SHORT_BINBYTES: lambda m: m._bytes(m._unsigned(1)),
    pickle.BINBYTES: lambda m: m._bytes(m._unsigned(4)),
    pickle.BINBYTES8: lambda m: m._bytes(m._unsigned(8)),
    pickle.BYTEARRAY8: lambda m: m._bytes(m._unsigned(8), bytearray),
    pickle.EMPTY_TUPLE: _push(tuple),
    pickle.EMPTY_LIST: _push(list),
    pickle.EMPTY_DICT: _push(dict),
    pickle.EMPTY_SET: _push(set),
    pickle.TUPLE1: lambda m: m._tuple(1),
    pickle.TUPLE2: lambda m: m._tuple(2),
    pickle.TUPLE3: lambda m: m._tuple(3),
    pickle.TUPLE: lambda m: m._stack.append(tuple(m._items())),
    pickle.LIST: lambda m: m._stack.append(m._items()),
    pickle.DICT: lambda m: m._stack.append(dict(pairs(m._items()))),
    pickle.FROZENSET: lambda m: m._stack.append(frozenset(hashable(item) for item in m._items())),
    pickle.APPEND: PickleMachine._append,
    pickle.APPENDS: lambda m: m._extend(m._items()),
    pickle.SETITEM: PickleMachine._set_item,
    pickle.SETITEMS: lambda m: m._set_items(m._items()),
    pickle.ADDITEMS: PickleMachine._add_items,
    pickle.PUT: lambda m: m._put(int(m.stream.read_line())),
    pickle.BINPUT: lambda m: m._put(m._unsigned(1)),
    pickle.LONG_BINPUT: lambda m: m._put(m._unsigned(4)),
    pickle.MEMOIZE: lambda m: m._put(len(m._memo)),
    pickle.GET: lambda m: m._stack.append(m._memo[int(m.stream.read_line())]),
    pickle.BINGET: lambda m: m._stack.append(m._memo[m._unsigned(1)]),
    pickle.LONG_BINGET: lambda m: m._stack.append(m._memo[m._unsigned(4)]),
    pickle.GLOBAL: PickleMachine._find_line,
    pickle.STACK_GLOBAL: PickleMachine._find_stack,
    pickle.REDUCE: PickleMachine._reduce,
    pickle.NEWOBJ: PickleMachine._reduce,
    pickle.NEWOBJ_EX: PickleMachine._new_with_keywords,
    pickle.INST: PickleMachine._instance,
    pickle.OBJ: PickleMachine._object,
    pickle.BUILD: PickleMachine._build,
    **dict.fromkeys((pickle.PERSID, pickle.BINPERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4), PickleMachine._refuse),
    **dict.fromkeys((pickle.NEXT_BUFFER, pickle.READONLY_BUFFER), PickleMachine._refuse),
}


def _latin1(content: bytes) -> str:
    return content.decode("latin1")


def _require_protocol(number: int) -> None:
    if number > pickle.HIGHEST_PROTOCOL:
        raise Refused(f"it has pickle protocol {number}; mdtool reads up to {pickle.HIGHEST_PROTOCOL}")
