"""The short road for what senders usually send: decoded, checked and encoded by msgspec, almost without Python. Pure.

It takes a body only when every event in it is of the plain form that the contract describes, and then gives the very
records that ``normalise`` and ``encode`` would give (a law that the tests check). Whatever is unusual in any way, good
or bad, it leaves to them.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.events import EARLIEST, ORIGINS, Record
from schemas.topics import person_key
from services.ingest.decoding import MAX_EVENT, MAX_EVENTS, has_spaced_colon, sizes
from services.ingest.normalise import AHEAD, ID_CHARS, INT64, NAME_CHARS, state_of

_Text = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS)] | UnsetType
_Long = Annotated[str, Meta(min_length=1, max_length=ID_CHARS)]
_Count = Annotated[int, Meta(ge=0, le=INT64 - 1)] | UnsetType
_Extension = Annotated[str, Meta(max_length=256)] | UnsetType
_FieldName = Annotated[str, Meta(max_length=NAME_CHARS)]


class _Data(Struct, gc=False, forbid_unknown_fields=True):
    """``data`` with nothing in it but what the contract names, in the order of the log."""

    automatic: bool | UnsetType = UNSET
    delivery: _Text = UNSET
    email: _Text = UNSET
    environment: _Text = UNSET
    feature: _Text = UNSET
    fields: dict[_FieldName, str | int | float | bool | None] | UnsetType = UNSET
    fields_filled: _Count = UNSET
    fields_required: _Count = UNSET
    method: _Text = UNSET
    module: _Text = UNSET
    object: _Text = UNSET
    on_behalf_of: _Text = UNSET
    origin: _Text = UNSET
    owner: _Text = UNSET
    record: _Text = UNSET
    report: _Text = UNSET
    rows: _Count = UNSET
    stage: _Text = UNSET
    task: _Text = UNSET
    user: _Text = UNSET


class _Event(Struct, gc=False, forbid_unknown_fields=True):
    """An event without extensions, in the order of the log."""

    data: _Data
    id: _Long
    source: _Long
    specversion: Literal["1.0"]
    type: Annotated[str, Meta(min_length=1, max_length=NAME_CHARS)]
    dataschema: _Extension = UNSET
    subject: _Extension = UNSET
    tenant: Annotated[str, Meta(max_length=0)] | UnsetType = UNSET
    time: Annotated[str, Meta(min_length=20, max_length=20)] | UnsetType = UNSET
    datacontenttype: Literal["application/json"] | UnsetType = UNSET
