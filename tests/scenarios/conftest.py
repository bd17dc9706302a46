"""One product for all stories, on embedded engines with two aggregators: each story has a tenant of its own."""

from collections.abc import Iterator

import pytest

from services.embedded import fresh_directory
from tests.stack import Stack


@pytest.fixture(scope="session")
def product() -> Iterator[Stack]:
    stack = Stack(fresh_directory())
    try:
        stack.start(aggregators=2, publish_seconds=60, delivery_networks="127.0.0.0/8")
        yield stack
    finally:
        stack.remove()
