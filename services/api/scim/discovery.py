"""``/scim/v2/ServiceProviderConfig``, ``/ResourceTypes`` and ``/Schemas``: what this service can do and holds.

The schemas are written from the table that also reads what clients send, so neither claims what the other refuses.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api.auth import Manager
from services.api.scim import exchange
from services.api.scim.attributes import ENTERPRISE, GROUP, GROUPS, USER, USERS, Attribute
from services.api.scim.errors import gone
from services.api.scim.exchange import MOST_PER_PAGE, ScimResponse, described
from services.api.scim.resources import listing

router = APIRouter(prefix="/scim/v2", tags=["scim"], default_response_class=ScimResponse)

_CONFIG: Final = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_TYPE: Final = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Schema"


def _config(base: str) -> dict[str, Any]:
    return {
        "schemas": [_CONFIG],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MOST_PER_PAGE},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A key of the tenant with the scope 'manage', as Authorization: Bearer upt_…",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


def _types(base: str) -> list[dict[str, Any]]:
    found = []
    for name, urn, extensions in (("User", USER, [ENTERPRISE]), ("Group", GROUP, [])):
        found.append(
            {
                "schemas": [_TYPE],
                "id": name,
                "name": name,
                "endpoint": f"/{name}s",
                "schema": urn,
                "schemaExtensions": [{"schema": extension, "required": False} for extension in extensions],
                "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{name}"},
            }
        )
    return found


def _schemas(base: str) -> list[dict[str, Any]]:
    tables: tuple[tuple[str, str, Mapping[str, Attribute]], ...] = (
        (USER, "User", USERS.attributes),
        (GROUP, "Group", GROUPS.attributes),
        (ENTERPRISE, "EnterpriseUser", USERS.extension),
    )
    return [
        {
            "schemas": [_SCHEMA],
            "id": urn,
            "name": name,
            "description": f"What is kept of a {name}.",
            "attributes": [_described(a) for a in table.values() if a.kept and a.name not in ("schemas", "meta", "id")],
            "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{urn}"},
        }
        for urn, name, table in tables
    ]


def _described(attribute: Attribute) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "name": attribute.name,
        "type": attribute.kind,
        "multiValued": attribute.many,
        "description": attribute.description or attribute.name,
        "required": attribute.required,
        "mutability": "readOnly" if attribute.read_only else "readWrite",
        "returned": "default",
    }
    if attribute.kind == "complex":
        shape["subAttributes"] = [_described(part) for part in attribute.parts.values()]
    else:
        shape |= {"caseExact": attribute.exact, "uniqueness": "server" if attribute.unique else "none"}
    return shape


def _listed(resources: list[dict[str, Any]]) -> dict[str, Any]:
    return listing([*resources], total=len(resources), start=1)


_BASE: Final = "https://uptake.example/scim/v2"


@router.get("/ServiceProviderConfig", responses=described(_config(_BASE)))
async def show_config(request: Request, _caller: Manager) -> Response:
    """Show what of SCIM is supported."""
    return exchange.told(_config(exchange.base_of(request)))


@router.get("/ResourceTypes", responses=described(_listed(_types(_BASE))))
async def show_types(request: Request, _caller: Manager) -> Response:
    """List the kinds of resources."""
    return exchange.told(_listed(_types(exchange.base_of(request))))


@router.get("/ResourceTypes/{name}", responses=described(_types(_BASE)[0]))
async def show_type(request: Request, name: str, _caller: Manager) -> Response:
    """Show one kind of resource."""
    return exchange.told(_named(_types(exchange.base_of(request)), name, "ResourceType"))


@router.get("/Schemas", responses=described(_listed(_schemas(_BASE)[1:2])))
async def show_schemas(request: Request, _caller: Manager) -> Response:
    """List the schemas: every attribute that is kept."""
    return exchange.told(_listed(_schemas(exchange.base_of(request))))


@router.get("/Schemas/{urn}", responses=described(_schemas(_BASE)[1]))
async def show_schema(request: Request, urn: str, _caller: Manager) -> Response:
    """Show one schema."""
    return exchange.told(_named(_schemas(exchange.base_of(request)), urn, "Schema"))


def _named(resources: list[dict[str, Any]], key: str, kind: str) -> dict[str, Any]:
    for resource in resources:
        if resource["id"].lower() == key.lower():
            return resource
    raise gone(kind)
