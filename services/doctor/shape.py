"""What a check may find beside what is well."""

from datetime import UTC, datetime, timedelta
from typing import Final

ENDS_SOON: Final = timedelta(days=14)


class Unhealthy(Exception):  # noqa: N818 - not a mistake of the program
    """A check that failed; the message says what to do about it."""


class Doubtful(Exception):  # noqa: N818 - not a mistake of the program
    """Something works, and should be known: the message says what it may cost."""


def lasting(what: str, until: datetime, now: datetime) -> str:
    """Return until when a certificate holds.

    Raises:
        Unhealthy, Doubtful: it has ended, or soon will.
    """
    words = f"{what} holds until {until.astimezone(UTC):%Y-%m-%d}"
    if until <= now:
        raise Unhealthy(f"{words}: renew it")
    if until - now < ENDS_SOON:
        raise Doubtful(f"{words}: renew it soon")
    return words
