"""What can go wrong between us and the log, in our own words."""

from collections.abc import Sequence

from aiokafka.errors import UnknownError


class LogUnavailableError(RuntimeError):
    """Kafka is away, or did not acknowledge: nothing is known of what was sent."""


class NoSuchBrokerError(LogUnavailableError):
    """Nobody knows the name of a broker: whatever may come, it does not come there."""


class LogStumbledError(LogUnavailableError):
    """The broker answered that it failed, and not why: the same append may succeed at once."""


class OutOfRangeError(RuntimeError):
    """A partition's position is outside its log (retention passed it, or the log is another one)."""

    def __init__(self, partitions: Sequence[int]) -> None:
        super().__init__(f"positions outside the log of partitions {sorted(partitions)}")
        self.partitions = tuple(partitions)


def unavailable(error: BaseException) -> LogUnavailableError:
    """Return ``error`` as ours, with its cause."""
    kind = LogStumbledError if isinstance(error, UnknownError) else LogUnavailableError
    ours = kind(f"{type(error).__name__}: {error}")
    ours.__cause__ = error
    return ours
