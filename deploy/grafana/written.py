"""The dashboards as Grafana reads them, by the names of their files."""

import json
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.adoption import adoption
from deploy.grafana.golive import golive
from deploy.grafana.pipeline import pipeline
from deploy.grafana.quality import quality

HERE: Final = Path(__file__).parent / "dashboards"
ANNOTATIONS: Final = {
    "Go-lives": ("green", "uptake_wave_go_live_timestamp_seconds", "{{wave}} goes live"),
    "Annotations": ("purple", "uptake_annotation_timestamp_seconds", "{{kind}}: {{annotation}}"),
}
"""By name: the colour, the family whose values are instants, and what is written beside."""
ANNOTATED: Final = frozenset({"adoption", "go-live", "data-quality"})


def written() -> dict[str, str]:
    """Return the text of each file."""
    boards: dict[str, Dashboard] = {
        "go-live": golive(),
        "adoption": adoption(),
        "data-quality": quality(),
        "pipeline": pipeline(),
    }
    return {f"{name}.json": _text(board, annotated=name in ANNOTATED) for name, board in boards.items()}


def _text(board: Dashboard, *, annotated: bool) -> str:
    found: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    if annotated:
        found["annotations"] = {"list": [_annotation(name, *what) for name, what in ANNOTATIONS.items()]}
    return json.dumps(found, indent=2, sort_keys=True) + "\n"


def _annotation(name: str, colour: str, family: str, said: str) -> dict[str, Any]:
    """Return marks at the instants that ``family`` tells, in milliseconds."""
    return {
        "name": name,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "expr": f'1000 * max without (instance, job) ({family}{{tenant="$tenant"}})',
        "useValueForTime": "on",
        "step": "60s",
        "titleFormat": said,
    }
