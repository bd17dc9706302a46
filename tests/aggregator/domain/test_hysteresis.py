"""When a condition opens an alert and when it ends it, against a model that looks at slices of the time line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.findings import Outcome, Resolution
from services.aggregator.domain.rules.hysteresis import OUT_OF_PHASE, Sign, walk

BREACH, CLEAR, BETWEEN = Sign(breach=True), Sign(clear=True), Sign()
UNKNOWN, IDLE = Sign(reason="source_silent"), Sign(reason="no_meeting", idle=True)
ENDED = Sign(reason=OUT_OF_PHASE)
LETTERS = {"b": BREACH, "c": CLEAR, "-": BETWEEN, "?": UNKNOWN, "i": IDLE, "x": ENDED}


def episodes(line: str, opens: int = 2, closes: int = 2) -> list[tuple[int, int | None]]:
    walked = walk([LETTERS[letter] for letter in line], opens, closes)
    return [(course.opened, course.closed) for course in walked.courses]


def model(line: str, opens: int, closes: int) -> list[tuple[int, int | None]]:
    """Return (opened, closed): the shortest slices that have all it takes."""
    found: list[tuple[int, int | None]] = []
    start = 0
    while start < len(line):
        opened = next((end for end in range(start, len(line)) if _opens(line[: end + 1], opens)), None)
        if opened is None:
            break
        ends = (end for end in range(opened + 1, len(line)) if _closes(line[opened + 1 : end + 1], closes))
        closed = next(ends, None)
        found.append((opened, closed))
        if closed is None:
            break
        start = closed + 1
    return found


def _opens(past: str, opens: int) -> bool:
    told = past.replace("i", "")
    return past[-1] == "b" and told.endswith("b" * opens)


def _closes(since: str, closes: int) -> bool:
    told = "".join(letter for letter in since if letter in "bc-")
    return since[-1] == "x" or (since[-1] == "c" and told.endswith("c" * closes))


@settings(max_examples=300)
@given(line=st.text("bc-?ix", max_size=14), opens=st.integers(1, 3), closes=st.integers(1, 3))
def test_it_opens_and_closes_as_slices_of_the_time_line_say(line: str, opens: int, closes: int) -> None:
    assert episodes(line, opens, closes) == model(line, opens, closes)


@settings(max_examples=100)
@given(line=st.text("bc-?ix", max_size=12), more=st.text("bc-?ix", max_size=4))
def test_what_comes_later_changes_no_beginning(line: str, more: str) -> None:
    before, after = episodes(line), episodes(line + more)

    assert [opened for opened, _ in after][: len(before)] == [opened for opened, _ in before]
    assert all(closed in {None, other} for (_, closed), (_, other) in zip(before, after, strict=False))


def test_a_share_that_swings_by_a_point_around_the_threshold_is_one_alert() -> None:
    line = [Sign(breach=share < 80, clear=share >= 85) for share in (86, 79, 79, 80, 79, 81, 79, 80, 85, 86, 87)]

    walked = walk(line, 2, 2)

    assert [(course.opened, course.closed) for course in walked.courses] == [(2, 9)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("bcbcbc", [], id="never two in a row"),
        pytest.param("b?b", [], id="unknown confirms nothing"),
        pytest.param("bib", [(2, None)], id="a week without a meeting is passed over"),
        pytest.param("bb?c?c", [(1, 5)], id="unknown ends nothing, and stands in no way"),
        pytest.param("bbc-c", [(1, None)], id="between the thresholds it is not calm"),
        pytest.param("bbx", [(1, 2)], id="the phase ends it"),
        pytest.param("bbxbb", [(1, 2), (4, None)], id="again in another phase is another episode"),
    ],
)
def test_what_opens_and_what_ends(line: str, found: list[tuple[int, int | None]]) -> None:
    assert episodes(line) == found


def test_each_window_says_what_was_made_of_it() -> None:
    walked = walk([LETTERS[letter] for letter in "-bb?-cc"], 2, 2)

    assert [(seen.outcome, seen.opened) for seen in walked.seen] == [
        (Outcome.HELD, None),
        (Outcome.PENDING, None),
        (Outcome.OPEN, 2),
        (Outcome.NOT_JUDGED, 2),
        (Outcome.HELD, 2),
        (Outcome.CLEAR, 2),
        (Outcome.CLEAR, 2),
    ]
    assert walked.courses[0].resolution == Resolution.RECOVERED
    assert [walked.open_at(place) for place in range(7)] == [False, False, True, True, True, True, False]
