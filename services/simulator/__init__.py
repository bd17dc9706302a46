"""A rollout that never happened, told the same way each time: people, waves, events in order of arrival, and its truth.

Everything follows from the plot and a seed: the same seed gives the same bytes. Nothing here reads a clock, a file or
the network. Every person and every company in it is made up.
"""

from services.simulator.cast import Person, Story, people_csv, stage, wave_bodies
from services.simulator.delivery import checkpoints, events
from services.simulator.known import RULES, Known, false_alarms, known_alerts

__all__ = [
    "RULES",
    "Known",
    "Person",
    "Story",
    "checkpoints",
    "events",
    "false_alarms",
    "known_alerts",
    "people_csv",
    "stage",
    "wave_bodies",
]
