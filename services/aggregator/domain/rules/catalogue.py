"""What each rule is called, how loud it is, who should know and what to do next. Thresholds stand with the rules.

A change of what a rule finds raises its version. Texts speak to a manager; titles name no person.
"""

from dataclasses import dataclass
from typing import Final

from services.aggregator.domain.findings import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is published. Rules of one ``family`` share the episode: the louder takes the place of the other."""

    id: str
    family: str
    title: str
    severity: Severity
    audience: tuple[str, ...]
    action: str
    version: int = 1


NOT_CONNECTED: Final = Rule(
    id="user-not-connected-d2",
    family="user-not-connected",
    title="{wave}: not connected two days after go-live",
    severity=Severity.WARNING,
    audience=("manager", "champion"),
    action=(
        "Call or visit today. Ask first what stood in the way: access, device, leave, or not knowing. Offer a super "
        "user for ten minutes and agree on a date. Do not send a reminder mail."
    ),
)
NEVER_LOGGED_IN: Final = Rule(
    id="user-never-logged-in-d3",
    family="user-not-connected",
    title="{wave}: still not connected three days after go-live",
    severity=Severity.CRITICAL,
    audience=("manager", "champion"),
    action=(
        "Agree on a one-to-one with the manager and a super user within a day, and write down the real obstacle in the "
        "person's plan."
    ),
)
D1_BELOW: Final = Rule(
    id="wave-connection-d1-below-target",
    family="wave-connection-d1",
    title="{wave}: {num} of {den} people connected by D+1, fewer than 80 %",
    severity=Severity.WARNING,
    audience=("crm_owner", "champion"),
    action="Check the ways in first (accounts, single sign-on, licences), then visit the two teams furthest behind.",
)
D3_EMERGENCY: Final = Rule(
    id="wave-connection-d3-emergency",
    family="wave-connection-d3",
    title="{wave}: {num} of {den} people connected by D+3, fewer than 70 %",
    severity=Severity.EMERGENCY,
    audience=("sponsor", "crm_owner", "steering"),
    action=(
        "The sponsor speaks today with the managers of the teams furthest behind, removes the largest obstacle within "
        "hours, and says again why this matters and by when."
    ),
)
D5_BELOW: Final = Rule(
    id="wave-connection-d5-below-target",
    family="wave-connection-d5",
    title="{wave}: {num} of {den} people connected by D+5, fewer than 90 %",
    severity=Severity.CRITICAL,
    audience=("crm_owner", "team_lead"),
    action="Turn each remaining name into a plan with a date. Check leave and licences before calling it resistance.",
)
ADOPTION_DROP: Final = Rule(
    id="adoption-drop-vs-week1",
    family="adoption-drop-vs-week1",
    title="{group}: {num} of {den} people active in week {week}, {base_num} of {base_den} in week 1",
    severity=Severity.WARNING,
    audience=("team_lead", "crm_owner"),
    action=(
        "Sit down with three people who stopped, find out which work moved elsewhere, fix one obstacle this week and "
        "tell them that it is fixed."
    ),
)
SOURCE_SILENT: Final = Rule(
    id="source-silent",
    family="source-silent",
    title="No events from {source} since {since}",
    severity=Severity.CRITICAL,
    audience=("operations",),
    action=(
        "Look at the connector first: is the webhook still registered, do deliveries fail, was a secret changed? Send "
        "again what was missed. Until then nobody is said to stay away: it is not known."
    ),
)

CATALOGUE: Final = {
    rule.id: rule
    for rule in (NOT_CONNECTED, NEVER_LOGGED_IN, D1_BELOW, D3_EMERGENCY, D5_BELOW, ADOPTION_DROP, SOURCE_SILENT)
}
