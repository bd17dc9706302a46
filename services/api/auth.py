"""Who asks: keys, their scopes, and the tenant a request is about.

A key is looked up at every request, so a revocation holds from the next one on. What a key may not know of is answered
as if it did not exist; what it may know of but not do is 403.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.security import HTTPBearer

from services.api.credentials import Credential, matches, parse
from services.api.days import local_day
from services.api.problems import ProblemError, invalid, not_found, unauthorised
from services.api.store import keys, tenants
from services.api.store.sessions import Signed, Walled, glancing
from services.api.store.tenants import Tenant
from services.postgres import Connection
from services.sight.store import lines

_described = HTTPBearer(auto_error=False, bearerFormat="upt_<id>_<secret>", description="A key made by POST /v1/keys.")
Named = Annotated[str | None, Header(description="The tenant, for an admin key.", max_length=64)]
"""The tenant that a request names beside its body."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The key behind a request. ``tenant`` is None for an admin key, which has every scope in every tenant."""

    key_id: str
    secret: str
    tenant: str | None
    scopes: frozenset[str]
    person: str | None

    @property
    def is_admin(self) -> bool:
        """Whether the key may do everything."""
        return "admin" in self.scopes

    def may(self, scope: str) -> bool:
        """Return whether the key has ``scope``."""
        return self.is_admin or scope in self.scopes


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal within one tenant, at one instant."""

    principal: Principal
    tenant: Tenant
    pool: Walled
    now: datetime

    @property
    def everywhere(self) -> Signed:
        """The way to what is unique beyond the tenant: the secrets of sources, and the key that seals."""
        return Signed(self.pool.pool, self.principal.key_id)

    @property
    def person(self) -> str | None:
        """The person the key is bound to."""
        return self.principal.person

    @property
    def sees_individuals(self) -> bool:
        """Whether the tenant shows single persons to this key: ``owner`` keeps them from bound keys."""
        visible = self.tenant.individual_visibility
        return visible == "manager" or (visible == "owner" and self.person is None)

    async def today(self, connection: Connection) -> date:
        """Return the tenant's today; before its first event on the event clock, the day of the wall clock."""
        now = await tenants.now_of(connection, self.tenant, self.now)
        return local_day(now or self.now, self.tenant.time_zone)

    async def line(self, connection: Connection) -> list[str] | None:
        """Return the people that a bound key sees: its person and everyone below; None: all."""
        if self.person is None:
            return None
        return await lines.line(connection, self.tenant.id, self.person, await self.today(connection))

    async def sees(self, connection: Connection, user: str) -> bool:
        """Return whether this key may look at a single person."""
        line = await self.shown(connection)
        return line is None or user in line

    async def shown(self, connection: Connection) -> list[str] | None:
        """Return the people that may be named to this key: at least its own person; None: all."""
        if not self.sees_individuals:
            return [] if self.person is None else [self.person]
        return await self.line(connection)

    async def listed(self, connection: Connection) -> list[str] | None:
        """Return whom the directory may name to this key: to those who keep it everybody (None)."""
        if self.principal.may("manage") and self.person is None:
            return None
        return await self.shown(connection)


async def principal_of(request: Request, connection: Connection) -> Principal:
    """Return whose key ``request`` carries.

    Raises:
        ProblemError: none, more than one, or one that is unknown, expired or revoked.
    """
    credential = _credential(request)
    return _principal(request, credential, await keys.find(connection, credential.id) if credential else None)


def _credential(request: Request) -> Credential | None:
    given = request.headers.getlist("authorization")
    scheme, _, text = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return parse(text.strip(" ")) if scheme.lower() == "bearer" else None


def _principal(request: Request, credential: Credential | None, row: Mapping[str, Any] | None) -> Principal:
    right = matches(credential.secret if credential else "", row["secret_hash"] if row else bytes(32))
    if credential is None or row is None or not right or not keys.holds(row, request.app.state.clock()):
        raise unauthorised()
    return Principal(row["id"], credential.secret, row["tenant"], frozenset(row["scopes"]), row["person"])


def _permit(principal: Principal, *scopes: str, bound: bool) -> Principal:
    if not any(map(principal.may, scopes)) or (principal.person is not None and not bound):
        wanted = "' or '".join(scopes)
        unbound = "" if bound else " and must not be bound to a person"
        raise ProblemError(403, f"This key may not do that: it needs the scope '{wanted}'{unbound}.")
    return principal


def _in(found: Tenant | None, principal: Principal, named: str | None) -> Tenant:
    """Return the tenant that was ``found``, if the key may know of it."""
    wanted = named or principal.tenant
    if wanted is None:
        raise invalid("An admin key names the tenant with the header Uptake-Tenant.", parameter="Uptake-Tenant")
    if found is None or principal.tenant not in (None, wanted):
        raise not_found()
    return found


def owner_of(principal: Principal, given: str | None, named: str | None) -> str:
    """Return the tenant of what is to be made: ``given`` in the body, else ``named`` in the header, else the key's.

    Raises:
        ProblemError: there is none, or it is another one than the key's.
    """
    tenant = given or named or principal.tenant
    if tenant is None:
        raise invalid("A tenant is needed.", pointer="/tenant")
    if principal.tenant not in (None, tenant):
        raise not_found()
    return tenant


def needs(*scopes: str, bound: bool) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """Return the dependency that lets a key with one of ``scopes`` into its tenant; ``bound``: also a bound key."""

    async def caller(
        request: Request,
        uptake_tenant: Named = None,
        _described_key: Annotated[object, Depends(_described)] = None,
    ) -> Caller:
        state, credential = request.app.state, _credential(request)
        key, found = None, None
        if credential is not None:
            async with glancing(state.pool) as connection:
                key, found = await keys.find_in(connection, credential.id, uptake_tenant or None)
        principal = _permit(_principal(request, credential, key), *scopes, bound=bound)
        tenant = _in(found, principal, uptake_tenant)
        return Caller(principal, tenant, Walled(state.pool, tenant.id, principal.key_id), state.clock())

    return caller


def holds(scope: str) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """Return the dependency that lets a key with ``scope`` pass, whatever its tenant."""

    async def principal(request: Request, _described_key: Annotated[object, Depends(_described)] = None) -> Principal:
        async with glancing(request.app.state.pool) as connection:
            return _permit(await principal_of(request, connection), scope, bound=scope == "read")

    return principal


Reader = Annotated[Caller, Depends(needs("read", bound=True))]
Manager = Annotated[Caller, Depends(needs("manage", bound=False))]
Collector = Annotated[Caller, Depends(needs("ingest", "manage", bound=False))]
"""Who brings data in, or says how far it is complete."""
Responder = Annotated[Caller, Depends(needs("manage", bound=True))]
"""Who answers to an alert: also a manager with a bound key, for the people of the own line."""

ReadingKey = Annotated[Principal, Depends(holds("read"))]
ManagingKey = Annotated[Principal, Depends(holds("manage"))]
AdminKey = Annotated[Principal, Depends(holds("admin"))]
