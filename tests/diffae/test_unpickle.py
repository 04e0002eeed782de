"""Torch files read without trust: tensors come back, nothing runs, damage is one line."""

import collections
import contextlib
import io
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffae import CheckpointError
from diffae.unpickle import Inert, read_torch

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


@pytest.fixture
def saved(tmp_path: Path):
    """Function: write a file with torch.save, return its path."""

    def save(content: object, zipped: bool = True) -> Path:
        path = tmp_path / ("a.pt" if zipped else "a.pth.tar")
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        return path

    return save


@FORMATS
@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
        torch.complex64,
    ],
)
def test_tensors_of_all_kinds_come_back(saved, zipped: bool, dtype: torch.dtype):
    base = (torch.arange(24) % 2 if dtype == torch.bool else torch.arange(24)).to(dtype)
    base = base.reshape(4, 6)
    content = {
        "plain": base,
        "view": base[1:, ::2],
        "turned": base.T,
        "scalar": base[2, 3],
        "empty": torch.zeros(0, 3, dtype=dtype),
    }
    loaded = read_torch(saved(content, zipped))
    assert loaded.keys() == content.keys()
    for name, tensor in content.items():
        assert loaded[name].dtype == dtype
        assert torch.equal(loaded[name], tensor), name
    assert loaded["turned"].stride() == (1, 6)


@FORMATS
def test_shared_storages_stay_shared_and_the_file_untouched(saved, zipped: bool):
    tensor = torch.arange(6.0)
    path = saved([tensor, tensor[2:]], zipped)
    before = path.read_bytes()
    whole, part = read_torch(path)
    part[0] = 99
    assert whole.tolist() == [0, 1, 99, 3, 4, 5]
    assert path.read_bytes() == before


@FORMATS
def test_parameters_become_tensors_without_gradients(saved, zipped: bool):
    loaded = read_torch(saved({"w": torch.nn.Parameter(torch.ones(2))}, zipped))
    assert type(loaded["w"]) is torch.Tensor
    assert not loaded["w"].requires_grad


@FORMATS
def test_containers_numbers_and_text(saved, zipped: bool):
    content = {
        "list": [1, 2.5, "naïve", None, True, b"\x00\xff", 2**70],
        "tuple": ((), (1,), torch.Size([2, 3])),
        "ordered": collections.OrderedDict(b=1, a=2),
        "sets": [{1, 2}, frozenset([3])],
        "dtype": torch.float16,
    }
    loaded = read_torch(saved(content, zipped))
    assert loaded["list"][:5] == content["list"][:5]
    assert loaded["list"][6] == 2**70
    assert loaded["tuple"] == ((), (1,), (2, 3))
    assert list(loaded["ordered"].items()) == [("b", 1), ("a", 2)]
    assert loaded["sets"] == content["sets"]
    assert loaded["dtype"] is torch.float16


def test_state_dict_of_a_module_keeps_its_order(saved):
    state = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).state_dict()
    loaded = read_torch(saved(state))
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[name], state[name]) for name in state)


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.reduced


@FORMATS
def test_calls_do_not_run(saved, tmp_path: Path, zipped: bool):
    sprung = tmp_path / "sprung"
    traps = [
        Call(os.system, f"touch {sprung}"),
        Call(eval, f"open({str(sprung)!r}, 'w')"),
        Call(exec, f"open({str(sprung)!r}, 'w')"),
        Call(getattr, Path, "touch"),
        Call(torch.load, str(sprung)),
        Call(torch.hub.load, "owner/name", "model"),
        Call(open, str(sprung), "w"),
    ]
    loaded = read_torch(saved({"w": torch.ones(2), "traps": traps}, zipped))
    assert torch.equal(loaded["w"], torch.ones(2))
    assert all(isinstance(trap, Inert) for trap in loaded["traps"])
    assert not sprung.exists()


def test_nothing_is_imported(tmp_path: Path):
    (tmp_path / "trap_module.py").write_text("raise SystemExit('imported')")
    sys.path.insert(0, str(tmp_path))
    try:
        # the opcode GLOBAL with a module that would be found
        path = tmp_path / "a.pt"
        write_archive(path, b"\x80\x02ctrap_module\nThing\n.")
        loaded = read_torch(path)
    finally:
        sys.path.remove(str(tmp_path))
    assert issubclass(loaded, Inert)
    assert loaded.__name__ == "Thing"
    assert "trap_module" not in sys.modules


def write_archive(path: Path, pickled: bytes, **records: bytes) -> None:
    """A torch zip file with this pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in records.items():
            archive.writestr(f"archive/{name}", data)


@pytest.fixture
def foreign():
    """Function: a class of a module that exists only while the test runs."""
    module = types.ModuleType("foreign_config")
    sys.modules["foreign_config"] = module

    def make(name: str, *bases: type, **body: object) -> type:
        cls = type(name, bases, {"__module__": "foreign_config", **body})
        setattr(module, name, cls)
        return cls

    yield make
    sys.modules.pop("foreign_config", None)


@FORMATS
def test_foreign_objects_become_inert(saved, foreign, zipped: bool):
    class_key = foreign("ModelCheckpoint")
    with_state = foreign("Config")()
    with_state.value = {"lr": 1e-4}
    with_slots = foreign("Slotted", __slots__=("a",))()
    with_slots.a = 3
    as_dict, as_list = foreign("AttributeDict", dict)(a=1), foreign("ListConfig", list)([1, 2])
    as_set = foreign("Tags", set)([1])
    with_state_method = foreign(
        "Stateful", __getstate__=lambda self: [1, 2], __setstate__=lambda self, state: None
    )()
    reduced = Call(foreign("Rebuilt", tuple), (1, 2))
    content = {
        "callbacks": {class_key: {"best": torch.tensor(1.5)}},
        "objects": [with_state, with_slots, as_dict, as_list, as_set, with_state_method, reduced],
        "default": collections.defaultdict(list, a=[1]),
        "epoch": 3,
    }
    path = saved(content, zipped)
    del sys.modules["foreign_config"]
    loaded = read_torch(path)
    (key,) = loaded["callbacks"]
    assert issubclass(key, Inert)
    assert key.__name__ == "ModelCheckpoint"
    assert loaded["callbacks"][key]["best"] == 1.5
    assert all(isinstance(thing, Inert) for thing in loaded["objects"])
    assert isinstance(loaded["default"], Inert)
    assert loaded["epoch"] == 3
    assert "foreign_config" not in sys.modules


@FORMATS
def test_one_name_is_one_class(saved, foreign, zipped: bool):
    cls = foreign("Key")
    loaded = read_torch(saved([{cls: 1}, {cls: 2}, cls()], zipped))
    assert loaded[0].keys() == loaded[1].keys()
    assert type(loaded[2]) in loaded[0]


@FORMATS
def test_numpy_numbers_are_inert_and_do_no_harm(saved, zipped: bool):
    content = {"best_val_loss": np.float64(0.5), "array": np.arange(3), "w": torch.ones(1)}
    loaded = read_torch(saved(content, zipped))
    assert isinstance(loaded["best_val_loss"], Inert)
    assert isinstance(loaded["array"], Inert)
    assert loaded["w"] == 1


def test_functions_of_the_unpickler_cannot_be_changed(tmp_path: Path):
    """BUILD with a slot state sets attributes of whatever stands on the stack."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    for target in (rebuild, b"ccollections\nOrderedDict\n", b"ctorch\nfloat32\n"):
        pickled = b"\x80\x02" + target + b"N}X\x08\x00\x00\x00__name__X\x01\x00\x00\x00xs\x86b."
        write_archive(tmp_path / "a.pt", pickled)
        with pytest.raises(CheckpointError):
            read_torch(tmp_path / "a.pt")
    assert collections.OrderedDict.__name__ == "OrderedDict"


def tensor_pickle(size: tuple[int, ...], stride: tuple[int, ...], offset: int, count: int) -> bytes:
    """The pickle of one float tensor whose storage is `0`."""

    class Writer(pickle._Pickler):  # type: ignore[name-defined]
        def persistent_id(self, thing: object) -> object:
            if isinstance(thing, Reference):
                return ("storage", torch.FloatStorage, "0", "cpu", count)
            return None

    stream = io.BytesIO()
    arguments = (Reference(), offset, size, stride, False, collections.OrderedDict())
    Writer(stream, 2).dump(Call(torch._utils._rebuild_tensor_v2, *arguments))
    return stream.getvalue()


class Reference:
    """Stands for a storage."""


@pytest.mark.parametrize(
    ("size", "stride", "offset", "count"),
    [
        ((5,), (1,), 0, 4),
        ((4,), (1,), 1, 4),
        ((2, 3), (3, 1), 0, 4),
        ((4,), (-1,), 3, 4),
        ((2,), (1,), -1, 4),
        ((4,), (1,), 0, 400),
        ((4,), (1,), 0, -4),
    ],
)
def test_tensors_outside_their_storage_are_refused(tmp_path: Path, size, stride, offset, count):
    data = torch.arange(4.0).numpy().tobytes()
    path = tmp_path / "a.pt"
    write_archive(path, tensor_pickle((4,), (1,), 0, 4), **{"data/0": data})
    assert read_torch(path).tolist() == [0, 1, 2, 3]
    write_archive(path, tensor_pickle(size, stride, offset, count), **{"data/0": data})
    with pytest.raises(CheckpointError):
        read_torch(path)


def test_compressed_and_big_endian_files_are_refused(tmp_path: Path):
    path, data = tmp_path / "a.pt", bytes(16)
    write_archive(path, tensor_pickle((4,), (1,), 0, 4), byteorder=b"big", **{"data/0": data})
    with pytest.raises(CheckpointError, match="big-endian"):
        read_torch(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle((4,), (1,), 0, 4))
        archive.writestr("archive/data/0", data)
    with pytest.raises(CheckpointError):
        read_torch(path)


def test_a_storage_of_a_legacy_file_larger_than_the_file_takes_no_memory(saved):
    data = saved(torch.arange(4.0), zipped=False).read_bytes()
    path = saved(torch.arange(4.0), zipped=False)
    # the count 4 as the opcodes write it: a byte, and instead a large int
    path.write_bytes(data.replace(b"K\x04", b"J\xff\xff\xff\x7f"))
    with pytest.raises(CheckpointError, match="longer than the file"):
        read_torch(path)


def bad_files(folder: Path) -> dict[str, Path]:
    """Every way a file can be wrong -> a file that is."""
    bad = {"missing": folder / "absent.pt", "folder": folder}
    contents = {
        "empty": b"",
        "text": b"version https://git-lfs.github.com/spec/v1\n" * 3,
        "page": b"<!DOCTYPE html><html><title>Sign in</title></html>",
        "plain pickle": pickle.dumps({"a": 1}),
        "zeros": bytes(1000),
    }
    for zipped in (True, False):
        good = folder / "good.pt"
        torch.save({"w": torch.randn(500)}, good, _use_new_zipfile_serialization=zipped)
        data = good.read_bytes()
        for part in (1, 3, 40, len(data) // 2, len(data) - 10):
            contents[f"cut at {part} {zipped}"] = data[:part]
    for kind, data in contents.items():
        bad[kind] = folder / f"{kind}.pt"
        bad[kind].write_bytes(data)
    bad["plain zip"] = folder / "plain.zip"
    with zipfile.ZipFile(bad["plain zip"], "w") as archive:
        archive.writestr("readme.txt", "hello")
    return bad


def test_bad_files_are_refused_in_one_line(tmp_path: Path):
    for kind, path in bad_files(tmp_path).items():
        with pytest.raises(CheckpointError) as raised:
            read_torch(path)
        assert str(path) in str(raised.value), kind
        assert "\n" not in str(raised.value), kind


def test_random_damage_never_escapes_as_another_error(saved):
    generator = torch.Generator().manual_seed(0)
    for zipped in (True, False):
        path = saved({"w": torch.randn(4), "o": Call(os.getcwd), "l": [{1: (2, "x")}]}, zipped)
        data = bytearray(path.read_bytes())
        for _ in range(150):
            damaged = bytearray(data)
            place = int(torch.randint(len(data), (1,), generator=generator))
            damaged[place] = int(torch.randint(256, (1,), generator=generator))
            path.write_bytes(damaged)
            with contextlib.suppress(CheckpointError):
                read_torch(path)
