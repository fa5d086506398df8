"""Fits to streams: scores as in memory, the same bits again, and clear lines where a file fails."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import backhand
from backhand import InputError, Stream, TabularClassifier, TabularRegressor
from backhand.datasets import source
from backhand.tabular import first_pass, streaming
from backhand.tabular.recipes import PIECES, WAVES, Recipe, _with
from backhand.train.loop import TrainLoop

from .conftest import same

N = 4000
SMALL = {"hidden": (32,), "learning_rate": 0.02}
ONE = Recipe((_with(PIECES, 1, **SMALL),), lengths=((10**9, 8, 64),))
TWO = Recipe((_with(WAVES, 1, **SMALL), _with(PIECES, 1, **SMALL)), lengths=((10**9, 3, 64),))


def made(count=N, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 3))
    kind = rng.choice(["a", "b", "c", "d"], count)
    z = 2 * x[:, 0] + x[:, 1] * x[:, 2] + (kind == "a")
    return pa.table(
        {
            "p": x[:, 0],
            "q": x[:, 1],
            "r": x[:, 2],
            "kind": kind,
            "weight": rng.uniform(0.5, 2, count),
            "y": np.where(z + rng.logistic(size=count) / 2 > 0, "yes", "no"),
            "v": np.exp(z / 2 + rng.normal(size=count) / 5),
        }
    )


TABLE, TEST = made(), made(3000, 1)
FEATURES = ["p", "q", "r", "kind"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("table")
    for number in range(4):
        part = TABLE.slice(1000 * number, 1000)
        pq.write_table(part, path / f"{number}.parquet", row_group_size=250)
    return path


def classifier(recipe=ONE, **more):
    return TabularClassifier(recipe, random_state=0, **more)


def stream(folder, target="y", **more):
    more = {"window": "32K", **more}
    return Stream(folder, columns=[*FEATURES, target], **more)


@pytest.mark.parametrize("disk", [None, 0], ids=["stored", "reread"])
def test_a_stream_is_learned_as_well_as_a_table(folder, disk):
    memory = classifier().fit(TABLE.select(FEATURES), TABLE["y"].to_numpy(zero_copy_only=False))
    streamed = classifier().fit(stream(folder, disk=disk), target="y")
    y = TEST["y"].to_numpy(zero_copy_only=False)
    scores = [m.score(TEST.select(FEATURES), y) for m in (memory, streamed)]
    # twice the standard error of a difference of accuracies of so many rows
    assert abs(scores[0] - scores[1]) < 2 * np.sqrt(2 * 0.15 * 0.85 / len(y))
    assert min(scores) > 0.8
    assert streamed.classes_.tolist() == ["no", "yes"]
    assert streamed.feature_names_in_.tolist() == FEATURES
    assert len(streamed.held_out_.rows) == pytest.approx(N / 10, abs=60)
    assert streamed.model_.about["rows"] == N


@pytest.mark.parametrize("disk", ["1G", 0], ids=["stored", "reread"])
def test_a_fit_goes_on_in_the_midst_of_an_epoch(folder, tmp_path, monkeypatch, disk):
    wanted = classifier().fit(stream(folder, disk=disk), "y")
    real, blocks = TrainLoop.after_part, []

    def after_part(loop, number, *more):
        real(loop, number, *more)
        blocks.append((loop.done, number))
        if (loop.done, number) == (3, 2):
            raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(TrainLoop, "after_part", after_part)
        given = backhand.Checkpoint(tmp_path / "ck", "0s")
        with pytest.raises(RuntimeError, match="killed"):
            classifier().fit(stream(folder, disk=disk), "y", checkpoint=given)
        if disk:  # the choice of then holds
            with pytest.raises(
                InputError, match=r"kept .* rows on the disk, and now they may take"
            ):
                classifier().fit(stream(folder, disk=0), "y", checkpoint=given)
        with pytest.raises(InputError, match=r"rows: \d+ then, \d+ now"):
            classifier().fit(stream(folder, disk=disk, validation=0.2), "y", checkpoint=given)
        with pytest.raises(InputError, match="window: 32768 then, 65536 now"):
            classifier().fit(stream(folder, disk=disk, window="64K"), "y", checkpoint=given)
        blocks.clear()
        again = classifier().fit(stream(folder, disk="2G"), "y", checkpoint=given)
    assert blocks[0] == (3, 3)
    assert same(again, wanted)
    assert not (tmp_path / "ck").exists()


@pytest.mark.parametrize("disk", [None, 0], ids=["stored", "reread"])
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(folder, disk):
    one, two = (
        classifier(TWO, threads=threads).fit(stream(folder, disk=disk), "y") for threads in (1, 2)
    )
    assert len(one.model_.members) == len(two.model_.members)
    assert same(one, two)
    other = TabularClassifier(TWO, random_state=1).fit(stream(folder, disk=disk), "y")
    assert not same(one, other)


def test_a_stream_that_is_one_block_has_the_statistics_of_a_table(folder):
    memory = classifier().fit(TABLE.select(FEATURES), TABLE["y"].to_numpy(zero_copy_only=False))
    streamed = classifier().fit(stream(folder), "y")
    want, got = (m.model_.preparation.to_dict() for m in (memory, streamed))
    assert want["columns"] == got["columns"]


def test_numbers_are_learned_and_their_logarithms_too(folder):
    recipe = TabularRegressor(n_members=2, preset="fast", random_state=0)
    found = recipe.fit(stream(folder, "v"), "v")
    assert {member.scale.log for member in found.members_} == {False, True}
    assert found.score(TEST.select(FEATURES), TEST["v"].to_numpy()) > 0.8
    low, high = found.predict_interval(TEST.select(FEATURES)).T
    y = TEST["v"].to_numpy()
    assert 0.85 < np.mean((low <= y) & (y <= high)) < 0.95
    assert found.model_.lowest == TABLE["v"].to_numpy().min()


SOURCES = {
    "path": lambda folder: str(folder),
    "dask": lambda folder: pytest.importorskip("dask.dataframe").from_pandas(
        TABLE.to_pandas(), npartitions=5
    ),
    "function": lambda folder: lambda: (TABLE.slice(i, 999) for i in range(0, N, 999)),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_sources_need_no_stream_around_them(folder, kind):
    found = classifier(drop=["v", "weight"]).fit(SOURCES[kind](folder), target="y")
    assert found.score(TEST.drop_columns(["y"]), TEST["y"].to_numpy(zero_copy_only=False)) > 0.8


@pytest.mark.parametrize("more", [{}, {"disk": 0, "window": "32K"}], ids=["stored", "reread"])
def test_relations_are_read_by_one_network_at_a_time(more):
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.connect().from_arrow(TABLE.select([*FEATURES, "y"]))
    threads = 1 if more else 2
    found = classifier(TWO, threads=threads).fit(Stream(relation, **more), "y")
    assert found.model_.about["rows"] == N


def test_text_is_streamed(tmp_path):
    table = TABLE.append_column("number", pa.array((np.arange(N) % 3).tolist()))
    table = table.set_column(5, "y", pa.array(TABLE["y"].to_numpy(zero_copy_only=False) == "yes"))
    pa_csv.write_csv(table.slice(0, 3000), tmp_path / "a.csv")
    pa_csv.write_csv(table.slice(3000), tmp_path / "b.csv")
    found = classifier().fit(Stream(tmp_path, columns=[*FEATURES, "y"]), "y")
    assert found.classes_.tolist() == [False, True]
    assert classifier().fit(Stream(tmp_path), "number").classes_.tolist() == [0, 1, 2]


def test_the_last_rows_validate_if_that_is_asked_for(folder):
    found = classifier().fit(stream(folder, validation=0.2, last=True), "y")
    assert np.array_equal(np.sort(found.held_out_.rows), np.arange(N - N // 5, N))


def test_other_rows_validate_if_they_are_given(folder):
    found = classifier().fit(stream(folder), "y", X_val=lambda: TEST)
    assert len(found.held_out_.y) == len(TEST)


def test_few_validation_rows_are_taken_of_many(folder, monkeypatch):
    monkeypatch.setattr(streaming, "MOST_VALIDATED", 100)
    assert 60 < len(classifier().fit(stream(folder), "y").held_out_.y) < 140


def test_weights_are_a_column_and_those_of_classes(folder):
    weighted = Stream(folder, columns=[*FEATURES, "weight", "y"])
    found = classifier(class_weight="balanced").fit(weighted, "y", "weight")
    assert found.feature_names_in_.tolist() == FEATURES
    assert not same(found, classifier().fit(stream(folder), "y"))


def test_rows_without_a_target_are_left_out_and_told(tmp_path):
    y = TABLE["y"].to_pylist()
    y[::10] = [None] * (N // 10)
    pq.write_table(TABLE.set_column(5, "y", pa.array(y)), tmp_path / "a.parquet")
    with pytest.warns(UserWarning, match="target column 'y': 400 rows without a value left out"):
        found = classifier().fit(stream(tmp_path), "y")
    assert found.model_.about["rows"] == N - 400


def test_a_time_limit_takes_part_of_the_rows(folder):
    found = classifier(time_limit=1e-3).fit(stream(folder), "y")
    assert found.members_


def test_a_model_of_a_stream_is_saved_and_predicts_the_same(folder, tmp_path):
    found = classifier().fit(stream(folder), "y")
    found.save(tmp_path / "model")
    again = backhand.load(tmp_path / "model")
    p, q = (m.predict_proba(TEST.select(FEATURES)) for m in (found, again))
    assert np.array_equal(p, q)


# what goes wrong ----------------------------------------------------------------------------------


def copied(folder, there):
    for path in folder.glob("*.parquet"):
        (there / path.name).write_bytes(path.read_bytes())
    return there


def test_a_file_that_changes_while_it_is_learned_from(folder, tmp_path):
    copied(folder, tmp_path)

    def change(now):
        os.utime(tmp_path / "2.parquet", (1, 1))

    with pytest.raises(InputError, match=r"2\.parquet: has changed since it was first read"):
        classifier(callbacks=[change]).fit(stream(tmp_path, disk=0), "y")


def test_targets_that_a_sample_does_not_tell_are_no_silent_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "SAMPLE", 100)

    def fitted(first, then):
        cells = [*first * 50, *then * 50]
        text = "\n".join(["x,y", *(f"{row / 7:.3f},{cell}" for row, cell in enumerate(cells))])
        (tmp_path / "a.csv").write_text(text)
        return classifier().fit(tmp_path, "y")

    with pytest.raises(InputError, match=r"200 cells are not like .*, such as 'c' in .*a\.csv"):
        fitted([1, 2, 3, 1], ["c", "d", "c", "d"])
    with pytest.raises(InputError, match=r"200 cells are not like .*, such as 'no idea' in"):
        fitted(["true", "false"] * 2, ["no idea"] * 4)
    with pytest.raises(InputError, match=r"0\.5 is no whole number that float64 holds, as those"):
        fitted([1, 2, 1, 2], [0.5, 1.0, 2.0, 1.5])


def test_the_last_rows_are_a_share_of_those_that_a_filter_lets_through(folder):
    model = classifier().fit(stream(folder, last=True, filter=pc.field("p") > 0), "y")
    passed = int((TABLE["p"].to_numpy() > 0).sum())
    assert len(model.held_out_.rows) == pytest.approx(passed / 10, abs=1)


def test_a_cell_that_cannot_be_names_its_file(folder, tmp_path):
    copied(folder, tmp_path)
    p = np.where(np.arange(1000) == 300, np.inf, TABLE["p"].to_numpy()[:1000])
    pq.write_table(TABLE.slice(0, 1000).set_column(0, "p", pa.array(p)), tmp_path / "1.parquet")
    with pytest.raises(InputError, match=r"1\.parquet: column 'p', row 301: inf is not a finite"):
        classifier().fit(stream(tmp_path), "y")


@pytest.mark.parametrize("kind", ["files", "function", "text"])
def test_a_message_has_the_rows_number_whatever_rows_are_left_out(tmp_path, kind):
    rows = np.arange(300)
    p = np.where(rows == 202, np.inf, rows / 7)
    y = np.where(rows % 3 == 0, None, np.where(rows % 2, "no", "yes"))
    k = np.where(rows % 5, "a", "b")
    table = pa.table({"p": p, "y": pa.array(y.tolist()), "k": k})
    pq.write_table(table, tmp_path / "a.parquet")
    if kind == "text":
        (tmp_path / "a.parquet").unlink()
        pa_csv.write_csv(table, tmp_path / "a.csv")
    data = (lambda: table) if kind == "function" else tmp_path
    row = 204 if kind == "text" else 203  # a header is row 1
    with pytest.raises(InputError, match=f"column 'p', row {row}: inf is not a finite number"):
        classifier().fit(Stream(data, filter=pc.field("k") != "b"), "y")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_on_the_disk(folder, tmp_path, error):
    seen = []

    def fail(now):
        seen.append([*os.scandir(tmp_path)])
        raise error

    model = classifier(callbacks=[fail])
    with contextlib.suppress(RuntimeError, KeyboardInterrupt):
        model.fit(stream(folder, scratch=str(tmp_path)), "y")
    assert seen
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: classifier().fit(f, "Y"), "no column 'Y': did you mean 'y'"),
        (lambda f: classifier().fit(f), "target of a stream must be a column's name, got None"),
        (lambda f: classifier().fit(f, "y", [1.0]), "sample_weight of a stream must be a column"),
        (lambda f: classifier().fit(TABLE, target="y"), "target='y' is for a stream"),
        (lambda f: TabularRegressor().fit(f, "y"), "holds text; regression needs numbers"),
        (lambda f: Stream(f, validation=1.5), "validation must be a share of the rows"),
        (lambda f: Stream(f, window="much"), "window=much: must be a size such as 8G"),
        (
            lambda f: Stream(f, scratch="/nowhere"),
            "scratch folder /nowhere: No such file or directory",
        ),
        (
            lambda f: classifier().fit(lambda: TABLE.slice(0, 5), "y"),
            "5 rows with a target and a weight over 0; 10 are needed",
        ),
        (
            lambda f: classifier().fit(lambda: TABLE.select(["p", "q"]).slice(0, 50), "q"),
            r"target column 'q' holds fractions, such as .*; TabularRegressor learns numbers",
        ),
        (lambda f: classifier().fit(f, "y", "y"), "'y' is the target, and cannot be the weights"),
        (lambda f: classifier().fit(f, "y", X_val=f, y_val=[1]), "y_val is for tables in memory"),
        (
            lambda f: classifier().fit(f, "y", X_val=lambda: TABLE.select(["p", "y"])),
            "X_val: no column 'q'",
        ),
        (lambda f: classifier().fit(f, TABLE["y"]), "a ChunkedArray; X, a str, is streamed, and"),
        (
            lambda f: classifier().fit(stream(f), "y").predict(stream(f)),
            r"X is no table in memory: predict each table of backhand\.Stream",
        ),
    ],
    ids=[
        "name",
        "none",
        "weights",
        "table",
        "text",
        "share",
        "window",
        "folder",
        "few",
        "fractions",
        "both",
        "y_val",
        "X_val",
        "column",
        "predict",
    ],
)
def test_what_makes_no_sense_is_one_line(folder, call, message):
    with pytest.raises(InputError, match=message):
        call(str(folder))


def test_too_many_classes_are_no_classes(folder, monkeypatch):
    monkeypatch.setattr(first_pass, "MOST_CLASSES", 100)
    with pytest.raises(InputError, match="more than 100 distinct values, too many for classes"):
        classifier().fit(stream(folder, "v"), "v")
