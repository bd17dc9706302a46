"""Logs say whom they concern in fields of their own, and what trace they are a part of; on a terminal they are text."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from services import tracing
from services.observability import Standing, start_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Leave the loggers as they were."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is logged, as into a file."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    start_logging("tests", "INFO")
    return stream


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_and_names_whom_it_concerns(said: io.StringIO) -> None:
    about = {"tenant": "acme", "event": "e-1", "shard": 0}
    logging.getLogger("ours").warning("set aside\nfor %s", "now", extra=about)
    (line,) = _lines(said)

    assert line.pop("time").endswith("Z")
    assert line == {"level": "warning", "service": "tests", "logger": "ours", "message": "set aside\nfor now", **about}


def test_a_line_within_a_span_is_a_part_of_its_trace(said: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_tracer", TracerProvider(shutdown_on_exit=False).get_tracer("tests"))
    with tracing.span("fold"):
        logging.getLogger("ours").warning("within")
        here = tracing.here()
    logging.getLogger("ours").warning("without")
    within, without = _lines(said)

    assert here is not None
    assert here.split("-")[1:3] == [within["trace_id"], within["span_id"]]
    assert "trace_id" not in without


def test_on_a_terminal_a_line_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    start_logging("tests", "INFO")
    logging.getLogger("ours").warning("hello")

    assert terminal.getvalue().endswith(" WARNING ours: hello\n")


def test_what_is_wrong_is_told_with_since_when_until_it_is_well() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    moments = iter([now, now + timedelta(minutes=1), now + timedelta(minutes=2), now + timedelta(minutes=3)])
    standing = Standing(lambda: next(moments))
    told = [standing.told(wrong) for wrong in ({"kafka": "away"}, {"kafka": "refused"}, {}, {"kafka": "away"})]

    assert [it["ready"] for it in told] == [False, False, True, False]
    assert [it["since"].get("kafka", "")[11:16] for it in told] == ["00:00", "00:00", "", "00:03"]
