"""Okta's deliveries: its documented event hook body, with the entries of its System Log."""

import itertools
from collections.abc import Callable
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import SECRET, delivery, source

CRM = {
    "id": "0oa1gjh63g214q0Hq0g4",
    "type": "AppInstance",
    "alternateId": "Salesforce.com",
    "displayName": "Salesforce Production",
}

_numbers = itertools.count(1)


def entry(kind: str = "user.authentication.sso", **changes: Any) -> dict[str, Any]:
    """Return an entry of the System Log with ``changes``; a change to None takes the attribute away."""
    made = {
        "uuid": f"dc9fd3c0-598c-11ef-8478-{next(_numbers):012d}",
        "published": "2026-03-02T09:00:11.000Z",
        "eventType": kind,
        "version": "0",
        "displayMessage": "User single sign on to app",
        "severity": "INFO",
        "client": {"userAgent": {"rawUserAgent": "Mozilla/5.0", "browser": "CHROME"}, "ipAddress": "198.51.100.7"},
        "actor": {
            "id": "00uttidj01jqL21aM1d6",
            "type": "User",
            "alternateId": "ann.wren@example.com",
            "displayName": "Ann Wren",
            "detailEntry": None,
        },
        "outcome": {"result": "SUCCESS", "reason": None},
        "target": [{"id": "0ua1", "type": "AppUser", "alternateId": "ann", "displayName": "Ann Wren"}, CRM],
        "transaction": {"type": "WEB", "id": "W-1"},
        "authenticationContext": {"externalSessionId": "trsGDHiJe2ISM2GneNwg_tIWw", "authenticationStep": 0},
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def body(*entries: Any) -> dict[str, Any]:
    """Return the body of a delivery of ``entries``."""
    return {
        "eventType": "com.okta.event_hook",
        "eventTypeVersion": "1.0",
        "cloudEventsVersion": "0.1",
        "source": "https://acme.okta.com/api/v1/eventHooks/who8vt36qfNpCGz9H1e6",
        "eventId": "b5a188b9-5ece-4636-b041-482ffda96311",
        "data": {"events": list(entries)},
        "eventTime": "2026-03-02T09:01:00.000Z",
        "contentType": "application/json",
    }


def hook(content: Any, *, secret: str = SECRET) -> Delivery:
    """Return a delivery that shows ``secret`` as Okta does."""
    return delivery(content, headers={"authorization": secret, "content-type": "application/json"})


def okta(*applications: str, secret: str = SECRET) -> Source:
    """Return a source of Okta whose ``applications`` are the CRM."""
    return source("okta", secret, applications=applications or (CRM["id"],))


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return deliveries of sign-ons, good and failed, with ``text()`` wherever a text stands."""
    client = {"userAgent": {"rawUserAgent": text()}, "geographicalContext": {"city": text()}}
    failed = {"result": "FAILURE", "reason": text()}
    entries = [
        entry(displayMessage=text(), client=client, debugContext={"debugData": {"requestUri": text()}}),
        entry(outcome=failed, displayMessage=text()),
        entry("user.lifecycle.deactivate", displayMessage=text()),
        entry(target=[{**CRM, "id": "0oa-another", "alternateId": text(), "displayName": text()}]),
    ]
    entries = [{**each, "uuid": f"dc9fd3c0-598c-11ef-8478-{number:012d}"} for number, each in enumerate(entries)]
    return [(okta(), hook(body(*entries))), (okta("salesforce production"), hook(body(*entries)))]
