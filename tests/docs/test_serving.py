"""The application of the page on services, without a server."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from backhand import TabularClassifier, TabularRegressor, load

SERVE = Path(__file__).resolve().parents[2] / "examples" / "serve.py"
ROW = {"size": 70.0, "city": "Oslo"}


def table():
    rng = np.random.default_rng(0)
    return {"size": rng.uniform(20, 120, 300), "city": rng.choice(["Oslo", "Bergen"], 300)}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    X, folder = table(), tmp_path_factory.mktemp("models")
    over = X["size"] + 40 * (X["city"] == "Oslo")
    found = {}
    for name, kind, y in (
        ("classes", TabularClassifier, np.where(over > 90, "yes", "no")),
        ("numbers", TabularRegressor, over),
    ):
        found[name] = folder / f"{name}.safetensors"
        kind(preset="fast", n_members=1, random_state=0).fit(X, y).save(found[name])
    return found


@pytest.fixture
def served(models, monkeypatch):
    def start(name):
        monkeypatch.setenv("MODEL", str(models[name]))
        spec = importlib.util.spec_from_file_location("serve", SERVE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return start


def request(app, body, method="POST", pieces=1):
    """Status and content of the response."""
    step = -(-len(body) // pieces) or 1
    waiting = [body[k : k + step] for k in range(0, len(body), step)] or [b""]
    sent = []

    async def receive():
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "http", "method": method, "path": "/"}, receive, send))
    length = dict(sent[0]["headers"])[b"content-length"]
    assert int(length) == len(sent[1]["body"])
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_classes(served, models):
    app, model = served("classes").app, load(models["classes"])
    for pieces in (1, 3):
        status, said = request(app, json.dumps(ROW).encode(), pieces=pieces)
        assert status == 200
        assert said["prediction"] == model.predict(ROW)[0]
        p = model.predict_proba(ROW)[0]
        assert list(said["probabilities"]) == ["no", "yes"]
        np.testing.assert_allclose(list(said["probabilities"].values()), p, atol=1e-14)
    status, several = request(app, json.dumps([ROW, ROW]).encode())
    assert (status, several) == (200, [said, said])


def test_numbers(served, models):
    status, said = request(served("numbers").app, json.dumps(ROW).encode())
    assert status == 200
    np.testing.assert_allclose(said["prediction"], load(models["numbers"]).predict(ROW)[0], 1e-12)


def test_what_does_not_fit(served):
    serve = served("numbers")
    assert request(serve.app, b"{}", method="GET")[0] == 405
    assert request(serve.app, b"{")[0] == 400
    assert request(serve.app, b"[1]")[0] == 400
    assert request(serve.app, b" " * (serve.MOST_BYTES + 1), pieces=4)[0] == 413
    status, said = request(serve.app, b'{"size": 70}')
    assert status == 422
    assert "city" in said["error"]
