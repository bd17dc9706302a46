"""The rules that stand for a tenant: those of the packs, as the tenant has changed them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.postgres import Connection
from services.rules.drafts import amid
from services.rules.pack import DEFAULT, Spec, Version, merged
from services.rules.shape import Rule

NO_DRAFTS: Final[Mapping[str, Spec]] = MappingProxyType({})


async def rules(tx: Connection, tenant: str, drafts: Mapping[str, Spec] = NO_DRAFTS) -> Mapping[str, Rule]:
    """Return every rule of ``tenant`` by id, those that are switched off as well.

    ``drafts`` stand in the place of the newest versions, as those that would follow them.
    """
    rows = await tx.fetch(
        "select distinct on (rule) rule, number, spec from rule_version where tenant = $1 order by rule, number desc",
        tenant,
    )
    versions = amid({row["rule"]: Version(row["number"], row["spec"]) for row in rows}, drafts)
    return merged(DEFAULT, versions) if versions else DEFAULT
