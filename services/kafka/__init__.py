"""The way to Kafka: the only importer of aiokafka. One class appends, one reads, both in partitions and offsets."""

from aiokafka.errors import MessageSizeTooLargeError

from services.kafka.appender import Appender, Batch
from services.kafka.clients import look_up
from services.kafka.errors import LogStumbledError, LogUnavailableError, NoSuchBrokerError, OutOfRangeError
from services.kafka.follower import Follower
from services.kafka.looking import certified_until, topics_of
from services.kafka.reader import LogRecord, Reader
from services.kafka.topics import ensure_topics

__all__ = [
    "Appender",
    "Batch",
    "Follower",
    "LogRecord",
    "LogStumbledError",
    "LogUnavailableError",
    "MessageSizeTooLargeError",
    "NoSuchBrokerError",
    "OutOfRangeError",
    "Reader",
    "certified_until",
    "ensure_topics",
    "look_up",
    "topics_of",
]
