"""Reading what torch.save wrote without trusting it.

A torch file is a pickle plus raw storages, and a pickle may name any function to call.
Released checkpoints also hold callback classes and config objects, so that
`torch.load(weights_only=True)` refuses them. Here every name outside a short list becomes an inert
class: nothing is imported and nothing runs, but the tensors are read.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from diffae.errors import CheckpointError, existing_file, one_line

ZIP_START = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001

STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")
# Built-in types cannot be changed by a pickle's BUILD instruction, which Python classes could be.
CONTAINERS: dict[tuple[str, str], type] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): tuple,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    # the same under Python 2, whose names torch's pickle protocol uses
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
}


class Inert:
    """Takes the place of everything that a file names besides tensors and containers.

    It accepts any arguments, state and items, and keeps none of them. Instances cannot be called. A
    pickle that calls an object it made is therefore refused.
    """

    def __new__(cls, *args: object, **kwargs: object) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """List items are dropped."""

    def extend(self, items: object) -> None:
        """List items are dropped."""

    def add(self, item: object) -> None:
        """Set items are dropped."""


LoadStorage = Callable[[str, torch.dtype, int, tuple[object, ...]], Tensor]


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that can build tensors, plain containers and inert objects, and nothing else.

    Args:
        file: where the pickle starts.
        load_storage: (key, dtype, number of elements, what else the file says of it) -> the
            storage as a flat tensor; None for pickles without tensors.
    """

    def __init__(self, file: IO[bytes], load_storage: LoadStorage | None = None) -> None:
        # Text of Python 2 files may be in any encoding; this one never fails.
        super().__init__(file, encoding="latin1")
        self._load_storage = load_storage
        self._classes: dict[tuple[str, str], type] = {}

    def find_class(self, module: str, name: str) -> Any:
        # Bound methods, because a pickle could set attributes of a plain function.
        rebuild = {
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v3"): self._tensor_of_dtype,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("torch._utils", "_rebuild_parameter_with_state"): self._parameter,
        }
        if (module, name) in rebuild:
            return rebuild[module, name]
        if (module, name) in CONTAINERS:
            return CONTAINERS[module, name]
        if module in STORAGE_MODULES and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        if module == "torch" and isinstance(vars(torch).get(name), torch.dtype):
            return vars(torch)[name]
        # One class per name: released files use classes as keys.
        return self._classes.setdefault((module, name), type(name, (Inert,), {}))

    def persistent_load(self, pid: Any) -> Any:
        kind, *parts = pid
        if kind == "module":  # old files name a network's class with its source text
            return parts[0]
        if kind != "storage" or self._load_storage is None:
            raise pickle.UnpicklingError(f"unknown reference {kind!r}")
        dtype, key, _, count, *rest = parts
        return self._load_storage(str(key), dtype, count, tuple(rest))

    def _tensor(
        self, flat: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: object
    ) -> Tensor:
        # as_strided checks the bounds; setting the storage of a tensor would enlarge it.
        return flat.as_strided(tuple(size), tuple(stride), offset)

    def _tensor_of_dtype(
        self,
        flat: Tensor,
        offset: int,
        size: Sequence[int],
        stride: Sequence[int],
        requires_grad: bool,
        hooks: object,
        dtype: torch.dtype,
        *_: object,
    ) -> Tensor:
        return self._tensor(flat.view(dtype), offset, size, stride)

    def _parameter(self, data: Tensor, *_: object) -> Tensor:
        return data


def read_torch(path: str | Path) -> Any:
    """The content of a file of torch.save, zip or legacy, on the CPU; nothing in it is executed.

    Dicts, lists, tuples, sets, numbers and text stay what they are. Tensors and parameters become
    tensors without gradients. Everything else, also numpy numbers, becomes `Inert`.

    The tensors of a zip file are mapped into memory. Only the parts that are used take memory, and
    changes do not reach the file. The file must not be rewritten while they are in use.

    Raises:
        CheckpointError: missing, empty, truncated or foreign file, in one line.
    """
    path = existing_file(path)
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(ZIP_START)) == ZIP_START
            file.seek(0)
            return _read_zip(path, file) if is_zip else _read_legacy(path, file)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise CheckpointError(
            f"{path}: not a torch checkpoint, or a damaged one ({one_line(error)})"
        ) from error


def _read_zip(path: Path, file: IO[bytes]) -> Any:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.count("/") == 1]
        root = next((n.removesuffix("data.pkl") for n in pickles if n.endswith("/data.pkl")), None)
        if root is None:
            raise CheckpointError(f"{path}: a zip file, but not one of torch (no data.pkl)")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") == b"big":
            raise CheckpointError(f"{path}: written on a big-endian machine, save it on another")
        whole = torch.UntypedStorage.from_file(str(path), False, path.stat().st_size)
        storages: dict[str, Tensor] = {}

        def load_storage(key: str, dtype: torch.dtype, count: int, _: object) -> Tensor:
            if key not in storages:
                record = archive.getinfo(f"{root}data/{key}")
                start, length = _place(record, file), count * dtype.itemsize
                fits = 0 <= length <= record.file_size and start + length <= len(whole)
                if record.compress_type != zipfile.ZIP_STORED or not fits:
                    raise pickle.UnpicklingError(f"storage {key} is not {length} bytes long")
                storages[key] = _flat(whole[start : start + length] if length else None, dtype)
            return storages[key]

        with archive.open(f"{root}data.pkl") as stream:
            return RestrictedUnpickler(stream, load_storage).load()


def _place(record: zipfile.ZipInfo, file: IO[bytes]) -> int:
    """Where the bytes of a record start: behind its header, name and padding."""
    position = file.tell()
    file.seek(record.header_offset + 26)
    lengths = file.read(4)
    file.seek(position)
    name, extra = (int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))
    return record.header_offset + 30 + name + extra


def _read_legacy(path: Path, file: IO[bytes]) -> Any:
    if RestrictedUnpickler(file).load() != LEGACY_MAGIC:
        raise CheckpointError(f"{path}: a pickle, but not one of torch")
    if (version := RestrictedUnpickler(file).load()) != LEGACY_VERSION:
        raise CheckpointError(f"{path}: torch format {version}, only {LEGACY_VERSION} is known")
    RestrictedUnpickler(file).load()  # byte order and integer sizes of the writing machine
    num_bytes = path.stat().st_size
    storages: dict[str, Tensor] = {}

    def load_storage(key: str, dtype: torch.dtype, count: int, rest: tuple[Any, ...]) -> Tensor:
        if key not in storages:
            if not 0 <= count * dtype.itemsize <= num_bytes:
                raise pickle.UnpicklingError(f"storage {key} is longer than the file")
            storages[key] = torch.zeros(count, dtype=dtype)
        if rest and rest[0] is not None:
            _, start, length = rest[0]
            return storages[key].narrow(0, start, length)
        return storages[key]

    content = RestrictedUnpickler(file, load_storage).load()
    # The numbers follow the pickle: for each key an element count and the raw elements.
    for key in RestrictedUnpickler(file).load():
        flat = storages[str(key)]
        count = int.from_bytes(file.read(8), "little")
        raw = flat.view(torch.uint8).numpy() if flat.numel() else bytearray()
        if count != flat.numel() or file.readinto(raw) != len(raw):  # type: ignore[attr-defined]
            raise pickle.UnpicklingError(f"storage {key} ends early")
    return content


def _flat(storage: torch.UntypedStorage | None, dtype: torch.dtype) -> Tensor:
    empty = torch.empty(0, dtype=dtype)
    return empty if storage is None else empty.set_(storage)  # type: ignore[call-overload]
