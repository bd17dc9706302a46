"""Any other CRM: JSON that is read by a declared mapping. Pure.

The secret stands in the header that the option ``header`` names or, where a sender can set none, at the end of the
address. For Frappe and ERPNext, SugarCRM, Freshsales and whatever sends a body of its own there are mappings to copy in
``docs/guides/custom.md``.
"""

from typing import Final

from schemas.fields import FieldRegistry
from schemas.sources import CustomOptions, Source
from services.ingest.vendors.mapping import read
from services.ingest.vendors.shape import (
    LIMITED,
    MALFORMED,
    OK,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Delivery,
    Manners,
    Reading,
    Vendor,
    options,
    same,
)


def _verify(source: Source, delivery: Delivery) -> bool:
    header = delivery.headers.get(options(source, CustomOptions).header.lower())
    return same(header, source.secrets) or same(delivery.secret, source.secrets)


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    return read(source, delivery, options(source, CustomOptions), fields)


VENDOR: Final = Vendor(
    kind="custom",
    manners=Manners(
        accepted=OK,
        unauthorized=UNAUTHORIZED,
        malformed=MALFORMED,
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
    ),
    verify=_verify,
    parse=_parse,
)
