"""Every adapter by its kind. Pure."""

from collections.abc import Mapping
from typing import Final

from services.ingest.vendors import (
    custom,
    dataverse,
    hubspot,
    odoo,
    okta,
    pipedrive,
    salesforce_cdc,
    salesforce_outbound,
    standard_webhooks,
    zoho,
)
from services.ingest.vendors.shape import Vendor

VENDORS: Final[Mapping[str, Vendor]] = {
    vendor.kind: vendor
    for vendor in (
        custom.VENDOR,
        dataverse.VENDOR,
        hubspot.VENDOR,
        odoo.VENDOR,
        okta.VENDOR,
        pipedrive.VENDOR,
        salesforce_cdc.VENDOR,
        salesforce_outbound.VENDOR,
        standard_webhooks.VENDOR,
        zoho.VENDOR,
    )
}


_PATHS: Final[Mapping[str, str]] = {}


def kind_of(path: str) -> str | None:
    """Return the kind of the key-led senders that post to ``path``; None: nobody's."""
    return _PATHS.get(path)
