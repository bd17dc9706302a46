"""Webhooks by Standard Webhooks: JSON, signed with every active secret, the same id at every attempt."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

import msgspec

from services.egress import Answer, Client, EgressError, TargetError
from services.notifier.domain.patience import wish_of
from services.notifier.domain.shape import Outcome, Sending
from services.notifier.domain.signing import headers
from services.notifier.ways import Send

AGENT = {"content-type": "application/json", "user-agent": "Uptake/1"}


def webhook(client: Client) -> Send:
    """Return the way to a webhook through ``client``."""

    async def send(sending: Sending) -> Outcome:
        body = msgspec.json.encode(sending.body)
        signed = headers(sending.message, body, sending.secrets, sending.now)
        return await posted(client, sending, body, AGENT | signed)

    return send


async def posted(client: Client, sending: Sending, body: bytes, told: Mapping[str, str]) -> Outcome:
    """Post ``body`` to where ``sending`` goes, and return what became of it."""
    if not sending.url:
        return Outcome(kind="blocked", error="the subscription has no address")
    try:
        answer = await client.post(sending.url, body, told)
    except TargetError as error:
        return Outcome(kind="blocked", error=f"the address {error}")
    except EgressError as error:
        return Outcome(kind="unknown" if error.sent else "unreachable", error=str(error))
    return outcome_of(answer, sending.now)


def outcome_of(answer: Answer, now: datetime) -> Outcome:
    """Return what an answer says of a delivery. A redirect is an answer, and not that it was taken."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(kind="delivered", status=answer.status)
    redirected = answer.status < HTTPStatus.BAD_REQUEST
    return Outcome(
        kind="refused",
        status=answer.status,
        error="redirects are not followed" if redirected else None,
        retry_after=wish_of(answer.headers.get("retry-after"), now),
        gone=answer.status == HTTPStatus.GONE,
    )
