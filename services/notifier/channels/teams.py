"""A channel of Microsoft Teams: an Adaptive Card, posted to the webhook of a workflow."""

import msgspec

from services.egress import Client
from services.notifier.channels.webhook import AGENT, posted
from services.notifier.domain.people.card import envelope
from services.notifier.domain.people.messages import told_of
from services.notifier.domain.people.page import page
from services.notifier.domain.people.wording import words
from services.notifier.domain.shape import Outcome, Sending
from services.notifier.ways import Send


def teams(client: Client, links: str) -> Send:
    """Return the way to a channel through ``client``; ``links``: where alerts are found."""

    async def send(sending: Sending) -> Outcome:
        body = told_of(sending.body, sending.tenant, sending.now)
        card = envelope(page(body, links), words(body["language"]).left_out)
        return await posted(client, sending, msgspec.json.encode(card), AGENT)

    return send
