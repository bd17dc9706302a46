"""Who is told in the roles that no directory tells."""

from typing import Any

import pytest

from tests.api.conftest import Client, Connect


async def test_contacts_are_people_or_addresses_and_are_replaced_as_a_whole(api: Client) -> None:
    known = [{"user": "dana", "email": "dana@acme.example"}, {"user": "x@y.example"}]
    assert (await api.put("/v1/directory/people", json=known)).is_success

    first = await api.put(
        "/v1/contacts",
        json={"roles": {"crm_owner": ["dana", "x@y.example", "dana"], "operations": ["ops@acme.example"]}},
    )
    second = await api.put("/v1/contacts", json={"roles": {"sponsor": ["dana"]}})

    assert first.json()["roles"]["crm_owner"] == ["dana", "x@y.example"]
    assert first.json()["unreachable"] == ["x@y.example"]
    shown = (await api.get("/v1/contacts")).json()
    assert shown == second.json()
    assert {role: some for role, some in shown["roles"].items() if some} == {"sponsor": ["dana"]}


@pytest.mark.parametrize(
    ("roles", "pointer"),
    [
        ({"boss": ["a@b.example"]}, "/roles/boss"),
        ({"a/b": []}, "/roles/a~1b"),
        ({"sponsor": ["nobody"]}, "/roles/sponsor/0"),
        ({"sponsor": ["a@b.example", "<c@d.example>"]}, "/roles/sponsor/1"),
        ({"sponsor": ["a@b.example\nBcc: e@f.example"]}, "/roles/sponsor/0"),
    ],
)
async def test_who_could_not_be_told_is_refused(api: Client, roles: dict[str, Any], pointer: str) -> None:
    answer = await api.put("/v1/contacts", json={"roles": roles})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_key_that_only_reads_does_not_see_them(api: Client, connect: Connect) -> None:
    key = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"]})).json()["key"]

    assert (await connect(key).get("/v1/contacts")).status_code == 403
