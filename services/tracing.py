"""Traces of an event's way: the request, its append to the log, the batch that folds it, the commit. Off by default.

The only importer of OpenTelemetry. While off nothing of it is loaded, no header is written and no request passes
through here. Attributes hold routes, statuses and counts: never an address, a header, a body, a key or a person, and
of an error its type alone, since its text may quote what failed.
"""

import atexit
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from itertools import islice
from typing import Any, Final, Protocol

from services.settings import Settings

HEADER: Final = "traceparent"
"""The header of a record that says which trace it belongs to, as W3C spells it."""
MOST_LINKS: Final = 128
"""A batch links to at most so many of the traces that end in it."""
_FLUSH_SECONDS: Final = 2.0

METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds, and part of nothing."""

Value = str | int | bool
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

_tracer: Any = None


class Span(Protocol):
    """What takes time, as the code within it sees it."""

    def set_attribute(self, key: str, value: Value) -> None:
        """Tell something about it."""

    def update_name(self, name: str) -> None:
        """Name it anew."""


class _Silent:
    """The span of everything while traces are off."""

    def set_attribute(self, key: str, value: Value) -> None:
        pass

    def update_name(self, name: str) -> None:
        pass


_SILENT: Final = _Silent()


def start(service: str, settings: Settings) -> None:
    """Send traces of ``service`` to the collector that ``settings`` name, if they name one.

    The standard ``OTEL_*`` variables hold for what no setting says: sampling, headers, resource attributes.
    """
    if not settings.otlp_endpoint:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = Resource.create({"service.name": f"uptake-{service}", "service.namespace": "uptake"})
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    atexit.register(_finish, provider.shutdown)
    global _tracer  # noqa: PLW0603 - one a process, as logging is
    _tracer = provider.get_tracer("uptake")


def on() -> bool:
    """Tell whether traces are made."""
    return _tracer is not None


def _finish(shutdown: Callable[[], None]) -> None:
    """Send what is left, but let no collector that is away hold up the end of the process."""
    sending = threading.Thread(target=shutdown, daemon=True)
    sending.start()
    sending.join(_FLUSH_SECONDS)


@contextlib.contextmanager
def span(
    name: str, attributes: Mapping[str, Value] | None = None, *, kind: str = "INTERNAL", origins: Iterable[str] = ()
) -> Iterator[Span]:
    """Time the block as ``name``; ``origins``: the ``traceparent`` of each thing that it works on.

    Things of one trace: the block is a part of it. Of several: it has a trace of its own that links to theirs.
    """
    if _tracer is None:
        yield _SILENT
        return
    from opentelemetry import trace  # noqa: PLC0415

    contexts = [_read(origin) for origin in islice(dict.fromkeys(origins), MOST_LINKS)]
    alone = len(contexts) == 1
    links = [] if alone else [trace.Link(trace.get_current_span(it).get_span_context()) for it in contexts]
    with _tracer.start_as_current_span(
        name,
        context=contexts[0] if alone else None,
        kind=trace.SpanKind[kind],
        attributes=attributes,
        links=links,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except BaseException as error:
            made.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


def _read(origin: str) -> Any:  # noqa: ANN401 - a context of OpenTelemetry
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    return TraceContextTextMapPropagator().extract({HEADER: origin})


def here() -> str | None:
    """Return the ``traceparent`` of the span that runs; None: there is none."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(HEADER)


def origins_of(records: Iterable[Any]) -> Iterator[str]:
    """Return the ``traceparent`` of each of ``records`` of the log that has one; of none while traces are off."""
    if _tracer is None:
        return
    for record in records:
        for name, value in record.headers:
            if name == HEADER:
                yield value.decode("latin-1")


def served(app: App, route_of: Callable[[Scope], str]) -> App:
    """Return ``app`` with a span around each request, named by its route; ``app`` itself while traces are off."""
    return app if _tracer is None else _Served(app, route_of)


class _Served:
    """An ASGI application whose requests are spans."""

    def __init__(self, app: App, route_of: Callable[[Scope], str]) -> None:
        self._app = app
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI has them
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(HEADER.encode())
        origins = () if sent is None else (sent.decode("latin-1"),)
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        with span(method, {"http.request.method": method}, kind="SERVER", origins=origins) as made:

            async def answer(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    made.set_attribute("http.response.status_code", message["status"])
                await send(message)

            try:
                await self._app(scope, receive, answer)
            finally:
                route = self._route_of(scope)
                made.set_attribute("http.route", route)
                made.update_name(f"{method} {route}")
