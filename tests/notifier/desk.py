"""What the notifier finds in the database, written as the evaluator and the API write it."""

import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from schemas.alerts import item
from services.egress import Client, networks_of
from services.notifier.bell import Bell
from services.notifier.channels.webhook import webhook
from services.notifier.instruments import Instruments
from services.notifier.planner import Planner
from services.notifier.sender import Sender
from services.notifier.ways import Way
from services.postgres import Connection, Pool
from services.sealing import Seal
from tests.builders import NOON

KEY = b"k" * 32
SEAL = Seal(KEY)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HERE = networks_of("127.0.0.0/8")

_numbers = itertools.count(1)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class Desk:
    """A notifier without its loops: plans and sends what there is, when told to."""

    def __init__(self, pool: Pool, clock: Clock, *, seconds: float = 2.0) -> None:
        ways = {"webhook": Way(webhook(Client(networks=HERE, seconds=seconds)))}
        self.instruments = Instruments()
        self.clock = clock
        self.planner = Planner(pool, ways, clock, Bell())
        self.sender = Sender(pool, SEAL, ways, clock, seconds=seconds, instruments=self.instruments)

    async def plan(self) -> None:
        """Plan everything there is."""
        while await self.planner.round(self.clock()):
            pass

    async def send(self) -> int:
        """Send everything that is due; return how many messages that were."""
        sent = 0
        while number := await self.sender.round():
            await self.sender.finish()
            sent += number
        return sent

    async def work(self) -> int:
        """Plan and send."""
        await self.plan()
        return await self.send()

    def counted(self, outcome: str) -> float:
        """Return how many attempts ended so."""
        registry: CollectorRegistry = self.instruments.registry
        return registry.get_sample_value("uptake_deliveries_total", {"kind": "webhook", "outcome": outcome}) or 0


async def key(connection: Connection, name: str = "key1", *, person: str | None = None) -> str:
    """Insert a key that manages."""
    await connection.execute(
        "insert into api_key (id, tenant, secret_hash, scopes, person) values ($1, $2, '\\x00', '{read,manage}', $3)",
        name,
        "acme",
        person,
    )
    return name


async def subscribe(
    connection: Connection,
    name: str,
    url: str,
    *,
    tenant: str = "acme",
    secrets: tuple[str, ...] = (SECRET,),
    key_id: str = "key1",
    person: str | None = None,
    **filter_: Any,
) -> str:
    """Insert a webhook that is told of what comes from now on."""
    place = f"subscription/{tenant}/{name}"
    await connection.execute(
        """insert into subscription (tenant, id, kind, name, url, secrets, filter, key_id, person, cursor)
           values ($1, $2, 'webhook', $2, $3, $4, $5, $6, $7,
                   coalesce((select max(seq) from alert_change where tenant = $1), 0))""",
        *(tenant, name, SEAL.close(url.encode(), place), [SEAL.close(secret.encode(), place) for secret in secrets]),
        *(filter_, key_id, person),
    )
    return name


def alert(number: str = "", **columns: Any) -> dict[str, Any]:
    """Return the columns of an alert on a team."""
    number = number or f"alert{next(_numbers)}"
    return {
        "id": number,
        "fingerprint": number,
        "rule": "adoption-drop-vs-week1",
        "rule_version": 1,
        "severity": "warning",
        "tier": "confirmed",
        "state": "open",
        "suppressed_by": None,
        "subject_kind": "team",
        "subject_key": "North",
        "wave": None,
        "title": "North: 6 of 12 people came, fewer than in week 1",
        "opened_at": NOON,
        "updated_at": NOON,
        "resolved_at": None,
        "resolution": None,
        "window": {"from": "2026-03-02", "to": "2026-03-08"},
        "evidence": {"num": 6, "den": 12, "value": 0.5},
        "audience": [{"role": "manager"}],
        "action": "Ask what gets in their way.",
        "acknowledged_at": None,
        "snoozed_until": None,
        "assignee": None,
        "plan_on": None,
        "escalation": 0,
        "useful": None,
        "episode": 1,
        "revision": 0,
        **columns,
    }


async def change(
    connection: Connection,
    kind: str,
    columns: Mapping[str, Any],
    *,
    at: datetime = NOON,
    **now: Any,
) -> dict[str, Any]:
    """Write the alert as it is ``now``, and the change behind it, as the evaluator does; return its columns."""
    after = {**columns, **now}
    if kind in {"resolved", "restated"}:
        after |= {"state": "resolved", "resolved_at": at, "resolution": now.get("resolution", "recovered")}
    names = list(after)
    await connection.execute(
        f"""insert into alert (tenant, {", ".join(f'"{name}"' for name in names)})
            values ($1, {", ".join(f"${n}" for n in range(2, len(names) + 2))})
            on conflict (tenant, id) do update set
            {", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in ("id", "fingerprint"))}""",
        "acme",
        *after.values(),
    )
    await connection.execute(
        """insert into alert_change (tenant, alert, kind, state, actor, as_of, body, at)
           values ($1, $2, $3, $4, 'evaluator', $5, $6, $5)""",
        *("acme", after["id"], kind, after["state"], at, item(after)),
    )
    return after
