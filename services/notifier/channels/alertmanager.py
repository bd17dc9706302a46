"""An Alertmanager: every alert is posted to it, and posted again while it is open, for it forgets what is not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from services.egress import Client
from services.notifier.channels.webhook import AGENT, posted
from services.notifier.domain.alertmanager import endpoint, posting, trial
from services.notifier.domain.shape import Outcome, Sending
from services.notifier.ways import Send


def alertmanager(client: Client, links: str) -> Send:
    """Return the way to an Alertmanager through ``client``; ``links``: where alerts are found."""

    async def send(sending: Sending) -> Outcome:
        to = replace(sending, url=endpoint(sending.url) if sending.url else None)
        told = _told(sending.tenant, sending.body, sending.now, links)
        return await posted(client, to, msgspec.json.encode(told), AGENT)

    return send


def _told(tenant: str, body: Mapping[str, Any], now: datetime, links: str) -> list[dict[str, Any]]:
    """Return what is posted of a message: of one alert, or of all that are open."""
    if "open" in body:
        return [one for alert in body["open"] for one in posting(tenant, alert, "again", now, links)]
    if "alert" not in body["data"]:
        return trial(tenant, now)
    return posting(tenant, body["data"]["alert"], body["data"]["kind"], now, links)
