"""What a measured time was of is told by marks that name nobody, short enough for OpenMetrics."""

from schemas.events import decode, identity
from services import exemplars
from services.tracing import HEADER
from tests.builders import record

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MOST_CHARACTERS = 128


def test_an_event_is_told_by_its_mark_and_by_its_trace_where_it_has_one() -> None:
    made = record(user="anna", id="login-of-anna")

    labels = exemplars.of_record(made.value, [*made.headers, (HEADER, f"00-{TRACE}-00f067aa0ba902b7-01".encode())])

    assert labels == {"event": identity(decode(made.value)).hex(), "trace_id": TRACE}
    assert sum(len(name) + len(value) for name, value in labels.items()) <= MOST_CHARACTERS
    assert exemplars.of_record(made.value, made.headers) == {"event": labels["event"]}


def test_what_is_no_event_has_no_exemplar_and_a_strange_trace_is_left_out() -> None:
    made = record()

    assert exemplars.of_record(b"{", ()) is None
    assert exemplars.of_record(None, ()) is None
    assert "trace_id" not in (exemplars.of_record(made.value, [(HEADER, b"anna@example.com")]) or {})
