"""A slow machine is waited for, as long as a visitor may be willing to."""

import json

import pytest

from services.demo import stack
from tests.egress.receiver import Receiver, Reply


def _status(*, settled: bool) -> Reply:
    return Reply(body=json.dumps({"settled": settled, "lag": 3}).encode())


def _seen(api: Receiver) -> stack.Stack:
    return stack.Stack({"api": api.url, "ingest": api.url, "admin_key": "key"}, "demo")


async def test_what_is_not_settled_after_a_minute_is_asked_for_again() -> None:
    async with Receiver() as api, _seen(api) as demo:
        api.replies = [_status(settled=False), _status(settled=False), _status(settled=True)]
        await demo.settle()

    assert [came.line for came in api.came] == ["GET /in/v1/status?wait=60 HTTP/1.1"] * 3


async def test_what_never_settles_is_given_up_after_ten_minutes() -> None:
    async with Receiver() as api, _seen(api) as demo:
        api.usual = _status(settled=False)
        with pytest.raises(stack.DemoError, match=r"not everything was counted and judged within 600 s \(lag 3\)"):
            await demo.settle()

    assert len(api.came) == 10
