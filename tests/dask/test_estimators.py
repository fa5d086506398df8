"""Fits on two worker processes: the bits of any number of workers, answers, and clear lines."""

from __future__ import annotations

import asyncio
import pickle
import threading

import numpy as np
import pytest
from tests.dask.cluster import (
    FEATURES,
    classifier,
    cluster,
    digest,
    frame,
    left_on,
    recipe,
    regressor,
    table,
)

import backhand
from backhand import InputError, TabularClassifier, TabularRegressor
from backhand.train.loop import TrainLoop

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own are no errors of ours

TABLE, TEST = table(), table(2000, 1)


def test_it_learns_as_much_as_on_one_machine(two, fitted):
    local = TabularClassifier(recipe(16), random_state=0).fit(TABLE[FEATURES], TABLE.y)
    X = frame()
    spread = classifier(16, client=two).fit(X[FEATURES], X.y)
    found, alone = (m.score(TEST[FEATURES], TEST.y) for m in (spread.to_local(), local))
    # the standard error of a difference of two shares of 2000 rows, twice
    assert found > alone - 2 * np.sqrt(2 * alone * (1 - alone) / len(TEST))
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert fitted.feature_names_in_.tolist() == FEATURES
    assert fitted.model_.target == "y"


def test_a_fit_goes_on_in_the_midst_of_an_epoch(two, fitted, tmp_path, monkeypatch):
    real, parts = TrainLoop.after_part, []

    def after_part(loop, number, *more):
        real(loop, number, *more)
        parts.append((loop.done, number))
        if len(parts) == 7:
            raise RuntimeError("killed")

    X, given = frame(), backhand.Checkpoint(tmp_path / "ck", "0s")
    monkeypatch.setattr(TrainLoop, "after_part", after_part)
    with pytest.raises(RuntimeError, match="killed"):
        classifier(client=two, threads=1).fit(X[FEATURES], X.y, checkpoint=given)
    other = classifier(client=two).set_params(steps=6)
    with pytest.raises(InputError, match="steps: 20 then, 6 now"):
        other.fit(X[FEATURES], X.y, checkpoint=given)
    again = classifier(client=two).fit(X[FEATURES], X.y, checkpoint=given)
    assert parts.count((0, 1)) == 1  # and it did not begin again
    assert digest(again) == digest(fitted)
    assert not (tmp_path / "ck").exists()


def test_nothing_is_left_on_the_workers(two, fitted):
    assert not left_on(two)


def test_predictions_are_lazy_and_those_of_the_local_model(two, fitted):
    X = frame(3, TEST)[FEATURES]
    proba, labels = fitted.predict_proba(X), fitted.predict(X)
    assert proba.shape[1] == 2
    local = fitted.to_local()
    assert type(local) is TabularClassifier
    np.testing.assert_array_equal(proba.compute(), local.predict_proba(TEST[FEATURES]))
    np.testing.assert_array_equal(labels.compute(), local.predict(TEST[FEATURES]))


def test_a_partition_without_rows_has_no_predictions(two, fitted):
    X = frame(3, TEST)
    some = X[X.a > 1e9][FEATURES]
    assert fitted.predict_proba(some).compute().shape == (0, 2)


def test_it_is_saved_as_a_local_model_and_pickled_without_its_client(two, fitted, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    loaded = backhand.load(tmp_path / "m.safetensors")
    assert type(loaded) is TabularClassifier
    again = pickle.loads(pickle.dumps(fitted))
    assert again.client is None
    assert digest(again) == digest(fitted) == digest(loaded)


@pytest.mark.parametrize(
    ("workers", "processes"),
    [(3, False), *(pytest.param(n, True, marks=pytest.mark.campaign) for n in (1, 4))],
)
def test_any_number_of_workers_gives_the_same_bits(fitted, workers, processes, tmp_path):
    X = frame()
    with cluster(workers, tmp_path, threads=2, processes=processes) as client:
        other = classifier(client=client).fit(X[FEATURES], X.y)
    assert digest(other) == digest(fitted)


def test_a_persisted_table_gives_the_same_bits(two, fitted):
    X = frame().persist()
    assert digest(classifier(client=two).fit(X[FEATURES], X.y)) == digest(fitted)


def test_regression_with_weights_and_rows_of_an_eval_set(two):
    X, V = frame(), frame(2, TEST)
    model = regressor(16, client=two).fit(
        X[FEATURES],
        X.v,
        X.w,
        eval_set=[(V[FEATURES], V.v)],
        eval_sample_weight=[V.w],
    )
    np.testing.assert_array_equal(model.held_out_.rows, np.arange(len(TEST)))
    np.testing.assert_array_equal(model.held_out_.y, TEST.v)
    local = model.to_local()
    assert type(local) is TabularRegressor
    assert local.score(TEST[FEATURES], TEST.v) > 0.7
    found = model.predict_interval(V[FEATURES], coverage=0.8).compute()
    np.testing.assert_array_equal(found, local.predict_interval(TEST[FEATURES], coverage=0.8))


def test_arrays(two):
    import dask.array as da

    x, y = TABLE[list("abcd")].to_numpy(), (TABLE.y == "yes").to_numpy().astype(int)
    X = da.from_array(x, chunks=(1000, 4))
    model = classifier(client=two).fit(X, da.from_array(y, chunks=1000))
    assert model.classes_.tolist() == [0, 1]
    assert not hasattr(model, "feature_names_in_")
    found = model.predict_proba(X)
    assert found.shape == (len(x), 2)
    np.testing.assert_array_equal(found.compute(), model.to_local().predict_proba(x))


def test_several_fits_at_once_do_not_wait_for_each_other(two, fitted):
    X, models = frame(), [classifier(client=two) for _ in range(2)]
    threads = [threading.Thread(target=m.fit, args=(X[FEATURES], X.y)) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    assert {digest(m) for m in models} == {digest(fitted)}


def test_the_graph_does_not_grow_with_the_rows(two):
    """How often tasks change their state, for four times the rows in as many partitions."""

    def tasks(rows):
        X = frame(6, table(rows))
        before = two.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        classifier(client=two, steps=10**9).fit(X[FEATURES], X.y)
        after = two.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        return after - before

    small, large = tasks(2000), tasks(8000)
    assert large < 1.5 * small


def test_what_is_wrong_is_one_line(two, fitted):
    X = frame()
    with pytest.raises(InputError, match=r"X has 6 partitions and y has 3"):
        classifier(client=two).fit(X[FEATURES], frame(3).y)
    with pytest.raises(InputError, match=r"X must be a dataframe or an array .* got DataFrame"):
        classifier(client=two).fit(TABLE[FEATURES], X.y)
    with pytest.raises(InputError, match="y must be a collection of Dask's, got Series"):
        classifier(client=two).fit(X[FEATURES], TABLE.y)
    with pytest.raises(InputError, match="shards must be a whole number above 0, got 0"):
        classifier(client=two, shards=0).fit(X[FEATURES], X.y)
    with pytest.raises(InputError, match="eval_set must be a list of one entry"):
        classifier(client=two).fit(X[FEATURES], X.y, eval_set=[])
    with pytest.raises(ValueError, match="The feature names should match those"):
        fitted.predict(X[["b", "k"]]).compute()


def test_without_a_cluster_it_says_so(monkeypatch):
    import distributed

    def none():
        raise ValueError

    monkeypatch.setattr(distributed, "default_client", none)
    X = frame()
    with pytest.raises(InputError, match=r"there is no cluster: start one"):
        classifier().fit(X[FEATURES], X.y)


def test_a_client_that_cannot_be_waited_on_says_so(two):
    from distributed import Client

    X = frame()
    closed = Client(two.scheduler.address, set_as_default=False)
    closed.close()
    with pytest.raises(InputError, match=r"client=.* is closed: give one that waits"):
        classifier(client=closed).fit(X[FEATURES], X.y)

    async def asked():
        address = two.scheduler.address
        async with Client(address, asynchronous=True, set_as_default=False) as later:
            with pytest.raises(InputError, match=r"client=.* is asynchronous: give one"):
                classifier(client=later).fit(X[FEATURES], X.y)

    asyncio.run(asked())


def fitted_in_a_task():
    from distributed import worker_client

    X = frame()
    with worker_client() as client:
        return digest(classifier(client=client).fit(X[FEATURES], X.y))


def test_a_fit_inside_a_task_has_the_same_bits(two, fitted):
    assert two.submit(fitted_in_a_task, pure=False).result(timeout=300) == digest(fitted)
