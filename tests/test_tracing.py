"""Traces: what belongs together is one trace or linked, an error has no text, and off means nothing at all."""

from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id

from services import tracing

FIRST = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECOND = "00-11112222333344445555666677778888-00f067aa0ba902b8-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What is made while traces are on."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("tests"))
    return exporter


def _record(*origins: str) -> SimpleNamespace:
    return SimpleNamespace(headers=[("ce_id", b"1"), *[(tracing.HEADER, origin.encode()) for origin in origins]])


def test_a_batch_of_one_trace_is_a_part_of_it(spans: InMemorySpanExporter) -> None:
    with tracing.span("fold", origins=tracing.origins_of([_record(FIRST), _record(FIRST), _record()])):
        pass

    (made,) = spans.get_finished_spans()
    assert (format_trace_id(made.context.trace_id), made.links) == (FIRST[3:35], ())


def test_a_batch_of_several_traces_has_its_own_and_links_to_theirs(spans: InMemorySpanExporter) -> None:
    with tracing.span("fold", origins=tracing.origins_of([_record(FIRST), _record(SECOND), _record(FIRST)])):
        pass

    (made,) = spans.get_finished_spans()
    assert made.parent is None
    assert [format_trace_id(link.context.trace_id) for link in made.links] == [FIRST[3:35], SECOND[3:35]]


def test_of_an_error_its_kind_is_told_and_not_its_text(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="ada"), tracing.span("fold"):
        raise ValueError("ada@acme.example")

    (made,) = spans.get_finished_spans()
    assert (made.status.description, made.events) == ("ValueError", ())


async def test_off_no_request_passes_through_and_no_header_is_read() -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None:
        pass

    assert tracing.served(app, lambda _scope: "other") is app
    assert list(tracing.origins_of([_record(FIRST)])) == []
    assert tracing.here() is None
