"""The old pickle is read; whatever else a pickle can try is refused before it happens."""

from __future__ import annotations

import codecs
import collections
import gzip
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backhand.datasets.pickled import load_pickled, read_pairs
from backhand.errors import InputError

ROWS = (30, 10, 10)
PIXELS = 12


def arrays(dtype=np.float32):
    rng = np.random.default_rng(0)
    return tuple(
        (
            (rng.integers(256, size=(n, PIXELS)) / 256).astype(dtype),
            rng.integers(10, size=n).astype(np.int64),
        )
        for n in ROWS
    )


def python2(value) -> bytes:
    """Write nested tuples of arrays as Python 2's cPickle did with protocol 2."""
    if isinstance(value, tuple):
        return b"(" + b"".join(map(python2, value)) + b"t"
    raw = value.tobytes()
    shape = b"(" + b"".join(b"J" + struct.pack("<i", n) for n in value.shape) + b"t"
    kind = value.dtype.str[1:].encode()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + b"(K\x01" + shape
        + b"cnumpy\ndtype\nU" + bytes([len(kind)]) + kind + b"K\x00K\x01\x87R"
        + b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip


OLD = b"\x80\x02" + python2(arrays()) + b"."


def write(tmp_path, content, name="mnist.pkl.gz"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def load(path):
    return load_pickled(path, rows=ROWS, pixels=PIXELS)


def test_the_model_pickle_is_what_python_2_wrote():
    for (x, t), (x0, t0) in zip(pickle.loads(OLD, encoding="latin1"), arrays(), strict=True):
        np.testing.assert_array_equal(x, x0)
        np.testing.assert_array_equal(t, t0)


@pytest.mark.parametrize("name", ["mnist.pkl.gz", "mnist.pkl"])
def test_the_old_file_is_read(tmp_path, name):
    data = load(write(tmp_path, OLD, name))
    x, _ = arrays()[0]
    mean, std = x.astype(np.float64).mean(), x.astype(np.float64).std()
    assert data.preparation.scale == 1 / 256
    assert data.preparation.mean == pytest.approx(mean, rel=1e-12)
    for (pixels, labels), part in zip(
        arrays(), (data.train, data.validation, data.test), strict=True
    ):
        np.testing.assert_allclose(part.x, (pixels - mean) / std, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(part.t, labels)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
def test_every_binary_protocol_of_python_3_is_read(protocol, dtype):
    original = arrays(dtype)
    for (x, t), (x0, t0) in zip(
        read_pairs(pickle.dumps(original, protocol)), original, strict=True
    ):
        np.testing.assert_array_equal(x, x0)
        np.testing.assert_array_equal(t, t0)


def test_the_first_binary_protocol_of_python_3_is_read():
    original = arrays()
    for (x, t), (x0, t0) in zip(read_pairs(pickle.dumps(original, 1)), original, strict=True):
        np.testing.assert_array_equal(x, x0)
        np.testing.assert_array_equal(t, t0)


def test_lists_and_fortran_order_are_read():
    original = [[np.asfortranarray(x), t] for x, t in arrays()]
    for (x, _), (x0, _) in zip(read_pairs(pickle.dumps(original)), original, strict=True):
        np.testing.assert_array_equal(x, x0)


# What is refused


class Runs:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def trap(path):
    return (os.mkdir, str(path))


@pytest.mark.parametrize("protocol", range(1, pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_is_refused_by_name_and_nothing_runs(tmp_path, protocol):
    sprung = tmp_path / "sprung"
    pairs = [list(pair) for pair in arrays()]
    pairs[2][1] = Runs(*trap(sprung))
    with pytest.raises(InputError, match=r"pkl.gz: names the global (posix|nt)\.mkdir, which"):
        load(write(tmp_path, pickle.dumps(pairs, protocol)))
    assert not sprung.exists()


@pytest.mark.parametrize(
    "value",
    [
        Runs(eval, "1"),
        Runs(getattr, "a", "upper"),
        Runs(np.load, "x"),
        Runs(np.frombuffer, b"", "O"),
        Runs(np.memmap, "x"),
        Runs(codecs.decode, b"", "zlib"),
        Runs(pickle.loads, b"N."),
        collections.OrderedDict(),
        np.float64(1.0),
        np.ma.masked_array([1.0]),
        {"a": 1},
        {1},
        bytearray(b"a"),
        slice(1),
        1.5,
        None,
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],  # the same in every process
)
def test_everything_but_three_pairs_of_arrays_is_refused(value):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for whole in (value, [value] * 3, [[value, value]] * 3):
            with pytest.raises(InputError):
                read_pairs(pickle.dumps(whole, protocol))


def test_text_is_not_encoded_again_and_again():
    big = 1_000_000
    text = b"X" + struct.pack("<I", big) + b"a" * big + b"q\0"
    calls = b"c_codecs\nencode\nh\0U\x06latin1\x86R" * 150
    tracemalloc.start()
    with pytest.raises(InputError, match="three pairs"):
        read_pairs(b"\x80\x02(" + text + calls + b"t.")
    assert tracemalloc.get_traced_memory()[1] < 10 * big
    tracemalloc.stop()


def test_the_memo_is_not_grown_to_any_index():
    # In C, the unpickler would allocate and fill 32 GiB for this.
    with pytest.raises(InputError, match="more places than arrays need"):
        read_pairs(b"Nr\xff\xff\xff\xff.")


PAIRS = b"((%b%bt(%b%bt(%b%btt."
GOOD = python2(np.zeros(3, np.float32))


def with_array(array: bytes) -> bytes:
    return PAIRS % (array, *[GOOD] * 5)


def test_the_frame_for_the_next_tests_is_right():
    assert len(read_pairs(with_array(GOOD))) == 3


NDARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
F4 = b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (b"cos\nsystem\nU\x01x\x85R", "global os.system"),
        (b"c__builtin__\neval\nU\x011\x85R", "global __builtin__.eval"),
        (b"(ios\nsystem\n", "instruction b'i'"),
        (b"U\x02osU\x06system\x93", "global os.system"),
        (b"K\x01K\x02\x93", "not a readable pickle of three pairs .STACK_GLOBAL requires str"),
        (b"(U\x02osU\x06systemt(\x93", "not a readable pickle"),
        (b"cos\x1b[31m\nx\n", r"global os\\x1b\[31m.x"),
        (b"cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R", "takes no arguments"),
        (b"cnumpy\nndarray\n)\x81", r"instruction b'\\x81'"),
        (b"cnumpy\ndtype\n)R", "missing 1 required"),
        (b"c_codecs\nencode\nU\x01xU\x04zlib\x86R", "something else where an array"),
        (b"c_codecs\nencode\ncnumpy\ndtype\nNb", "not a readable pickle"),
        (b"U\x01x)R", "not a readable pickle"),
        (b"cnumpy\ndtype\n]R", "not a readable pickle"),
        (b"\x82\x01", r"instruction b'\\x82'"),
        (b"Pid\n", "instruction b'P'"),
        (b"}", "instruction b'}'"),
        (NDARRAY, "something else where an array"),
        (NDARRAY + b"K\x01\x85b", "not a readable pickle"),
        (NDARRAY + b"(K\x01K\x03\x85" + F4 + b"\x89U\x08" + bytes(8) + b"tb", "size 2 into shape"),
        (NDARRAY + b"(K\x01K\x03\x85" + F4 + b"\x89U\x10" + bytes(16) + b"tb", "size 4 into shape"),
        (NDARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + F4 + b"\x89U\x00tb", "impossible shape"),
        (NDARRAY + b"(K\x01\x88\x85" + F4 + b"\x89U\x04" + bytes(4) + b"tb", "impossible shape"),
        (NDARRAY + b"(K\x01K\x03\x85N\x89U\x0c" + bytes(12) + b"tb", "no type; only plain"),
        (NDARRAY + b"(K\x01K\x03\x85" + F4 + b"\x89]tb", "bytes-like object is required"),
        (NDARRAY + b"(K\x01K\x03\x85" + F4 + b"\x89X\x03\0\0\0\xe1\x88\xb4tb", "no bytes of an"),
        *(
            (
                NDARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\nU" + bytes([len(code)]) + code
                + b"\x85R\x89U\x08" + bytes(8) + b"tb",
                "only plain numbers",
            )
            for code in (b"O", b"O8", b"V8", b"S8", b"f4,f4", b"M8", b"(2,)f4", b"c8", b"")
        ),
        (
            NDARRAY + b"(K\x01K\x03\x85" + F4 + b"(K\x03U\x01xNNNK\x04K\x01K\x00tb"
            b"\x89U\x0c" + bytes(12) + b"tb",
            "type xf4",
        ),
        (b"\x96" + b"\xff" * 7 + b"\x00", "only 682 remain"),
        (b"\x8e" + b"\xff" * 7 + b"\x7f", "."),
        (b"T\xff\xff\xff\x7f", "."),
        (b"I" + b"9" * 10_000 + b"\n", "not a readable pickle"),
        (b"Nq\0" * 1000, "more instructions than arrays need"),
        (b"(" * 20_000, "more instructions than arrays need"),
    ],
)  # fmt: skip
def test_what_a_pickle_may_try(array, message):
    with pytest.raises(InputError, match=message) as caught:
        read_pairs(with_array(array))
    assert str(caught.value).isprintable()


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 400))
@example(b"", 3)
def test_no_damage_does_more_than_be_refused(noise, place):
    whole = with_array(GOOD)
    place = min(place, len(whole))
    for content in (noise, whole[:place] + noise, whole[:place] + noise + whole[place + 1 :]):
        try:
            pairs = read_pairs(content)
        except InputError as error:
            assert str(error).isprintable()  # noqa: PT017
        else:
            assert all(array.dtype.kind in "fiu" for pair in pairs for array in pair)


def changed(part, which, value):
    pairs = [list(pair) for pair in arrays()]
    pairs[part][which] = value
    return pickle.dumps(pairs)


X = arrays()[1][0]
T = arrays()[1][1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(1, 0, X[:-1]), r"has validation arrays of shapes \(9, 12\) and \(10,\)"),
        (changed(1, 0, T), r"has validation arrays of shapes \(10,\)"),
        (changed(2, 1, T[:-1]), r"has test arrays of shapes \(10, 12\) and \(9,\)"),
        (changed(0, 1, np.full(30, 10)), "training labels that are not integers from 0 to 9"),
        (changed(0, 1, np.full(30, -1)), "training labels"),
        (changed(0, 1, np.zeros(30)), "training labels"),
        (changed(1, 0, X * 256), "whole 256ths"),
        (changed(1, 0, X + np.float32(1 / 512)), "whole 256ths"),
        (changed(1, 0, X - 1), "whole 256ths"),
        (changed(1, 0, X * np.nan), "whole 256ths"),
        (changed(1, 0, X.astype(int)), "pixels of type int64"),
        (b"", "ends before it should"),
        (OLD[:-10], "not a readable pickle"),
        (pickle.dumps(arrays()[:2]), "does not hold three pairs"),
    ],
)
def test_arrays_that_are_not_mnist(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        load(write(tmp_path, content))
    assert str(caught.value).startswith(str(tmp_path))


def test_a_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("backhand.datasets.pickled.LIMIT", 10_000)
    with pytest.raises(InputError, match="unpacks to more than the 10000 bytes"):
        load(write(tmp_path, bytes(1_000_000)))
