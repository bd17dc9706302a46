"""An identity provider: the admin's client on the tenant ``acme``, with the words it uses."""

from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client, Connect

SCIM = {"Content-Type": "application/scim+json; charset=utf-8", "Accept": "application/scim+json"}
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


class Provider:
    """An identity provider."""

    def __init__(self, client: Client, pool: Pool) -> None:
        self.client = client
        self.pool = pool

    async def user(self, user_name: str, **more: Any) -> str:
        """Provision a user and return the id."""
        answer = await self.client.post("/scim/v2/Users", json={"schemas": [USER], "userName": user_name, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def group(self, name: str, *members: str) -> str:
        """Push a group and return the id."""
        body = {"displayName": name, "members": [{"value": member} for member in members]}
        answer = await self.client.post("/scim/v2/Groups", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def patch(self, address: str, *operations: dict[str, Any]) -> Any:
        """Send operations and return the body of the answer; None when it has none."""
        answer = await self.client.patch(
            f"/scim/v2/{address}", json={"schemas": [PATCH_OP], "Operations": list(operations)}
        )
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.content else None

    async def members(self, group: str) -> set[str]:
        """Return the ids of the members of a group."""
        return {member["value"] for member in (await self.client.get(f"/scim/v2/Groups/{group}")).json()["members"]}

    async def person(self, user: str) -> dict[str, Any]:
        """Return a person as the directory has them."""
        items = (await self.client.get("/v1/directory/people")).json()["items"]
        return next(dict(item) for item in items if item["user"] == user)

    async def spells(self, user: str) -> list[tuple[Any, ...]]:
        """Return the memberships of a person over time."""
        rows = await self.pool.fetch(
            "select valid_from, valid_to, team, role, manager from membership where user_id = $1 order by 1",
            user,
        )
        return [(str(first), str(last) if last else None, *terms) for first, last, *terms in map(tuple, rows)]

    async def queued(self) -> list[str]:
        """Return who is queued for the owners of the shards, and forget them."""
        rows = await self.pool.fetch(
            "with gone as (delete from directory_change returning *) select distinct user_id from gone order by 1"
        )
        return [row["user_id"] for row in rows]


@pytest.fixture
async def provider(api: Client, connect: Connect, pool: Pool) -> Provider:
    key = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["manage", "read"]})).json()["key"]
    client = connect(key)
    client.headers.update(SCIM)
    return Provider(client, pool)
