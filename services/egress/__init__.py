"""The way out: where deliveries may go, and how they get there and nowhere else.

A name is resolved once, every address it has is judged, and the connection is made to an address that was judged.
"""

from services.egress.client import Answer, CheckUrl, Client, EgressError, checked, checker
from services.egress.targets import Networks, Target, TargetError, networks_of, target_of

__all__ = [
    "Answer",
    "CheckUrl",
    "Client",
    "EgressError",
    "Networks",
    "Target",
    "TargetError",
    "checked",
    "checker",
    "networks_of",
    "target_of",
]
