"""Two tenants filled with marked data: no answer to one holds a mark of the other."""

import itertools
import random
import re
from datetime import date

from services.postgres import Pool
from tests.api.conftest import Client, Connect
from tests.api.test_alerts import add_alert
from tests.api.test_auth import NEEDS
from tests.builders import NOON

CANARY = "canary-of-the-other"


async def fill(api: Client, pool: Pool) -> None:
    """Fill the tenant ``other`` with canaries under the very ids that ``acme`` uses."""
    other = {"Uptake-Tenant": "other"}
    for tenant, word in (("acme", "plain"), ("other", CANARY)):
        headers = {"Uptake-Tenant": tenant}
        people = [{"user": "x", "name": word, "team": word, "role": word}, {"user": f"{word}-user"}]
        assert (await api.put("/v1/directory/people", json=people, headers=headers)).status_code == 200
        wave = {"id": "x", "name": word, "go_live": "2026-03-02", "sponsor": word}
        assert (await api.post("/v1/waves", json=wave, headers=headers)).status_code == 201
        await pool.execute(
            """insert into window_delta (tenant, dimension, key, days, day, shard, licensed)
               values ($1, 'team', $2, 1, $3, 0, 9)""",
            tenant,
            word,
            date(2026, 3, 1),
        )
        await pool.execute("insert into source_seen values ($1, $2, 0, $3, 1)", tenant, word, NOON)
        await pool.execute(
            """insert into wave_connection (tenant, wave, n, num, den, settled, missing)
               values ($1, 'x', 1, 0, 1, true, $2)""",
            tenant,
            [word],
        )
    await add_alert(pool, "x", "other", title=CANARY)
    await api.post("/v1/keys", json={"tenant": "other", "scopes": ["read"], "person": CANARY}, headers=other)


async def test_no_answer_to_a_tenant_holds_anything_of_another(api: Client, connect: Connect, pool: Pool) -> None:
    await api.post("/v1/tenants", json={"id": "other", "name": CANARY, "privacy": {"min_group": 1}})
    await fill(api, pool)
    foreign = (await api.get("/v1/keys", headers={"Uptake-Tenant": "other"})).json()["items"][0]["id"]
    key = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read", "manage", "scrape"]})).json()["key"]
    client = connect(key)
    rng = random.Random(11)
    words = ["x", "other", CANARY, f"{CANARY}-user", foreign, "acme"]
    questions = ["", f"?team={CANARY}", f"?key={CANARY}", "?limit=1000", f"?subject={CANARY}", "?wave=x", "?wait=0"]
    routes = [route.split(" ") for route in NEEDS if not route.startswith(("DELETE", "POST /v1/tenants"))]

    seen = 0
    for (method, path), word, question in itertools.product(routes, words, questions):
        if rng.random() < 0.5:
            continue
        address = re.sub(r"{.*}", word, path) + (f"{question}&" if question else "?") + "wait=0&after=nothing"
        body = {"scopes": ["read"], "tenant": "other"} if method == "POST" else None
        answer = await client.request(method, address, json=body)
        assert CANARY not in answer.text, (method, address)
        seen += answer.status_code == 200

    assert seen > 50
    assert CANARY in (await api.get("/v1/waves", headers={"Uptake-Tenant": "other"})).text
