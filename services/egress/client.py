"""Posts to addresses that others name. No redirect is followed, no proxy of the environment is asked, little is read.

The name is looked up once for each connection, and the socket is opened to what was judged: a name that leads
elsewhere at the second look is never looked at twice.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import httpcore

from services.egress.targets import Networks, Target, TargetError, judge, target_of

MOST_READ: Final = 16 * 1024
"""How much of an answer is read, in bytes."""

CONNECT_SECONDS: Final = 5.0
"""How long one of several addresses may take to accept."""

_NOT_CONNECTED: Final = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError)

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Returns the addresses of a host."""


CheckUrl: TypeAlias = Callable[[str], Awaitable[Target]]
"""Returns where deliveries to an address go; raises TargetError when none may."""


class EgressError(RuntimeError):
    """There was no answer; the message is one line. ``sent``: the request may have arrived."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, as far as it was read. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Posts to addresses outside ``networks`` only when they are public.

    ``seconds``: from the look-up to the end of the answer. ``resolve``: how names are looked up. ``proxy``: all goes
    through it; names are then looked up, and networks guarded, there. ``trust``: which certificates are.
    """

    def __init__(
        self,
        *,
        networks: Networks = (),
        seconds: float = 15.0,
        proxy: str = "",
        resolve: Resolve | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._networks = networks
        self._seconds = seconds
        self._proxy = httpcore.Proxy(proxy) if proxy else None
        self._resolve = resolve or look_up
        self._trust = trust or ssl.create_default_context()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post ``body`` to ``url`` and return the answer, whatever its status.

        Raises:
            TargetError: nothing is delivered there.
            EgressError: there was no answer.
        """
        target = target_of(url, self._networks)
        sent = _Sent()
        try:
            async with asyncio.timeout(self._seconds), self._pool(target, sent) as pool:
                return await _exchange(pool, target, body, headers)
        except TimeoutError as error:
            raise EgressError(f"no answer within {self._seconds:g} seconds", sent=sent.anything) from error
        except _NOT_CONNECTED as error:
            raise EgressError(_line(error), sent=False) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise EgressError(_line(error), sent=sent.anything) from error

    def _pool(self, target: Target, sent: "_Sent") -> httpcore.AsyncConnectionPool:
        options: dict[str, Any] = {"ssl_context": self._trust, "max_keepalive_connections": 0, "retries": 0}
        if self._proxy is not None:
            return httpcore.AsyncConnectionPool(proxy=self._proxy, **options)
        backend = _Pinned(target, self._networks, self._resolve, sent)
        return httpcore.AsyncConnectionPool(network_backend=backend, **options)


@dataclass(slots=True)
class _Sent:
    """Whether a connection was made: from then on a request may have arrived."""

    anything: bool = False


class _Pinned(httpcore.AsyncNetworkBackend):
    """Opens sockets to judged addresses of one target, and to nothing else."""

    def __init__(self, target: Target, networks: Networks, resolve: Resolve, sent: _Sent) -> None:
        self._target = target
        self._networks = networks
        self._resolve = resolve
        self._sent = sent
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the shape that httpcore asks for
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if (host, port) != (self._target.host, self._target.port):
            raise TargetError("leads elsewhere")
        addresses = judge(self._target, await self._resolve(host, port), self._networks)
        for number, address in enumerate(addresses, 1):
            with contextlib.suppress(*(_NOT_CONNECTED if number < len(addresses) else ())):
                stream = await self._inner.connect_tcp(
                    address, port, timeout or CONNECT_SECONDS, local_address, socket_options
                )
                self._sent.anything = True
                return stream
        raise httpcore.ConnectError("the name has no address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _exchange(
    pool: httpcore.AsyncConnectionPool, target: Target, body: bytes, headers: Mapping[str, str]
) -> Answer:
    url = httpcore.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    given = [(b"Host", _host(target)), *((name.encode(), value.encode()) for name, value in headers.items())]
    given += [(b"Content-Length", str(len(body)).encode()), (b"Connection", b"close")]
    read = bytearray()
    async with pool.stream("POST", url, headers=given, content=body) as response:
        async for part in response.aiter_stream():
            read += part[: MOST_READ - len(read)]
            if len(read) >= MOST_READ:
                break
        told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, told, bytes(read))


def _host(target: Target) -> bytes:
    return target.origin.partition("://")[2].encode()


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of ``host``.

    Raises:
        EgressError: it has none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise EgressError("the name of the host is not known", sent=False) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def checked(url: str, networks: Networks = (), *, seconds: float = 3.0, resolve: Resolve = look_up) -> Target:
    """Return where ``url`` leads; a name that nobody knows yet is judged when something is delivered.

    Raises:
        TargetError: nothing is delivered there.
    """
    target = target_of(url, networks)
    with contextlib.suppress(EgressError, TimeoutError):
        async with asyncio.timeout(seconds):
            judge(target, await resolve(target.host, target.port), networks)
    return target


def checker(networks: Networks, *, proxied: bool) -> CheckUrl:
    """Return what tells where an address leads, or raises. ``proxied``: only the proxy knows where names lead."""

    async def check(url: str) -> Target:
        return target_of(url, networks) if proxied else await checked(url, networks)

    return check


def _line(error: BaseException) -> str:
    """Return what went wrong in one line, without the address."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {cause.verify_message}"
    words = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
