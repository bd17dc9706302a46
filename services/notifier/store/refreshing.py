"""What Alertmanagers were told of and is still open, as they were told it."""

from typing import Any, Final, NamedTuple

from services.postgres import Connection

_BURNING: Final = """
select s.tenant, s.id as subscription, s.url, array_agg(d.alert order by d.id) as alerts
from subscription s cross join lateral (
  select distinct on (d.alerts) d.id, d.body #> '{data,alert}' as alert from delivery d
  join alert a on a.tenant = d.tenant and a.id = d.alerts[1] and a.state <> 'resolved'
  where d.tenant = s.tenant and d.subscription = s.id and d.state <> 'withdrawn' and cardinality(d.alerts) = 1
  order by d.alerts, d.id desc) d
where s.kind = 'alertmanager' and s.state = 'active' and s.url is not null and d.alert ->> 'state' <> 'resolved'
group by s.tenant, s.id, s.url order by s.tenant, s.id
"""


class Burning(NamedTuple):
    """What is open for a subscription. ``url`` is sealed."""

    tenant: str
    subscription: str
    url: bytes
    alerts: list[dict[str, Any]]


async def burning(connection: Connection) -> list[Burning]:
    """Return what is open, by subscription."""
    return [Burning(*row) for row in await connection.fetch(_BURNING)]
