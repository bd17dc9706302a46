import pytest

from services.egress import TargetError, networks_of, target_of
from services.egress.targets import judge

OPEN = networks_of("10.1.0.0/16, fd00::/8")
HTTPS = target_of("https://hooks.example.com/in")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 - refused, not bound
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.7",
        "192.88.99.1",
        "224.0.0.251",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "fec0::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "5f00::1",
    ],
)
def test_nothing_is_delivered_to_an_address_that_is_not_public(address: str) -> None:
    with pytest.raises(TargetError, match="not public"):
        judge(HTTPS, [address], ())


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"])
def test_what_is_public_is_delivered_to(address: str) -> None:
    assert judge(HTTPS, [address], ()) == [address]


def test_one_address_that_is_not_public_spoils_the_name() -> None:
    with pytest.raises(TargetError, match="not public"):
        judge(HTTPS, ["8.8.8.8", "127.0.0.1"], ())


def test_a_named_network_may_be_delivered_to_also_without_encryption() -> None:
    plain = target_of("http://router.internal:9093/api", OPEN)

    assert judge(plain, ["10.1.2.3", "fd00::7"], OPEN) == ["10.1.2.3", "fd00::7"]
    with pytest.raises(TargetError, match="not public"):
        judge(plain, ["10.2.0.1"], OPEN)


def test_without_encryption_nothing_is_delivered_to_the_public() -> None:
    with pytest.raises(TargetError, match="https"):
        judge(target_of("http://hooks.example.com/", OPEN), ["8.8.8.8"], OPEN)
    with pytest.raises(TargetError, match="https"):
        target_of("http://hooks.example.com/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "https://",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:25/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:port/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hooks.example.com/\n",
        "https://h\u00f6ks.example.com/",
        "https://[::1",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]:8443/",
        f"https://hooks.example.com/{'x' * 2048}",
    ],
)
def test_what_is_no_address_to_deliver_to_is_refused_at_once(url: str) -> None:
    with pytest.raises(TargetError):
        target_of(url)


def test_an_address_is_taken_apart_and_told_without_what_opens_doors() -> None:
    target = target_of("https://hooks.example.com:8443/in/secret?key=1")

    assert (target.host, target.port, target.path) == ("hooks.example.com", 8443, "/in/secret?key=1")
    assert target.origin == "https://hooks.example.com:8443"
    assert target_of("https://[2606:4700::1111]/").origin == "https://[2606:4700::1111]"
