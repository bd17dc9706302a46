import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.egress import Client, EgressError, TargetError, checked, networks_of
from tests.egress.receiver import Receiver, Reply

HERE = networks_of("127.0.0.0/8")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


class Names:
    """A resolver whose answers change with every look."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.looks = 0

    async def __call__(self, _host: str, _port: int) -> list[str]:
        self.looks += 1
        return self.answers.pop(0)


async def test_a_body_arrives_as_it_was_given(receiver: Receiver) -> None:
    answer = await Client(networks=HERE).post(f"{receiver.url}?key=1", b"{}", {"webhook-id": "m1"})

    assert answer.status == 200
    came = receiver.came[0]
    assert (came.line, came.body) == ("POST /in?key=1 HTTP/1.1", b"{}")
    assert came.headers["webhook-id"] == "m1"
    assert came.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_without_leave_nothing_goes_to_this_machine(receiver: Receiver) -> None:
    for url in (f"https://127.0.0.1:{receiver.port}/", f"https://localhost:{receiver.port}/", "https://0x7f.1/"):
        with pytest.raises(TargetError, match="not public"):
            await Client().post(url, b"", {})

    assert receiver.connections == 0


async def test_a_name_that_leads_elsewhere_at_the_second_look_is_looked_at_once(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    client = Client(networks=networks_of("127.0.0.1/32"), resolve=names)
    await client.post(f"http://rebinding.example:{receiver.port}/", b"", {})

    assert (names.looks, receiver.connections) == (1, 1)
    assert receiver.came[0].headers["host"] == f"rebinding.example:{receiver.port}"
    with pytest.raises(TargetError, match="not public"):
        await client.post(f"http://rebinding.example:{receiver.port}/", b"", {})
    assert receiver.connections == 1


async def test_a_name_that_led_to_the_public_when_it_was_checked_is_judged_again_when_it_is_used(
    receiver: Receiver,
) -> None:
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    url = f"https://rebinding.example:{receiver.port}/"
    await checked(url, (), resolve=names)
    with pytest.raises(TargetError, match="not public"):
        await Client(resolve=names).post(url, b"", {})

    assert receiver.connections == 0


async def test_the_second_address_is_tried_when_nobody_is_at_the_first(receiver: Receiver) -> None:
    names = Names(["127.0.0.9", "127.0.0.1"])
    answer = await Client(networks=HERE, resolve=names).post(f"http://two.example:{receiver.port}/", b"", {})

    assert answer.status == 200


async def test_a_redirect_is_an_answer_and_not_a_way(receiver: Receiver) -> None:
    async with Receiver() as elsewhere:
        receiver.usual = Reply(307, {"location": elsewhere.url})
        answer = await Client(networks=HERE).post(receiver.url, b"{}", {})

        assert (answer.status, elsewhere.connections) == (307, 0)


async def test_little_is_read_of_a_long_answer(receiver: Receiver) -> None:
    receiver.usual = Reply(body=b"x" * 5_000_000)
    answer = await Client(networks=HERE).post(receiver.url, b"{}", {})

    assert len(answer.body) == 16 * 1024


async def test_who_answers_too_slowly_may_have_taken_it(receiver: Receiver) -> None:
    receiver.usual = Reply(after=5)
    with pytest.raises(EgressError, match=r"no answer within 0.3 seconds") as error:
        await Client(networks=HERE, seconds=0.3).post(receiver.url, b"{}", {})

    assert error.value.sent


async def test_who_hangs_up_may_have_taken_it(receiver: Receiver) -> None:
    receiver.usual = Reply(cut=True)
    with pytest.raises(EgressError) as error:
        await Client(networks=HERE).post(receiver.url, b"{}", {})

    assert error.value.sent


async def test_where_nobody_listens_nothing_was_taken() -> None:
    with pytest.raises(EgressError) as error:
        await Client(networks=HERE).post("http://127.0.0.1:1025/", b"{}", {})

    assert not error.value.sent


async def test_a_name_that_nobody_knows_is_no_reason_to_refuse_it_for_ever() -> None:
    url = "https://nowhere.invalid/"
    assert (await checked(url, ())).host == "nowhere.invalid"
    with pytest.raises(EgressError, match="not known") as error:
        await Client().post(url, b"{}", {})

    assert not error.value.sent


async def test_what_is_checked_beforehand_is_where_the_name_leads() -> None:
    with pytest.raises(TargetError, match="not public"):
        await checked("https://localhost/", ())


async def test_a_certificate_is_checked_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    trust, served = _certified("hooks.example", tmp_path)
    async with Receiver(served) as receiver:
        client = Client(networks=HERE, trust=trust, resolve=Names(*[["127.0.0.1"]] * 2))
        answer = await client.post(f"https://hooks.example:{receiver.port}/", b"{}", {})
        assert answer.status == 200
        with pytest.raises(EgressError, match="not trusted") as error:
            await client.post(f"https://other.example:{receiver.port}/", b"{}", {})

        assert not error.value.sent
        await asyncio.sleep(0.05)


def _certified(name: str, place: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a client that trusts a certificate for ``name``, and a server that has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (place / "both.pem").write_bytes(private + public)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(place / "both.pem")
    return ssl.create_default_context(cadata=public.decode()), served


async def test_with_a_proxy_everything_goes_through_it_and_it_looks_up_the_name(receiver: Receiver) -> None:
    names = Names()
    client = Client(networks=HERE, proxy=f"http://127.0.0.1:{receiver.port}", resolve=names)
    answer = await client.post("http://router.internal:9093/api", b"{}", {})

    assert (answer.status, names.looks) == (200, 0)
    assert receiver.came[0].line == "POST http://router.internal:9093/api HTTP/1.1"
    with pytest.raises(TargetError, match="not public"):
        await client.post("https://10.0.0.1/", b"{}", {})
