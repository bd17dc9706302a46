"""What Salesforce posts as an outbound message: SOAP 1.1, as its API guide shows it."""

from collections.abc import Callable, Iterable, Mapping
from xml.sax.saxutils import escape

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import SECRET, delivery, source

ORGANIZATION = "00D300000006UfqEAE"
MAYA = "00530000003xqwTAAQ"
DEAL = "0065e00000ABcdEAAT"
PROLOG = '<?xml version="1.0" encoding="UTF-8"?>'
SESSION = "00D300000006Ufq!AQ4AQFzYk1x.secret_Session-Of.Them"


def fields(values: Mapping[str, str | None]) -> str:
    return "".join(
        f'<sf:{name} xsi:nil="true"/>' if value is None else f"<sf:{name}>{escape(value)}</sf:{name}>"
        for name, value in values.items()
    )


def notification(number: int = 1, values: Mapping[str, str | None] | None = None, kind: str = "Opportunity") -> str:
    """Return a notification of a record with ``values``."""
    told = {
        "Id": DEAL,
        "CreatedById": MAYA,
        "CreatedDate": "2026-03-01T10:00:00.000Z",
        "LastModifiedById": MAYA,
        "LastModifiedDate": "2026-03-02T09:00:00.000Z",
        **(values or {}),
    }
    return (
        f"<Notification><Id>04l5e00000Ab{number:03d}AAA</Id>"
        f'<sObject xsi:type="sf:{kind}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{fields(told)}</sObject>'
        "</Notification>"
    )


def message(
    *notifications: str, session: str | None = SESSION, prolog: str = '<?xml version="1.0" encoding="UTF-8"?>'
) -> str:
    """Return the message with ``notifications``."""
    ticket = '<SessionId xsi:nil="true"/>' if session is None else f"<SessionId>{session}</SessionId>"
    return (
        f'{prolog}\n<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        ' <soapenv:Body>\n  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">\n'
        f"   <OrganizationId>{ORGANIZATION}</OrganizationId>\n   <ActionId>04k5e0000008OMpAAM</ActionId>\n   {ticket}\n"
        "   <EnterpriseUrl>https://acme.my.salesforce.com/services/Soap/c/60.0</EnterpriseUrl>\n"
        "   <PartnerUrl>https://acme.my.salesforce.com/services/Soap/u/60.0</PartnerUrl>\n"
        f"   {''.join(notifications)}\n  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>\n"
    )


def posted(body: str | bytes) -> Delivery:
    return delivery(body, secret=SECRET, headers={"content-type": "text/xml; charset=UTF-8", "soapaction": '""'})


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return messages of every form, with ``text()`` wherever a value of a field stands."""

    def values() -> Iterable[tuple[str, str | None]]:
        yield from {"Name": text(), "Description": text(), "StageName": "Prospecting", "NextStep": None}.items()

    created = {"LastModifiedDate": "2026-03-01T10:00:00.000Z"}
    bodies = [
        message(notification(1, dict(values()))),
        message(*(notification(number, dict(values())) for number in range(1, 4)), session=None),
        message(notification(1, {**dict(values()), **created})),
        message(notification(1, {"Subject": text(), "LastModifiedById": None, "LastModifiedDate": None}, kind="Task")),
    ]
    return [(source("salesforce-outbound"), posted(body)) for body in bodies]
