"""Mails at a real mail server, and what stands in them and in cards, word for word.

After a change of the words: ``UPDATE_GOLDEN=1`` writes them anew; read the difference.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.egress import Answer, Client
from services.hearing.audience import Heard
from services.hearing.batches import Batch, Item
from services.hearing.shape import Told
from services.notifier.channels.email import Post, email
from services.notifier.channels.teams import teams
from services.notifier.domain.people.card import MOST_BYTES, envelope
from services.notifier.domain.people.mail import address, html, mail, text
from services.notifier.domain.people.messages import Addressee, Unjudged, body
from services.notifier.domain.people.page import page
from services.notifier.domain.people.wording import LANGUAGES
from services.notifier.domain.shape import Outcome, Sending
from tests.notifier.telling import MONDAY, alert, item, sending

GOLDEN = Path(__file__).with_name("golden")
LINKS = "https://uptake.acme.example/"
NAMES = {"ada": "Ada Lind", "bo": "Bo Ek"}
WAVE = {
    "subject_kind": "wave",
    "subject_key": "north",
    "rule": "wave-connection-d3-emergency",
    "severity": "emergency",
    "title": "North: 6 of 12 people connected by D+3, fewer than 70 %",
    "action": "The sponsor speaks today with the managers of the teams furthest behind.",
}
OVER = {"state": "resolved", "resolution": "recovered", "resolved_at": MONDAY}


def told(items: list[Item], kind: Any = "digest", language: str = "en", **more: Any) -> dict[str, Any]:
    to = Addressee("mia@acme.example", "Mia Berg", "Europe/Berlin", language)
    batch = Batch(kind, items, MONDAY, counted=False)
    children = more.pop("children", {})
    made = body(batch, to, "Acme", MONDAY.date(), names=NAMES, children=children, **more)
    return msgspec.json.decode(msgspec.json.encode(made))


def morning(language: str = "en") -> dict[str, Any]:
    was = Told("open", "warning", "confirmed", "manager")
    unnamed = Heard("mia", "champion")
    items = [
        item("corrected", was, id="c1", **{**WAVE, **OVER, "title": "South: 1 of 9 people connected by D+1"}),
        item(id="w1", **WAVE),
        item(id="p1"),
        item(id="p2", subject_key="bo"),
        Item(alert("u1", subject_key="eve", severity="info", title="North: seen once"), "opened", unnamed),
        Item(alert("u2", subject_key="kim", severity="info", title="North: seen once"), "opened", unnamed),
        item("handed_over", id="h1", severity="critical", title="North: still not connected", tier="suspected"),
        item(id="e1", role="manager_of_manager", escalation=1, title="North: once, and not again"),
        item("resolved", was, id="r1", **{**WAVE, **OVER, "severity": "warning", "title": "West: all is well"}),
    ]
    return told(
        items,
        language=language,
        standing=[item(id="s1", rule="user-lapsed", title="East: no activity for ten days")],
        children={"w1": [alert("k1", subject_kind="team", title="Team A: 2 of 8"), alert("k2")]},
        unjudged=[
            Unjudged("team-lagging", "too_small", 2, ["North", "West"]),
            Unjudged("user-lapsed", "source_silent", 7),
        ],
    )


def same(name: str, made: str) -> None:
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(made)
    assert made == file.read_text()


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_morning_reads_as_it_is_meant_to(language: str) -> None:
    shown = page(morning(language), LINKS)

    same(f"morning.{language}.txt", f"{shown.title}\n\n{text(shown)}")


def test_a_morning_looks_as_it_is_meant_to() -> None:
    shown = page(morning(), LINKS)

    same("morning.html", html(shown, "en"))
    same("morning.card.json", msgspec.json.format(msgspec.json.encode(envelope(shown)), indent=1).decode() + "\n")


@pytest.mark.parametrize(
    ("items", "title"),
    [
        ([item(id="w", **WAVE)], "Emergency: North: 6 of 12 people connected by D+3, fewer than 70 %"),
        (
            [item(), item(id="w", **WAVE)],
            "Emergency: North: 6 of 12 people connected by D+3, fewer than 70 %, and 1 more",
        ),
        ([item("resolved", None, **OVER)], "Resolved: North: not connected two days after go-live"),
        ([item("corrected", None, **OVER)], "Correction: North: not connected two days after go-live"),
        ([item(title="two\r\nBcc: eve@example")], "Warning: two Bcc: eve@example"),
    ],
    ids=["one", "several", "an end", "a mistake", "a title of two lines"],
)
def test_the_title_tells_the_loudest(items: list[Item], title: str) -> None:
    assert page(told(items, "group"), LINKS).title == title


def test_no_person_stands_in_a_title() -> None:
    assert "Ada" not in page(morning(), LINKS).title


def test_whoever_may_not_be_named_is_nowhere_in_a_message() -> None:
    kept = msgspec.json.encode(morning()).decode()

    assert not {"eve", "kim", "u1", "u2"} & set(kept.split('"'))


TEXTS = st.text(max_size=60)


@settings(max_examples=60)
@given(TEXTS, TEXTS, TEXTS)
def test_whatever_an_alert_is_called_it_is_text_and_nothing_else(title: str, name: str, action: str) -> None:
    made = told([item(title=title, action=action, subject_key="x")], "group")
    made["lines"][0]["person"] = name
    shown = page(made, LINKS)
    letter = mail(
        shown, sender="u@acme.example", recipient="mia@acme.example", message="m", language="en", sent_at=MONDAY
    )
    parsed = message_from_bytes(letter.as_bytes(policy=policy.SMTP), policy=policy.default)

    assert isinstance(parsed, EmailMessage)
    assert set(parsed.keys()) == set(letter.keys())
    assert "<script" not in html(shown, "en").replace("&lt;script", "")
    msgspec.json.encode(envelope(shown))


def test_markup_in_a_title_is_shown_as_it_is() -> None:
    titled = {"title": "<b>x</b> [a](http://evil.example)"}
    on_team = {"subject_kind": "team", "subject_key": "t"}
    shown = page(told([item(**titled), item(id="t", **titled, **on_team)], "group"), LINKS)

    assert html(shown, "en").count("&lt;b&gt;x&lt;/b&gt;") == 3
    assert "<b>" not in html(shown, "en")
    assert "\\[a\\]\\(http" in str(envelope(shown)).replace("\\\\", "\\")


@settings(max_examples=20)
@given(st.integers(1, 400))
def test_a_card_is_never_larger_than_teams_takes(number: int) -> None:
    items = [
        item(id=f"a{n}", title=f"{n} " + "long " * 40, subject_kind="team", subject_key="t") for n in range(number)
    ]

    made = envelope(page(told(items, "group"), LINKS))

    assert len(msgspec.json.encode(made)) <= MOST_BYTES


@pytest.mark.parametrize(
    "wrong", ["", "mia", "mia@", "@acme", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "a,b@c", "é@c", "a@b@c", ".a@b"]
)
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no e-mail address"):
        address(wrong)


# ---------------------------------------------------------------- a real mail server


class Office:
    """What a mail server does with what it gets."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.answer = "250 OK"
        self.known = "mia@acme.example"

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address != self.known:
            return f"550 5.1.1 <{address}> is not known here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        parsed = message_from_bytes(bytes(envelope.content or b""), policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.got.append(parsed)
        return self.answer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
async def server(office: Office, certificate: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a mail server."""

    def speak() -> SMTP:
        return SMTP(office, hostname="mail.acme.example", tls_context=certificate)

    async with await asyncio.get_running_loop().create_server(speak, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


def post(port: int, security: str = "none", **changes: Any) -> Post:
    given_: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "security": security,
        "user": "",
        "password": "",
        "sender": "uptake@acme.example",
        "seconds": 3.0,
        **changes,
    }
    return Post(**given_)


def morning_to(address: str = "mia@acme.example") -> Sending:
    made = morning("de")
    made["to"]["address"] = address
    return replace(sending(), body=made)


async def test_a_mail_arrives_with_the_id_of_its_message(server: int, office: Office) -> None:
    send = email(post(server), LINKS)

    assert (await send(morning_to())).kind == "delivered"
    assert (await send(morning_to())).kind == "delivered"

    first, again = office.got
    assert (first["From"], first["To"]) == ("uptake@acme.example", "mia@acme.example")
    assert first["Message-ID"] == again["Message-ID"] == "<msg_0123@acme.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Subject"] == page(morning("de"), LINKS).title
    plain, rich = first.get_body(("plain",)), first.get_body(("html",))
    assert plain is not None
    assert rich is not None
    assert plain.get_content().replace("\r\n", "\n") == text(page(morning("de"), LINKS))
    assert "Ada Lind" in rich.get_content()


async def test_a_trial_goes_to_whom_mails_are_from(server: int, office: Office) -> None:
    office.known = "uptake@acme.example"

    assert (await email(post(server), LINKS)(sending())).kind == "delivered"
    assert office.got[0]["Subject"] == "Info: This is a test"


async def test_a_channel_gets_a_card() -> None:
    got: list[bytes] = []

    class Door(Client):
        async def post(self, url: str, body: bytes, _headers: Mapping[str, str]) -> Answer:
            got.append(body)
            return Answer(202 if url == "https://flow.example/hook" else 404, {}, b"")

    for told_ in (sending(), morning_to()):
        outcome = await teams(Door(), LINKS)(replace(told_, url="https://flow.example/hook"))
        assert outcome == Outcome(kind="delivered", status=202)
    trial, card = (msgspec.json.decode(body) for body in got)
    assert trial["attachments"][0]["content"]["body"][0]["text"] == "Info: This is a test"
    assert card == envelope(page(morning("de"), LINKS))


async def test_what_the_server_says_is_told_without_the_address(server: int, office: Office) -> None:
    send = email(post(server), LINKS)

    unknown = await send(morning_to("gone@acme.example"))
    office.answer = "451 try again later"
    busy = await send(morning_to())

    assert (unknown.kind, unknown.status, unknown.final) == ("refused", 550, True)
    assert "gone" not in str(unknown.error)
    assert (busy.kind, busy.status, busy.final) == ("refused", 451, False)


async def test_a_certificate_that_nobody_trusts_gets_no_mail(server: int, office: Office) -> None:
    outcome = await email(post(server, "starttls"), LINKS)(morning_to())

    assert outcome.kind == "unreachable"
    assert office.got == []


async def test_where_there_is_no_server_nothing_is_delivered(server: int) -> None:
    nowhere = await email(post(1), LINKS)(morning_to())
    unset = await email(post(server, host=""), LINKS)(morning_to())

    assert nowhere.kind == "unreachable"
    assert unset == Outcome(kind="blocked", error="no mail server is set")


async def test_a_server_that_goes_away_over_the_text_leaves_a_doubt() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                break
            writer.write(b"250 OK\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        given_ = Post(
            host="127.0.0.1", port=port, security="none", user="", password="", sender="u@a.example", seconds=2.0
        )
        outcome = await email(given_, LINKS)(morning_to())

    assert outcome.kind == "unknown"
