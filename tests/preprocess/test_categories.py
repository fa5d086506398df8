from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backhand.preprocess.categories import FEW, MOST_ONE_HOT
from backhand.preprocess.encoder import rare_below
from backhand.preprocess.preparation import TablePreparation
from backhand.preprocess.scaling import levels


def fit(values, **more):
    return TablePreparation.fit({"c": values}, **more)


def test_two_values_become_minus_one_and_one():
    preparation = fit(["b", "a", "a", "b", "a"])
    assert preparation.inputs == ([], ["c = b"], [])
    with pytest.warns(UserWarning, match="1 value not seen in training \\('z'\\), in 1 row"):
        x = preparation.apply({"c": ["a", "b", "z", None]})
    # what nobody has seen is the mean of what the training rows have
    np.testing.assert_allclose(x[:, 0], [-1, 1, -0.2, -0.2], rtol=1e-6)


def test_two_values_and_missing_ones():
    preparation = fit(["b", "a", None, "b"])
    assert preparation.inputs == ([], ["c = b", "c is missing"], [])
    off, on = levels(1, 4)
    want = [[-1, off], [1, off], [0, on]]
    np.testing.assert_allclose(preparation.apply({"c": ["a", "b", ""]}), want, rtol=1e-6)


def test_a_few_values_become_one_hot():
    values = ["b", "a", None, "d", "e", "b"]
    preparation = fit(values)
    names = ["c = a", "c = b", "c = d", "c = e", "c is missing"]
    assert preparation.inputs == ([], names, [])
    with pytest.warns(UserWarning, match="in 1 row"):
        x = preparation.apply({"c": [*values, "z"]})
    ones = np.array([[v == w for w in ("a", "b", "d", "e", None)] for v in values], float)
    off, on = np.array([levels(int(n), 6) for n in ones.sum(axis=0)]).T
    np.testing.assert_allclose(x[:6], off + ones * (on - off), rtol=1e-6)
    # the mean of the training rows whose value is known, and not missing
    want = [*x[[0, 1, 3, 4, 5], :4].mean(axis=0), off[4]]
    np.testing.assert_allclose(x[6], want, rtol=1e-6)


def test_unseen_values_have_the_mean_of_first_layer_outputs(rng):
    values = list("aabbbcccccd")
    preparation = fit(values)
    w = rng.normal(size=(4, 3))
    with pytest.warns(UserWarning, match="not seen"):
        unseen = preparation.apply({"c": ["z"]})
    seen = preparation.apply({"c": values})
    np.testing.assert_allclose(unseen[0] @ w, (seen @ w).mean(axis=0), rtol=1e-5)


def test_many_values_become_codes():
    values = [f"v{i}" for i in range(FEW + 1)] * 3 + [None, ""]
    preparation = fit(values)
    assert preparation.inputs == ([], [], ["c"])
    assert preparation.frequencies == ((0, *[3] * (FEW + 1), 2),)
    with pytest.warns(UserWarning, match="not seen"):
        x = preparation.apply({"c": ["v0", "v8", "z", None]})
    np.testing.assert_array_equal(x, [[1], [9], [0], [10]])
    assert fit([v for v in values if v != "v8"]).frequencies == ()


def test_frequencies_count_the_codes_of_the_training_rows(rng):
    values = rng.choice([f"v{i}" for i in range(60)], 400, p=np.arange(60) / 1770).tolist()
    values[::9] = [None] * len(values[::9])
    preparation = fit(values)
    codes = preparation.apply({"c": values}, warn=False)[:, 0].astype(int)
    (counts,) = preparation.frequencies
    np.testing.assert_array_equal(np.bincount(codes, minlength=len(counts)), counts)
    assert min(counts) >= rare_below(400) == 3


def test_rare_values_are_pooled_and_lend_their_weights_to_unseen_ones():
    values = list("aaabbbccc") * 20 + ["d", "e", "e", "f"]
    preparation = fit(values)
    assert preparation.inputs.indicators == ["c = a", "c = b", "c = c", "c = other"]
    x = preparation.apply({"c": ["d", "f", "never", "a"]})  # and no warning
    np.testing.assert_array_equal(x[:1], x[1:2])
    np.testing.assert_array_equal(x[:1], x[2:3])
    assert (x[0] != x[3]).any()


def test_too_few_rare_rows_teach_nothing():
    values = list("aaabbbccc") * 20 + ["d", "e"]
    preparation = fit(values)
    assert preparation.inputs.indicators == ["c = a", "c = b", "c = c"]
    with pytest.warns(UserWarning, match=r"1 value not seen in training or too rare there \('d'\)"):
        x = preparation.apply({"c": ["d", "a"]})
    seen = preparation.apply({"c": values[:180]})
    np.testing.assert_allclose(x[0], seen.mean(axis=0), rtol=1e-5)


def test_every_value_unseen_is_told():
    few, many = (fit([f"v{i}" for i in range(k)] * 5) for k in (3, 20))
    for preparation in (few, many):
        with pytest.warns(UserWarning, match=r"none of its 2 values was seen in training \('x'"):
            preparation.apply({"c": ["x", "y", None]})
    pooled = fit(list("aaabbbccc") * 20 + list("defg"))
    with pytest.warns(UserWarning, match=r"none of its 2 values .* or too rare there \('x'"):
        pooled.apply({"c": ["x", "x"]})


def test_without_embedding_the_most_frequent_become_one_hot():
    values = [f"v{i:03}" for i in range(MOST_ONE_HOT + 2)] * 3 + ["v000", "v007"]
    preparation = fit(values, embed=False)
    names = preparation.inputs.indicators
    assert len(names) == MOST_ONE_HOT + 1
    assert names[0] == "c = v000"
    assert "c = v007" in names
    assert names[-1] == "c = other"
    assert preparation.frequencies == ()


def test_booleans_take_zeros_and_ones_later():
    preparation = fit([True, False, True, False])
    assert preparation.inputs == ([], ["c = true"], [])
    with pytest.warns(UserWarning, match="'2'"):
        x = preparation.apply({"c": ["0", "1", "2", "TRUE"]})
    np.testing.assert_array_equal(x, [[-1], [1], [0], [1]])


def test_codes_as_text_take_numbers_later():
    preparation = fit(["1", "2", "A"] * 3)
    with pytest.warns(UserWarning, match="'3'"):
        x = preparation.apply({"c": pa.array([2, 3])})
    np.testing.assert_array_equal(x[:1], preparation.apply({"c": ["2"]}))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["x"] * 60, "constant in the training rows"),
        ([*["x"] * 60, None], "constant in the training rows"),
        ([*["x"] * 120, None, "y"], "nearly constant in the training rows"),
        ([f"v{i // 2}" for i in range(120)], "hardly any value is there often"),
    ],
)
def test_what_is_left_out(values, reason):
    table = {"c": values, "n": np.arange(len(values)) % 7}
    with pytest.warns(UserWarning, match=reason):
        preparation = TablePreparation.fit(table)
    assert [one.reason for one in preparation.left_out] == [reason]


@pytest.mark.parametrize(
    ("values", "summary", "becomes"),
    [
        (["b", "a", None, "b"], "b, a", "-1 or 1"),
        (list("abcab"), "a, b, c", "one-hot of 3 values"),
        (list("abcdefghijkl") * 2, "a, b, c, d, e, f, g, h, i, j and 2 more", None),
        (["a"] * 120 + ["b", "c", "d"], "a, and 3 rows with rare ones", "-1 or 1"),
    ],
)
def test_what_people_are_told(values, summary, becomes):
    (encoder,) = fit(values).encoders
    assert encoder.summary == summary
    assert encoder.becomes == (becomes or "embedding of 12 values")


CODED = {
    "codes": lambda cells: cells.dictionary_encode(),
    "a code for nothing": lambda cells: cells.dictionary_encode(null_encoding="encode"),
    "an int8 code of 127 values": lambda cells: pa.DictionaryArray.from_arrays(
        pa.array([{"a": 0, "b": 1, "z": 2}.get(cell) for cell in cells.to_pylist()], pa.int8()),
        pa.array(["a", "b", "z", *map(str, range(124))]),
    ),
    "two parts": lambda cells: pa.chunked_array(
        [cells[:5].dictionary_encode(), cells[5:].dictionary_encode()]
    ),
    "more codes than rows": lambda cells: pa.DictionaryArray.from_arrays(
        pa.array([*range(len(cells))]), cells
    ),
}


@pytest.mark.parametrize("kind", CODED)
@pytest.mark.parametrize("rows", [None, [200, 3, 1, 4, 199]], ids=["all", "some"])
def test_cells_that_are_coded_are_like_texts(kind, rows):
    preparation = fit(["b", "a", None, "b", "a", "c"] * 40)
    cells = pa.array(["a", "b", None, "z", "b", "a", None] * 30).cast(pa.string())
    rows = rows if rows is None else np.array(rows)
    found, told = [], []
    for column in (cells, CODED[kind](cells)):
        with pytest.warns(UserWarning, match="not seen") as notes:
            found.append(preparation.apply(pa.table({"c": column}), rows))
        told.append([str(note.message) for note in notes])
    np.testing.assert_array_equal(*found)
    assert told[0] == told[1]
