"""Where a panel leads to: the alert's own page in the API, and the guide that says what to do."""

from typing import Any, Final, NamedTuple

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType


class Link(NamedTuple):
    """What a link says and where it leads. ``${api}`` and ``${guides}`` are what the reader's installation is."""

    title: str
    url: str


ALERTS: Final = Link("The open alerts, with evidence and what to do", "${api}/v1/alerts?state=open")
GUIDE: Final = Link("How to read an alert", "${guides}/read-an-alert.md")
METRICS: Final = Link("What each metric means", "${guides}/metrics.md")
RECORDS: Final = Link("What makes a record ready for a decision", "${guides}/records.md")
LETTERS: Final = Link("How to look at dead letters and replay them", "${guides}/dead-letters.md")
RUNBOOKS: Final = Link("What to do when the pipeline is ill", "${guides}/runbooks.md")


def linked(panel: Any, *links: Link) -> Any:  # noqa: ANN401 - the builders of panels have no common type
    """Return ``panel`` with links behind its title."""
    made = [
        DashboardLink(link.title).type(DashboardLinkType.LINK).url(link.url).target_blank(target_blank=True)
        for link in links
    ]
    return panel.links(made)
