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
    posthog,
    rudderstack,
    salesforce_cdc,
    salesforce_outbound,
    segment,
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
        posthog.VENDOR,
        rudderstack.VENDOR,
        salesforce_cdc.VENDOR,
        salesforce_outbound.VENDOR,
        segment.VENDOR,
        standard_webhooks.VENDOR,
        zoho.VENDOR,
    )
}

_PATHS: Final[Mapping[str, str]] = {
    **{f"/v1/{call}": segment.VENDOR.kind for call in segment.CALLS},
    **dict.fromkeys((rudderstack.BEACON, rudderstack.CONFIGURATION), rudderstack.VENDOR.kind),
    **dict.fromkeys((*posthog.CAPTURE, *posthog.QUESTIONS), posthog.VENDOR.kind),
}
_BELOW: Final[Mapping[str, str]] = {segment.PROJECTS: segment.VENDOR.kind, posthog.ARRAY: posthog.VENDOR.kind}


def kind_of(path: str) -> str | None:
    """Return the kind of the key-led senders that post to ``path``; None: nobody's.

    Where several kinds share a path, the source to which the key leads says which it is.
    """
    kind = _PATHS.get(path.rstrip("/"))
    return kind or next((kind for begin, kind in _BELOW.items() if path.startswith(begin)), None)
