"""E-mail by the operator's mail server. The same message has the same Message-ID at every attempt.

A trial goes to the address that mails are from.
"""

from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from services.notifier.domain.people.mail import mail
from services.notifier.domain.people.messages import told_of
from services.notifier.domain.people.page import page
from services.notifier.domain.shape import Outcome, Sending
from services.notifier.ways import Send

STARTTLS: Final = "starttls"
TLS: Final = "tls"
PLAIN: Final = "none"
_ONE_LINE: Final = 200
_FOR_GOOD: Final = 500
"""A mail server that answers so of a recipient will not answer otherwise (RFC 5321, 4.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """The mail server. ``security``: how the connection is secured; ``sender``: whom mails are from."""

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str
    seconds: float


def email(post: Post, links: str) -> Send:
    """Return the way through ``post``; ``links``: where alerts are found."""

    async def send(sending: Sending) -> Outcome:
        if not post.host:
            return Outcome(kind="blocked", error="no mail server is set")
        body = told_of(sending.body, sending.tenant, sending.now)
        to = body["to"]["address"] if body is sending.body else post.sender
        try:
            message = mail(
                page(body, links),
                sender=post.sender,
                recipient=to or "",
                message=sending.message,
                language=body["language"],
                sent_at=sending.now,
            )
        except ValueError:
            return Outcome(kind="blocked", error="the recipient has no e-mail address that could be written to")
        return await _handed_over(post, message)

    return send


async def _handed_over(post: Post, message: EmailMessage) -> Outcome:
    """Hand ``message`` to the mail server, and return what it said. After the text was sent an error is a doubt."""
    server = aiosmtplib.SMTP(
        hostname=post.host,
        port=post.port,
        use_tls=post.security == TLS,
        start_tls=post.security == STARTTLS,
        timeout=post.seconds,
    )
    begun = False
    try:
        async with server:
            if post.user:
                await server.login(post.user, post.password)
            begun = True
            await server.send_message(message)
    except aiosmtplib.SMTPRecipientsRefused as error:
        refused = error.recipients[0]
        final = refused.code >= _FOR_GOOD
        return Outcome(kind="refused", status=refused.code, error=_line(refused.message), final=final)
    except aiosmtplib.SMTPResponseException as error:
        return Outcome(kind="refused", status=error.code, error=_line(error.message))
    except aiosmtplib.SMTPConnectError as error:
        return Outcome(kind="unreachable", error=_line(str(error)))
    except (aiosmtplib.SMTPException, OSError) as error:
        return Outcome(kind="unknown" if begun else "unreachable", error=_line(str(error) or type(error).__name__))
    return Outcome(kind="delivered", status=250)


def _line(text: str) -> str:
    """Return ``text`` as one line without addresses: those of people stay out of the log of attempts."""
    words = ("(address)" if "@" in word else word for word in text.split())
    return " ".join(words)[:_ONE_LINE]
