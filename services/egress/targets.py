"""Which addresses deliveries may go to. Only public ones, unless the operator named a network.

An address in a form that hides another one (IPv4 in IPv6, 6to4, Teredo, NAT64) is never public.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = IPv4Address | IPv6Address
Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]

LONGEST_URL: Final = 2048
_PORTS: Final = {"https": 443, "http": 80}
_FIRST_FREE_PORT: Final = 1024
_LAST_PORT: Final = 65_535

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NOT_PUBLIC: Final[Networks] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.0.2.0/24"),
    IPv4Network("192.31.196.0/24"),
    IPv4Network("192.52.193.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("192.175.48.0/24"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv4Network("224.0.0.0/3"),
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("2620:4f:8000::/48"),
    IPv6Network("3fff::/20"),
)


class TargetError(ValueError):
    """Nothing is delivered there; the message says why and repeats nothing of the address but its host."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a delivery goes. ``path``: with the query; ``host``: as it stands in the address, without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Return the address without path and query: it opens no door."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port == _PORTS[self.scheme] else f':{self.port}'}"


def networks_of(text: str) -> Networks:
    """Return the networks that ``text`` lists.

    Raises:
        ValueError: one is none.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def target_of(url: str, networks: Networks = ()) -> Target:
    """Return where ``url`` leads. ``networks``: those that may be delivered to beside the public ones.

    Raises:
        TargetError: it is no address that could be delivered to, wherever its name leads.
    """
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise TargetError(f"must be an address in ASCII of at most {LONGEST_URL} characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError("is no address") from error
    if parts.scheme not in _PORTS or not host:
        raise TargetError("must begin with https:// and name a host")
    if parts.scheme == "http" and not networks:
        raise TargetError("must begin with https://")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise TargetError("must hold no user, password or fragment")
    port = _PORTS[parts.scheme] if port is None else port
    if port not in _PORTS.values() and not _FIRST_FREE_PORT <= port <= _LAST_PORT:
        raise TargetError("must have the port 80, 443, or one from 1024 on")
    path = parts.path or "/"
    target = Target(parts.scheme, host, port, f"{path}?{parts.query}" if parts.query else path)
    if (literal := _literal(host)) is not None:
        judge(target, [literal], networks)
    return target


def judge(target: Target, addresses: Iterable[str], networks: Networks) -> list[str]:
    """Return ``addresses`` of the host of ``target`` when every one of them may be delivered to.

    Plain http goes to named networks only.

    Raises:
        TargetError: one may not be.
    """
    found = [ip_address(address.partition("%")[0]) for address in addresses]
    for address in found:
        named = _named(address, networks)
        if not named and not public(address):
            raise TargetError(f"leads to an address that is not public ({target.host})")
        if not named and target.scheme != "https":
            raise TargetError("must begin with https://")
    return [str(address) for address in found]


def public(address: Address) -> bool:
    """Return whether anybody on the internet may be meant by ``address``."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _NOT_PUBLIC)


def _named(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _literal(host: str) -> str | None:
    try:
        return str(ip_address(host))
    except ValueError:
        return None
