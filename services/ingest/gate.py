"""The gate: which key a request shows, and which tenant it speaks for.

What the snapshot does not know is looked up once before it is refused, and only so many may wait for that.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from services.ingest import problems
from services.ingest.keys import SCOPES, Key, bearer, read_token
from services.ingest.modes import access_token
from services.ingest.problems import RefusedError
from services.ingest.registry import Registry, RegistryAwayError


def by_name(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers of a request, the last of each name.

    Raises:
        RefusedError: there are several keys or tenants, of which somebody before us may have gone by another.
    """
    found = dict(headers)
    if len(found) < len(headers):
        if several(headers, b"authorization"):
            raise RefusedError(problems.BAD_KEY)
        if several(headers, b"uptake-tenant"):
            raise RefusedError(problems.SEVERAL_TENANTS)
    return found


def several(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> bool:
    """Tell whether a request has more than one header ``name``."""
    return [each for each, _ in headers].count(name) > 1


class Gate:
    """Lets requests in by their keys. ``clock`` tells whether a key has expired."""

    def __init__(self, registry: Registry, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._clock = clock

    async def tenant(self, headers: Mapping[bytes, bytes], query: bytes, scopes: frozenset[str] = SCOPES) -> str:
        """Return the tenant that a request speaks for, with a key that has one of ``scopes``.

        Raises:
            RefusedError: no key, none that opens, or no tenant.
        """
        key = await self._key(headers, query, scopes)
        named = headers.get(b"uptake-tenant")
        if named is None:
            if key.tenant is None:
                raise RefusedError(problems.NO_TENANT)
            return key.tenant
        tenant = named.decode("latin-1")
        if key.tenant is None:
            if tenant not in self._registry.snapshot.tenants:
                await self.look_again()
            if tenant in self._registry.snapshot.tenants:
                return tenant
        elif tenant == key.tenant:
            return tenant
        raise RefusedError(problems.NO_SUCH_TENANT)

    async def _key(self, headers: Mapping[bytes, bytes], query: bytes, scopes: frozenset[str]) -> Key:
        shown = bearer(headers.get(b"authorization", b"")) or (access_token(query) if query else None)
        if shown is None:
            raise RefusedError(problems.NO_KEY)
        token = read_token(shown)
        if token is None:
            raise RefusedError(problems.BAD_KEY)
        key = self._registry.snapshot.keys.get(token.id)
        if key is None or not key.opens(token.digest, self._clock()):
            await self.look_again()
            key = self._registry.snapshot.keys.get(token.id)
            if key is None or not key.opens(token.digest, self._clock()):
                raise RefusedError(problems.BAD_KEY)
        if scopes.isdisjoint(key.scopes):
            raise RefusedError(problems.WRONG_SCOPE)
        return key

    async def look_again(self) -> None:
        """Wait for a fresh reading of what is known.

        Raises:
            RefusedError: too many wait for one, or Postgres does not answer.
        """
        if self._registry.crowded:
            raise RefusedError(problems.TOO_MANY_UNKNOWN)
        try:
            await self._registry.refresh()
        except RegistryAwayError as error:
            raise RefusedError(problems.REGISTRY_AWAY) from error
