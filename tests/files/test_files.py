"""Trees of arrays in files: what is saved comes back, and what is no such file is refused."""

import collections
import dataclasses
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import arraylib
import arraylib.numpy as jnp
from arraylib import Array, dtypes as dt, files, tree
from arraylib.errors import ArgumentError, DtypeError, ShapeError, StructureError

FORMATS = ["npz", "safetensors"]
Layer = collections.namedtuple("Layer", "w b")
DTYPES = [d for d in dt.ALL if d not in (dt.complex128,) and dt.bits(d) >= 8]
STATE = {
    "layers": [Layer(jnp.arange(6.0).reshape(2, 3), None), Layer(jnp.zeros((0, 4)), 2.5)],
    "step": jnp.asarray(3), "half": jnp.arange(4, dtype="bfloat16"),
    "other": collections.OrderedDict(b=(np.arange(3), True), a=jnp.ones((), "complex64")),
}


@pytest.fixture(params=FORMATS)
def file(request, tmp_path):
    return tmp_path / f"state.{request.param}"


def assert_equal(found, wanted):
    assert str(tree.structure(found)) == str(tree.structure(wanted))
    for ours, theirs in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
        assert ours.__class__ is Array and ours.shape == np.shape(theirs)
        assert ours.tobytes() == np.asarray(theirs).astype(ours.dtype).tobytes()


def test_trees_come_back(file):
    files.save(file, STATE)
    assert_equal(files.load(file), STATE)
    found = files.load(file, like=tree.map(np.asarray, files.load(file)))
    assert_equal(found, STATE)
    assert found["half"].dtype == dt.bfloat16 and found["other"]["b"][0].dtype == np.int64
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), form=st.sampled_from(FORMATS), dtype=st.sampled_from(DTYPES))
def test_every_dtype_and_shape(tmp_path_factory, data, form, dtype):
    shape = data.draw(array_shapes(min_dims=0, min_side=0, max_side=3))
    count = int(np.prod(shape)) * dtype.itemsize
    highest = 1 if dtype.kind == "b" else 255
    raw = data.draw(arrays(np.uint8, count, elements=st.integers(0, highest)))
    file = tmp_path_factory.getbasetemp() / f"one.{form}"
    files.save(file, raw.view(dtype).reshape(shape))
    found = files.load(file)
    assert (found.shape, found.dtype, found.tobytes()) == (shape, dtype, raw.tobytes())


def test_numpy_and_the_safetensors_library_read_and_write_them(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    files.save(ours, {"a": {"w": jnp.arange(3.0)}, "b": [jnp.ones((2, 1), "int8")]})
    found = library.load_file(ours)
    assert {name: x.tolist() for name, x in found.items()} == {"a.w": [0, 1, 2], "b.0": [[1], [1]]}
    library.save_file({"x": np.arange(4), "y": np.ones((2, 2), np.float16)}, theirs)
    assert_equal(files.load(theirs), {"x": np.arange(4), "y": np.ones((2, 2), np.float16)})
    files.save(tmp_path / "ours.npz", {"w": jnp.arange(3.0)})
    assert np.load(tmp_path / "ours.npz")["w"].tolist() == [0, 1, 2]
    np.savez_compressed(tmp_path / "theirs.npz", x=np.arange(4, dtype=">i2"),
                        y=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    found = files.load(tmp_path / "theirs.npz")
    assert found["x"].dtype == np.int16 and found["x"].tolist() == [0, 1, 2, 3]
    assert found["y"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_names_that_would_be_the_same(file):
    state = {"a.b": jnp.ones(1), "a": {"b": jnp.zeros(2)}}
    files.save(file, state)
    assert_equal(files.load(file), state)


def test_classes_that_are_not_registered_are_read_by_their_like(file):
    @tree.register_dataclass
    @dataclasses.dataclass
    class Own:
        w: Array

    files.save(file, [Own(jnp.ones(2))])
    assert files.load(file)["0.w"].tolist() == [1, 1]
    assert files.load(file, like=[Own(jnp.zeros(2))])[0].w.tolist() == [1, 1]


@pytest.mark.parametrize("like, error, message", [
    ({"w": np.ones((3, 2), np.float32)}, ShapeError, r"w has shape \(2, 3\) in the file and \(3"),
    ({"w": np.ones((2, 3), np.int32)}, DtypeError, "w has dtype float32 in the file and int32"),
    ({"v": np.ones(1)}, StructureError, "the file lacks v and also has w")])
def test_what_must_agree(file, like, error, message):
    files.save(file, {"w": jnp.ones((2, 3))})
    with pytest.raises(error, match=message):
        files.load(file, like=like)


def test_what_cannot_be_saved_leaves_the_old_file(file, monkeypatch):
    files.save(file, jnp.ones(3))
    with pytest.raises(DtypeError, match=r"\['x'\] is a str, which is no array"):
        files.save(file, {"x": "text"})
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError("the disk")))
    with pytest.raises(OSError, match="the disk"):
        files.save(file, jnp.zeros(3))
    assert files.load(file).tolist() == [1, 1, 1]
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    with pytest.raises(ArgumentError, match=r"ends in '\.txt'"):
        files.save(file.with_suffix(".txt"), jnp.zeros(3))


def test_the_order_of_bytes_makes_no_difference(file):
    files.save(file, [np.arange(3, dtype=">i4"), np.float64(2.5).astype(">f8")])
    assert_equal(files.load(file), [np.arange(3, dtype="i4"), np.float64(2.5)])


@pytest.mark.parametrize("leaf, error", [
    (np.array(["a"]), DtypeError), (np.array([None]), DtypeError), (np.longdouble(1), DtypeError),
    (np.zeros(2, "M8[D]"), DtypeError), (np.zeros(2, [("a", "f4")]), DtypeError),
    (np.ma.masked_array([1.0, 2.0], [0, 1]), ArgumentError)])
def test_what_could_not_be_loaded_is_not_saved(file, leaf, error):
    with pytest.raises(error):
        files.save(file, leaf)
    assert not file.exists()


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 70000])
def test_names_that_archives_cannot_have(tmp_path, name):
    with pytest.raises(ArgumentError, match="is no name of a file in an archive"):
        files.save(tmp_path / "x.npz", {name: jnp.ones(1)})
    files.save(tmp_path / "x.safetensors", {name: jnp.ones(1)})
    assert list(files.load(tmp_path / "x.safetensors")) == [name]


def test_containers_that_are_too_deep_for_a_note_are_read_by_their_like(file):
    state = jnp.ones(2)
    for _ in range(100):
        state = [state]
    files.save(file, state)
    assert_equal(files.load(file, like=state), state)
    assert len(files.load(file)) == 1


def test_the_new_file_takes_the_old_ones_permissions_and_a_links_place(file):
    link = file.with_name(f"link{file.suffix}")
    files.save(file, jnp.ones(1))
    file.chmod(0o600)
    link.symlink_to(file.name)
    files.save(link, jnp.zeros(1))
    assert link.is_symlink() and files.load(file).tolist() == [0]
    assert file.stat().st_mode & 0o777 == 0o600


def test_every_file_that_was_cut_off_is_refused(file):
    files.save(file, {"w": jnp.arange(5.0), "b": jnp.arange(3, dtype="bfloat16")})
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(ArgumentError, match="or damaged"):
            files.load(file)


def test_a_changed_byte_is_an_error_or_another_number(file):
    """Nothing but ArgumentError comes out of a file with a byte that is wrong."""
    files.save(file, {"w": jnp.arange(5.0), "flags": jnp.array([True])})
    whole = bytearray(file.read_bytes())
    for place in range(len(whole)):
        change = 0xFF if place % 2 else 0x01
        file.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1:])
        try:
            found = files.load(file)
        except ArgumentError:
            continue
        assert all(leaf.__class__ is Array for leaf in tree.leaves(found))


class Trap:
    """Unpickled, it would call a function."""

    def __reduce__(self):
        return pytest.fail, ("a file was executed",)


def _npz(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return stream.getvalue()


def _npy(shape, descr="<f4", data=b""):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def _safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _row(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HOSTILE = {
    "npz": [
        _npz(x_npy=_npy((), "|O", pickle.dumps(Trap()))), pickle.dumps(Trap()),
        _npz(x_npy=_npy((2 ** 40,))), _npz(x_npy=_npy((2 ** 70, 0))), _npz(x_npy=_npy((-1, -1))),
        _npz(x_npy=_npy((1,), "<U4", bytes(16))), _npz(x_npy=b"\x93NUMPY\x09\x00"),
        _npz(x_npy=b"\x93NUMPY\x01\x00\x10\x00__import__('os')"), _npz(x_txt=b"text"),
        _npz(x_npy=_npy((1,), "|b1", b"\x02")), _npz(arraylib_json=b"[" * 100000),
        _npz(x=_npy((1,), data=bytes(4)), x_npy=_npy((1,), data=bytes(4))),
        _npz(x_npy=_npy((1,), "|V1", b"\x02"), arraylib_json=b'{"dtypes": {"x": "bool"}}'),
        _npz(x_npy=_npy((1,), data=bytes(4)), arraylib_json=b'{"dtypes": {"x": "int32"}}'),
        _npz(arraylib_json=b'{"tree": "{}"}'), _npz(arraylib_json=b'{"dtypes": 3}'),
        _npz(x_npy=_npy((1,), data=bytes(4)), arraylib_json=b'{"dtypes": {"x": "bfloat16"}}')],
    "safetensors": [
        b"", bytes(7), (2 ** 63).to_bytes(8, "little"), _safetensors(b"[" * 100000),
        _safetensors(json.dumps({"x": _row()}).encode("utf-16"), bytes(4)),
        _safetensors([1]), _safetensors({"x": 3}), _safetensors({"x": _row()}),
        _safetensors({"x": _row()}, bytes(5)), _safetensors({"x": _row("F33")}, bytes(4)),
        _safetensors({"x": _row(shape=(-1,))}, bytes(4)),
        _safetensors({"x": _row(shape=(2 ** 62, 4), offsets=(0, 0))}),
        _safetensors({"x": _row(shape=(2 ** 70, 0), offsets=(0, 0))}),
        _safetensors({"x": _row(shape=(True,))}, bytes(4)),
        _safetensors({"x": _row(), "y": _row()}, bytes(4)),
        _safetensors({"x": _row(), "y": _row(offsets=(8, 12))}, bytes(12)),
        _safetensors({"x": _row(offsets=(-4, 0))}, bytes(4)),
        _safetensors(b'{"x": {}, "x": {}}'), _safetensors({"x": _row("BOOL", (4,))}, b"\2" * 4),
        _safetensors({"x": _row(), "__metadata__": {"arraylib": '{"names": ["y"]}'}}, bytes(4)),
        _safetensors({"x": _row(), "__metadata__": {"arraylib": '{"names": ["x"], "tree": {}}'}},
                     bytes(4))],
}


@pytest.mark.parametrize("form, content", [
    pytest.param(form, content, id=f"{form}-{number}")
    for form, contents in HOSTILE.items() for number, content in enumerate(contents)])
def test_hostile_files_are_refused(tmp_path, form, content):
    file = tmp_path / f"x.{form}"
    file.write_bytes(content)
    with pytest.raises(ArgumentError, match="or damaged"):
        files.load(file)


def test_arrays_come_back_where_they_were(tmp_path):
    with arraylib.config.using(num_cpu_devices=2):
        mesh = arraylib.make_mesh((2,), ("x",))
        place = arraylib.NamedSharding(mesh, arraylib.P("x"))
        x = arraylib.device_put(jnp.arange(4.0), place)
        files.save(tmp_path / "x.npz", x)
        found = files.load(tmp_path / "x.npz", like=x)
        assert found.sharding == place and found.tolist() == [0, 1, 2, 3]
