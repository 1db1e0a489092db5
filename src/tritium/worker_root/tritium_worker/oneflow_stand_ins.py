"""Stand-ins for shared libraries that OneFlow 0.9.0 names and a machine without a GPU does not have.

OneFlow's extension is linked against cuDNN and cuBLAS (1.3 GB) and, on a CPU, calls only a function or two
of theirs to ask for a version. So each missing library is replaced by one of a few kilobytes whose functions
all answer 1, which is an error code in each of those interfaces. They are written where the extension looks
for NVIDIA's own packages, which are left alone where they are installed.

Two functions of OneFlow itself are replaced as well, in each process that runs graphs: they keep a queue of
running graphs that is popped before it is pushed when a graph is quick, and the process dies or hangs.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from typing import Callable, Dict, Iterable, List, Mapping

_DYNSYM, _VERNEED, _VERSYM = 11, 0x6FFFFFFE, 0x6FFFFFFF  # section types
_DIRECTORIES = {"libcudnn": "cudnn", "libcublas": "cublas"}  # below site-packages/nvidia
_QUEUE_LIBRARY = "libtritium_oneflow_queue.so"
_QUEUE_FUNCTIONS = (
    "_ZN7oneflow2vm19LazyJobStreamPolicy14EnqueueNNGraphERKSt10shared_ptrINS_9NNGraphIfEE",
    "_ZN7oneflow2vm19LazyJobStreamPolicy14DequeueNNGraphEv",
)
_PAGE = 0x1000
_CODE = bytes.fromhex("b801000000c3")  # mov eax, 1; ret
_TEXT_CODE = bytes.fromhex("488d0501000000c3") + b"none\0"  # lea rax, [rip + 1]; ret; the text


def find_native(site_packages: str) -> str:
    """OneFlow's native library.

    Raises:
        FileNotFoundError: there is none.
    """
    directory = os.path.join(site_packages, "oneflow.libs")
    for name in sorted(os.listdir(directory)):
        if name.startswith("liboneflow-") and name.endswith(".so"):
            return os.path.join(directory, name)
    raise FileNotFoundError(os.path.join(directory, "liboneflow-*.so"))


def stand_in_paths(site_packages: str) -> Dict[str, str]:
    """Where OneFlow's extension looks for each library of NVIDIA's that it needs."""
    names = ("libcublas.so.11", "libcublasLt.so.11", "libcudnn_cnn_infer.so.8", "libcudnn_cnn_train.so.8",
             "libcudnn_ops_infer.so.8", "libcudnn_ops_train.so.8")  # fmt: skip
    return {name: os.path.join(site_packages, "nvidia", _directory(name), "lib", name) for name in names}


def write_stand_ins(site_packages: str) -> None:
    """Write a stand-in for each library that is not there.

    Raises:
        OSError: OneFlow is not there, or the directory cannot be written to.
    """
    missing = {n: path for n, path in stand_in_paths(site_packages).items() if not os.path.exists(path)}
    functions = _needed(find_native(site_packages)) if missing else {}
    for name, path in missing.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        partial = path + ".partial"
        with open(partial, "wb") as file:
            file.write(shared_library(name, functions.get(name, [])))
        os.replace(partial, path)


def replace_queue() -> None:
    """Load what replaces OneFlow's queue; to be called before ``import oneflow``, once."""
    descriptor = os.memfd_create(_QUEUE_LIBRARY)
    try:
        os.write(descriptor, shared_library(_QUEUE_LIBRARY, _QUEUE_FUNCTIONS))
        ctypes.CDLL("/proc/self/fd/%d" % descriptor, ctypes.RTLD_GLOBAL)
    finally:
        os.close(descriptor)


def has_queue(site_packages: str) -> bool:
    """Whether this OneFlow, which is imported already, has the functions that ``replace_queue`` replaces."""
    native = ctypes.CDLL(find_native(site_packages))
    return all(hasattr(native, name) for name in _QUEUE_FUNCTIONS)


def _directory(name: str) -> str:
    return next(found for prefix, found in _DIRECTORIES.items() if name.startswith(prefix))


def _needed(native: str) -> Mapping[str, List[str]]:
    """By library, the functions that ``native`` wants of it."""
    with open(native, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        (table_offset,) = struct.unpack_from("<Q", data, 40)
        entry_size, entries = struct.unpack_from("<HH", data, 58)
        sections = [
            struct.unpack_from("<IIQQQQIIQQ", data, table_offset + index * entry_size)
            for index in range(entries)
        ]
        by_type = {section[1]: section for section in sections}
        symbols, versions, needs = by_type[_DYNSYM], by_type[_VERSYM], by_type[_VERNEED]
        strings = sections[symbols[6]][4]

        def text(offset: int) -> str:
            start = strings + offset
            return data[start : data.find(b"\0", start)].decode()

        libraries = _version_libraries(data, needs[4], needs[7], text)
        found: Dict[str, List[str]] = {}
        for index in range(symbols[5] // 24):
            name, _, _, section = struct.unpack_from("<IBBH", data, symbols[4] + 24 * index)
            (version,) = struct.unpack_from("<H", data, versions[4] + 2 * index)
            library = libraries.get(version & 0x7FFF, "")
            if section == 0 and library.startswith(tuple(_DIRECTORIES)):
                found.setdefault(library, []).append(text(name))
        return found


def _version_libraries(
    data: mmap.mmap, offset: int, count: int, text: Callable[[int], str]
) -> Dict[int, str]:
    libraries: Dict[int, str] = {}
    for _ in range(count):
        _, parts, file, first, following = struct.unpack_from("<HHIII", data, offset)
        part = offset + first
        for _ in range(parts):
            _, _, number, _, next_part = struct.unpack_from("<IHHII", data, part)
            libraries[number] = text(file)
            part += next_part
        offset += following
    return libraries


def shared_library(name: str, functions: Iterable[str]) -> bytes:
    """An x86-64 ELF library ``name`` whose functions have the version ``name`` and return 1 (or a text)."""
    names = list(functions)
    strings = b"\0" + b"".join(n.encode() + b"\0" for n in [name, f"{name}.file", *names])
    where = {n: strings.index(b"\0" + n.encode() + b"\0") + 1 for n in [name, f"{name}.file", *names]}
    code_at = 64 + 4 * 56
    text_at = code_at + len(_CODE)
    strings_at = text_at + len(_TEXT_CODE)
    symbols_at = _aligned(strings_at + len(strings))
    symbols = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", where[n], 0x12, 0, 1, text_at if n.endswith("ErrorString") else code_at, 8)
        for n in names
    )
    hash_at = symbols_at + len(symbols)
    count = len(names) + 1  # one bucket: all symbols in one chain
    hashes = struct.pack("<III", 1, count, count - 1) + struct.pack(f"<{count}I", 0, *range(count - 1))
    versym_at = _aligned(hash_at + len(hashes))
    versym = struct.pack(f"<{count}H", 0, *[2] * len(names))
    verdef_at = _aligned(versym_at + len(versym))
    verdef = b"".join(
        struct.pack("<HHHHIIIII", 1, flags, number, 1, _hash(n), 20, skip, where[n], 0)
        for flags, number, n, skip in ((1, 1, f"{name}.file", 28), (0, 2, name, 0))
    )
    dynamic_at = _aligned(verdef_at + len(verdef))
    tags = [
        (14, where[name]), (4, hash_at), (5, strings_at), (6, symbols_at), (10, len(strings)), (11, 24),
        (0x6FFFFFF0, versym_at), (0x6FFFFFFC, verdef_at), (0x6FFFFFFD, 2), (0, 0),
    ]  # fmt: skip
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    size = dynamic_at + len(dynamic)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, 0, 0, 64, 56, 4, 64, 0, 0)
    moved = dynamic_at + _PAGE
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, dynamic_at, dynamic_at, _PAGE)
    segments += struct.pack("<IIQQQQQQ", 1, 6, dynamic_at, moved, moved, len(dynamic), len(dynamic), _PAGE)
    segments += struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, moved, moved, len(dynamic), len(dynamic), 8)
    segments += struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    image = bytearray(size)
    for offset, part in [
        (0, header), (64, segments), (code_at, _CODE), (text_at, _TEXT_CODE), (strings_at, strings),
        (symbols_at, symbols), (hash_at, hashes), (versym_at, versym), (verdef_at, verdef), (dynamic_at,
        dynamic),
    ]:  # fmt: skip
        image[offset : offset + len(part)] = part
    return bytes(image)


def _aligned(offset: int) -> int:
    return -(-offset // 8) * 8


def _hash(name: str) -> int:
    """The hash that ELF defines for names."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value
