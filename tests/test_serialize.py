"""What is loaded is what was saved, to the last bit, or it is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan import nn
from minigan.core.errors import ArgumentError, FileError, ModelFileError, OutputPathError
from minigan.serialize import checksum, load, load_foreign, save

DTYPES = "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 complex64"


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal in type (byte order apart), shape and bits; NaNs and the sign of zeros included."""
    a, b = (np.asarray(x, x.dtype.newbyteorder("="), order="C") for x in (a, b))
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def random_bits(dtype, shape, seed: int = 0) -> np.ndarray:
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.random.default_rng(seed).integers(0, 2, shape).astype(bool)
    size = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer(np.random.default_rng(seed).bytes(size), dtype).reshape(shape)


LAYOUTS = {
    "C order": lambda a: a,
    "Fortran order": np.asfortranarray,
    "transposed": lambda a: a.T,
    "every second": lambda a: a[::2, 1::2],
    "backwards": lambda a: a[::-1, ::-1],
    "repeated": lambda a: np.broadcast_to(a[:1], a.shape),
    "0-d": lambda a: a[0, 0, ...],
    "a NumPy scalar": lambda a: a[0, 0],
    "empty": lambda a: a[:0],
    "four axes": lambda a: a.reshape(2, 3, 4, 1).transpose(3, 1, 0, 2),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


@pytest.mark.parametrize("dtype", DTYPES.split())
def test_every_dtype_and_layout_comes_back_to_the_bit(tmp_path, dtype):
    array = random_bits(dtype, (4, 6))
    arrays = {name: layout(array) for name, layout in LAYOUTS.items()}
    save(tmp_path / "a", arrays, {})
    loaded, settings = load(tmp_path / "a")
    assert settings == {}
    assert loaded.keys() == arrays.keys()
    for name, a in arrays.items():
        assert same(loaded[name], a), name
        assert loaded[name].flags.writeable
        assert loaded[name].flags.c_contiguous


def test_saving_does_not_touch_the_arrays(tmp_path):
    arrays = {"a": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.arange(3, dtype=">i4")}
    before = {name: (a.tolist(), a.dtype, a.strides) for name, a in arrays.items()}
    save(tmp_path / "a", arrays, {})
    assert {name: (a.tolist(), a.dtype, a.strides) for name, a in arrays.items()} == before


def test_settings_may_be_left_out(tmp_path):
    save(tmp_path / "a", {"x": np.ones(2)})
    arrays, settings = load(tmp_path / "a")
    assert (arrays["x"].tolist(), settings) == ([1, 1], {})


SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    settings=st.dictionaries(st.text(), SETTINGS, max_size=4),
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs"])).filter(lambda n: n != "__metadata__"),
        max_size=4,
        unique=True,
    ),
)
def test_any_names_and_any_json_settings_come_back(tmp_path_factory, settings, names):
    path = tmp_path_factory.getbasetemp() / "any"
    arrays = {name: np.full(3, i) for i, name in enumerate(names)}
    save(path, arrays, settings)
    loaded, found = load(path)
    assert found == settings
    assert loaded.keys() == arrays.keys()
    assert all(same(loaded[name], a) for name, a in arrays.items())


def test_the_same_content_gives_the_same_file_whatever_the_order_of_names(tmp_path):
    arrays, settings = {n: np.arange(3.0) for n in "abcdef"}, dict.fromkeys("uvwxyz", 1)
    turned = [dict(reversed(table.items())) for table in (arrays, settings)]
    save(tmp_path / "1", arrays, settings)
    save(tmp_path / "2", *turned)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_network_comes_back_through_a_file(tmp_path):
    def network():
        return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 1))

    net, other, x = network(), network(), mg.rand(2, 2, 4, 4)
    net(x)  # moves the running statistics
    save(tmp_path / "net", net.state_dict(), {"width": 3})
    state, settings = load(tmp_path / "net")
    other.load_state_dict(state)
    assert settings == {"width": 3}
    assert other.eval()(x).tolist() == net.eval()(x).tolist()


def test_the_file_is_one_that_other_programs_read(tmp_path):
    from safetensors.numpy import load_file

    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    save(tmp_path / "a", {"a": array}, {})
    np.testing.assert_array_equal(load_file(tmp_path / "a")["a"], array)


# ---------------------------------------------------------------------- checksums


def test_a_checksum_tells_apart_what_differs_in_values_shape_or_type():
    a = np.arange(6, dtype=np.int32)
    different = [
        a,
        a + 1,
        a.reshape(2, 3),
        a.reshape(3, 2),
        a.view(np.uint32),
        a.astype(np.int64),
        np.array(0.0),
        np.array(-0.0),
        np.zeros(0),
        np.zeros((0, 2)),
    ]
    sums = [checksum(x) for x in different]
    assert len(set(sums)) == len(sums)
    assert all(len(s) == 64 and int(s, 16) >= 0 for s in sums)


def test_a_checksum_does_not_depend_on_how_the_values_lie_in_memory():
    a = np.arange(6.0).reshape(2, 3)
    same_values = [np.asfortranarray(a), a[::-1][::-1], a.astype(">f8"), np.repeat(a, 2, 1)[:, ::2]]
    assert {checksum(x) for x in same_values} == {checksum(a)}


# ---------------------------------------------------------------------- damage


@pytest.fixture
def model(tmp_path) -> Path:
    arrays = {"weight": random_bits("float32", (3, 5)), "bias": np.ones(3), "n": np.array(7)}
    save(tmp_path / "model", arrays, {"width": 16, "name": "little", "rates": [0.1, 0.2]})
    return tmp_path / "model"


def header_length(content: bytes) -> int:
    """safetensors: 8 bytes that give the length of a JSON header, the header, the data."""
    return 8 + int.from_bytes(content[:8], "little")


def loads_unaltered(path: Path, original) -> bool:
    """True if the file gives what was saved, False if it is refused; it must be one of the two."""
    try:
        arrays, settings = load(path)
    except ModelFileError as error:
        message = str(error)
        assert message.startswith(str(path))
        assert "\n" not in message
        return False
    expected, expected_settings = original
    assert settings == expected_settings
    assert arrays.keys() == expected.keys()
    assert all(same(arrays[name], a) for name, a in expected.items())
    return True


def test_one_changed_byte_of_tensor_data_is_always_noticed(model):
    content, original = model.read_bytes(), load(model)
    rng = np.random.default_rng(0)
    for position in range(header_length(content), len(content)):
        damaged = bytearray(content)
        damaged[position] ^= int(rng.integers(1, 256))
        model.write_bytes(damaged)
        assert not loads_unaltered(model, original), position


def test_one_changed_byte_anywhere_never_gives_anything_altered(model):
    content, original = model.read_bytes(), load(model)
    rng = np.random.default_rng(1)
    for position in range(header_length(content)):
        damaged = bytearray(content)
        damaged[position] ^= int(rng.choice([1, 2, 4, 32, int(rng.integers(1, 256))]))
        model.write_bytes(damaged)
        loads_unaltered(model, original)


def test_many_changed_bytes_never_give_anything_altered(model):
    content, original = model.read_bytes(), load(model)
    rng = np.random.default_rng(2)
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(2, 9)):
            damaged[position] = int(rng.integers(0, 256))
        model.write_bytes(damaged)
        loads_unaltered(model, original)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'\\"width\\": 16', b'\\"width\\": 61'),
        (b'"weight":{', b'"weighs":{'),
        (b'"F32"', b'"I32"'),
        (b"[3,5]", b"[5,3]"),
        (b'\\"settings\\":', b'\\"settingz\\":'),
        (b'\\"checksums\\":', b'\\"checksumz\\":'),
        (b"minigan 1", b"minigan 2"),
    ],
    ids=str,
)
def test_a_change_in_the_header_that_still_parses_is_noticed(model, old, new):
    content = model.read_bytes()
    assert content.count(old) == 1
    model.write_bytes(content.replace(old, new))
    with pytest.raises(ModelFileError, match=r"damaged|has no 'minigan 1'"):
        load(model)


def test_exchanging_two_tensors_of_one_shape_is_noticed(tmp_path):
    path = tmp_path / "a"
    save(path, {"a": np.zeros(4), "b": np.ones(4)}, {})
    content = path.read_bytes()
    path.write_bytes(content[:-64] + content[-32:] + content[-64:-32])
    with pytest.raises(ModelFileError, match=r"damaged: tensor '[ab]' does not match its checksum"):
        load(path)


def test_settings_without_any_tensor_are_protected_too(tmp_path):
    path = tmp_path / "a"
    save(path, {}, {"steps": 100})
    assert load(path) == ({}, {"steps": 100})
    path.write_bytes(path.read_bytes().replace(b"100", b"900"))
    with pytest.raises(ModelFileError, match="damaged: its settings do not match their checksum"):
        load(path)


def test_a_file_cut_short_anywhere_or_continued_is_refused(model):
    content = model.read_bytes()
    for length in [*range(0, len(content), 7), len(content) - 1]:
        model.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            load(model)
    model.write_bytes(content + b"\0")
    with pytest.raises(ModelFileError):
        load(model)


# ---------------------------------------------------------------------- what is no model


def refusal(path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert isinstance(caught.value, FileError)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path)).strip()


def test_a_missing_file_an_empty_one_and_a_folder_are_told_apart(tmp_path):
    needs = "it needs a model that minigan saved"
    assert refusal(tmp_path / "none") == f"does not exist; {needs}"
    assert refusal(tmp_path / ("n" * 300)) == f"does not exist; {needs}"
    assert refusal(tmp_path) == f"is no file; {needs}"
    (tmp_path / "empty").touch()
    assert refusal(tmp_path / "empty") == f"is empty (0 bytes); {needs}"
    assert refusal(tmp_path / "empty" / "below") == f"does not exist; {needs}"


@pytest.mark.parametrize(
    "content", [b"x", b"weights: 1 2 3\n" * 50, b"\0" * 100, b"\xff" * 100, b"PK\3\4" * 30]
)
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    message = refusal(tmp_path / "a")
    assert message.startswith("is no safetensors file, or is damaged (")
    assert message.endswith("); it needs a model that minigan saved")


def test_a_safetensors_file_of_another_program_is_named_as_such(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3)}, tmp_path / "plain")
    save_file({"a": np.ones(3)}, tmp_path / "other", {"format": "pt"})
    save_file({"a": np.ones(3)}, tmp_path / "newer", {"minigan 2": ""})
    for name in ("plain", "other", "newer"):
        assert refusal(tmp_path / name) == (
            "is a safetensors file, but its metadata has no 'minigan 1'; it needs a model that "
            "minigan saved"
        )
    save_file({"a": np.ones(3)}, tmp_path / "forged", {"minigan 1": "{}"})
    assert refusal(tmp_path / "forged").startswith("is damaged")


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_number_formats_that_numpy_lacks_are_refused(tmp_path, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: it writes the file")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3, dtype=getattr(torch, dtype))}, tmp_path / "a")
    # Where NumPy has learned of them, as it has once onnx was imported, there is no record.
    assert refusal(tmp_path / "a").endswith("it needs a model that minigan saved")


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        ({"a": np.array(["text"])}, {}, "Unknown dtype"),
        ({"a": np.ones(2, complex)}, {}, 'Unknown dtype "complex128"; it needs arrays of numbers'),
        ({"a": [1, 2]}, {}, "'list' object has no attribute 'dtype'"),
        ({1: np.ones(2)}, {}, "'int' object is not an instance of 'str'"),
        (
            {"__metadata__": np.ones(2)},
            {},
            "a tensor is named '__metadata__', which safetensors takes",
        ),
        (
            {},
            {"a": np.ones(2)},
            "ndarray is not JSON serializable; it needs arrays of numbers by name",
        ),
        ({}, {1: 2, "a": 3}, "'<' not supported between instances"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_before_anything_is_written(
    tmp_path, arrays, settings, message
):
    with pytest.raises(ArgumentError) as caught:
        save(tmp_path / "a", arrays, settings)
    assert str(caught.value).startswith(f"save {tmp_path / 'a'}: ")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- whole or not at all


def test_a_full_disk_leaves_the_old_model_whole_and_nothing_beside_it(model, monkeypatch):
    before = load(model)
    write_bytes = Path.write_bytes

    def write_half(self, content):
        write_bytes(self, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OutputPathError, match="model: No space left on device"):
        save(model, {"a": np.zeros(1000)}, {})
    assert loads_unaltered(model, before)
    assert os.listdir(model.parent) == ["model"]


def test_a_folder_in_the_way_and_a_missing_folder_are_told(tmp_path):
    with pytest.raises(OutputPathError, match="it is a folder"):
        save(tmp_path, {}, {})
    with pytest.raises(OutputPathError, match="does not exist"):
        save(tmp_path / "none" / "a", {}, {})


def test_saving_over_a_model_that_is_loaded_does_not_change_what_was_loaded(model):
    arrays, _ = load(model)
    kept = {name: a.copy() for name, a in arrays.items()}
    save(model, {name: np.zeros_like(a) for name, a in arrays.items()}, {})
    assert all(same(arrays[name], a) for name, a in kept.items())


# ---------------------------------------------------------------------- files of other programs


@pytest.mark.parametrize("dtype", DTYPES.split())
def test_a_foreign_file_gives_its_arrays(tmp_path, dtype):
    from safetensors.numpy import save_file

    arrays = {"conv.weight": random_bits(dtype, (3, 2)), "conv.bias": random_bits(dtype, (3,), 1)}
    save_file(arrays, tmp_path / "a", {"format": "pt"})
    loaded = load_foreign(tmp_path / "a")
    assert loaded.keys() == arrays.keys()
    assert all(same(loaded[name], a) and loaded[name].flags.writeable for name, a in arrays.items())


def test_a_file_of_ours_can_be_read_as_a_foreign_one(model):
    assert load_foreign(model).keys() == load(model)[0].keys()


def test_bfloat16_of_a_foreign_file_becomes_float32(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: it writes the file")
    from safetensors.torch import save_file

    state = {
        "b": torch.randn(3, 5).bfloat16(),
        "a": torch.randn(4),
        "c": torch.tensor(1.5).bfloat16(),
    }
    save_file(state, tmp_path / "a")
    loaded = load_foreign(tmp_path / "a")
    assert loaded.keys() == state.keys()
    assert all(same(loaded[name], t.float().numpy()) for name, t in state.items())


def foreign_refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_foreign(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert message.endswith("; it needs the tensors of a network in NumPy's types or bfloat16")
    return message


def test_a_foreign_file_that_is_damaged_or_missing_is_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "a"
    assert "does not exist" in foreign_refusal(path)
    save_file({"a": np.ones(30)}, path)
    content = path.read_bytes()
    for length in (0, 1, 7, 8, 20, 100, len(content) - 1):
        path.write_bytes(content[:length])
        foreign_refusal(path)
    for start in (2**62).to_bytes(8, "little"), (2**40).to_bytes(8, "little"), b"PK\3\4abcd":
        path.write_bytes(start + content[8:])
        assert "is no safetensors file" in foreign_refusal(path)


def test_a_type_that_numpy_lacks_is_refused_in_a_foreign_file(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: it writes the file")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3, dtype=torch.float8_e4m3fn)}, tmp_path / "a")
    assert "holds F8_E4M3 in tensor 'a'" in foreign_refusal(tmp_path / "a")
