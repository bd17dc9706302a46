"""Okta event hooks: the sign-ons to applications, of which those to the CRM are its logins. Pure.

Okta tells of every application; the ones that are the CRM are declared, and nothing else becomes an event: other
event types, other applications, and what software does are kept out without a word. Okta makes a sign-on known also
when it failed. The hook is verified once by a challenge, and every delivery shows the secret as it is in
``Authorization``. Answers are empty; a refusal (4xx) would never be repeated, so only a stranger gets one.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.fields import FieldRegistry
from schemas.sources import OktaOptions, Source
from services.ingest.decoding import MAX_EVENTS
from services.ingest.vendors.documents import json_object
from services.ingest.vendors.places import UnfitError, at, text
from services.ingest.vendors.shape import (
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Bad,
    Delivery,
    MalformedError,
    Manners,
    Reading,
    Reply,
    Vendor,
    event,
    from_text,
    options,
    same,
    told,
)

_CHALLENGE: Final = "x-okta-verification-challenge"
_FIT_CHALLENGE: Final = re.compile(r"[\x21-\x7e]{1,512}")
_SIGN_ON: Final = "user.authentication.sso"
_KINDS: Final = {"SUCCESS": "crm.session.login", "FAILURE": "crm.session.login_failed"}
_UUID: Final = re.compile(r"[0-9A-Za-z-]{8,64}")
_NOBODY: Final = frozenset({"unknown", "system@okta.com"})
_DONE: Final = Reply(200)
_NO_CHALLENGE: Final = told(400, f"A verification carries {_CHALLENGE}, of at most 512 visible characters.")
_AT: Final = "/data/events"


def _greet(source: Source | None, delivery: Delivery) -> Reply | None:
    """Answer the challenge with which Okta verifies a hook, before it shows any secret."""
    if source is None or delivery.method != "GET":
        return None
    challenge = delivery.headers.get(_CHALLENGE, "")
    if not _FIT_CHALLENGE.fullmatch(challenge):
        return _NO_CHALLENGE
    return Reply(200, msgspec.json.encode({"verification": challenge}))


def _verify(source: Source, delivery: Delivery) -> bool:
    return same(delivery.headers.get("authorization"), source.secrets)


def _parse(source: Source, delivery: Delivery, _: FieldRegistry) -> Reading:
    events: list[dict[str, Any]] = []
    bad: list[Bad] = []
    for number, entry in enumerate(_entries(delivery.body)):
        try:
            made = _login(source, entry)
        except UnfitError as unfit:
            bad.append(Bad(f"{_AT}/{number}{unfit.place}", unfit.reason))
        else:
            events += [made] if made is not None else []
    return Reading(events, bad)


def _entries(body: bytes) -> list[Any]:
    entries = at(json_object(body), "/data/events")
    if not isinstance(entries, list):
        raise MalformedError("has no data.events")
    if len(entries) > MAX_EVENTS:
        raise MalformedError("holds more than 2,500 events")
    return entries


def _login(source: Source, entry: object) -> dict[str, Any] | None:
    """Return the login in a System Log entry; None when it is none to the CRM.

    Raises:
        UnfitError: it is one, but cannot be read.
    """
    if text(entry, "/eventType") != _SIGN_ON or not _is_crm(source, at(entry, "/target")):
        return None
    kind = _KINDS.get(text(entry, "/outcome/result"))
    name = text(entry, "/actor/alternateId").strip()
    if kind is None or at(entry, "/actor/type") not in (None, "User"):
        return None
    id_, time = text(entry, "/uuid"), from_text(text(entry, "/published"))
    if not _UUID.fullmatch(id_):
        raise UnfitError("/uuid", "must be the id of a log entry")
    if time is None:
        raise UnfitError("/published", "must be an instant")
    user = None if name.casefold() in _NOBODY else name
    return event(source, id=id_, type=kind, time=time, user=user, origin="ui", confidence="inferred")(
        email=user if user and "@" in user else None, method="sso"
    )


def _is_crm(source: Source, targets: object) -> bool:
    """Whether one of ``targets`` is an application instance that is declared to be the CRM."""
    declared = options(source, OktaOptions).applications
    names = {name.casefold() for name in declared}
    return any(
        target.get("id") in declared or any(name.casefold() in names for name in _names(target))
        for target in (targets if isinstance(targets, list) else [])
        if isinstance(target, dict) and target.get("type") == "AppInstance"
    )


def _names(target: dict[str, Any]) -> Iterator[str]:
    return (name for name in (target.get("displayName"), target.get("alternateId")) if isinstance(name, str))


VENDOR: Final = Vendor(
    kind="okta",
    manners=Manners(
        accepted=_DONE,
        unauthorized=UNAUTHORIZED,
        malformed=_DONE,
        overloaded=OVERLOADED,
        limited=OVERLOADED,
        too_large=TOO_LARGE,
        seconds=2.0,
    ),
    verify=_verify,
    parse=_parse,
    greet=_greet,
)
