"""A service that predicts rows: plain ASGI, without a framework.

    pip install uvicorn
    MODEL=model.safetensors uvicorn --app-dir examples serve:app

A POST of a row as a JSON object gives its prediction, and of a classifier the probabilities; of a
list of rows, a list. A row that does not fit gives the model's message, with status 422.
"""

from __future__ import annotations

import json
import os
from typing import Any

import backhand

MOST_BYTES = 1 << 20
"""Of a request: more is refused."""

predictor = backhand.load_predictor(os.environ["MODEL"])


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """What is said of a row."""
    if predictor.classes is None:
        return {"prediction": predictor.predict(row)}
    p = predictor.predict_proba(row).tolist()
    names = map(str, predictor.classes)
    return {
        "prediction": predictor.predict(row),
        "probabilities": dict(zip(names, p, strict=True)),
    }


async def body_of(receive: Any) -> bytes | None:
    """The body of a request; None if it is too long."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_BYTES:
            return None
    return body


def respond(body: bytes | None) -> tuple[int, Any]:
    """Status and content of the response."""
    if body is None:
        return 413, {"error": f"a request has at most {MOST_BYTES:,} bytes"}
    try:
        rows = json.loads(body)
    except ValueError:
        return 400, {"error": "a request is a row as JSON, or a list of rows"}
    several = isinstance(rows, list)
    if not all(isinstance(row, dict) for row in (rows if several else [rows])):
        return 400, {"error": "a row is a JSON object: names of columns with their values"}
    try:
        return 200, [answer(row) for row in rows] if several else answer(rows)
    except backhand.InputError as error:
        return 422, {"error": str(error)}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application. A row takes microseconds, so it is predicted where it arrives."""
    if scope["type"] != "http":
        return
    if scope["method"] != "POST":
        status, content = 405, {"error": "POST a row as JSON"}
    else:
        status, content = respond(await body_of(receive))
    text = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
