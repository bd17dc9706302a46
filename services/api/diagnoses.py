"""``/v1/alerts/{alert}/diagnosis``: what an alert about a group may come from, and what was noted near it.

Computed when it is asked for, from the numbers that may be told of the group in the week of the alert.
"""

from datetime import date, timedelta
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from schemas.alerts import DIAGNOSED, item
from services.api import scenes
from services.api.alerts import sight_of
from services.api.auth import Caller, Reader
from services.api.problems import ProblemError, not_found
from services.api.scenes import Wanted
from services.api.shapes import Shown, example, rate, reply
from services.api.store import alerts as store
from services.api.store import annotations
from services.api.store.sessions import reading
from services.metrics.catalogue import METRICS as CATALOGUE
from services.metrics.windows import Name
from services.postgres import Connection, Row
from services.rules.diagnosis import METRICS, Barrier, Diagnosis, Evidence, Question, diagnose

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

NEAR: Final = timedelta(days=14)
"""So long before and behind the window of an alert an annotation may have to do with it."""
NOT_MEASURED: Final = "not measured"
WEEK: Final[Name] = "week"


class EvidenceShown(Shown):
    """A metric of the group in the week of the alert."""

    metric: str
    title: str
    of: str | None = None
    num: int
    den: int
    value: float | None = None


class QuestionShown(Shown):
    """One of the eight questions. ``answer``: what is known; ``not measured``: it is to be asked."""

    key: str
    question: str
    answer: str
    evidence: list[EvidenceShown]


class BarrierShown(Shown):
    """One of the five barriers. ``score``: from 0, it stands in the way, to 1; null: not measured."""

    barrier: str
    question: str
    score: float | None = None
    evidence: list[EvidenceShown]


class NotedShown(Shown):
    """An annotation near the window of the alert."""

    id: str
    kind: str
    title: str
    starts_on: date
    ends_on: date | None = None


class DiagnosisShown(Shown):
    """A diagnosis: a heuristic with its evidence, never a verdict."""

    alert: str
    questions: list[QuestionShown]
    barriers: list[BarrierShown]
    first_barrier: str | None = None
    suggestion: str
    annotations: list[NotedShown]


_EVIDENCE: Final[dict[str, Any]] = {
    "metric": "manager.inspection_rate",
    "title": "Open records of the team that its manager looked at in the last fourteen days",
    "of": None,
    "num": 3,
    "den": 40,
    "value": 0.075,
}
_SHOWN: Final[dict[str, Any]] = {
    "alert": "5b0c6c6d7a2f4e1b9a30",
    "questions": [
        {
            "key": "inspection",
            "question": "Do managers look at the records, and where?",
            "answer": "Open records of the team that its manager looked at in the last fourteen days: 3 of 40",
            "evidence": [_EVIDENCE],
        }
    ],
    "barriers": [
        {
            "barrier": "reinforcement",
            "question": "Does anybody look at it, and does it change anything?",
            "score": 0.125,
            "evidence": [_EVIDENCE],
        }
    ],
    "first_barrier": "reinforcement",
    "suggestion": "Let the next team meeting run on the CRM's own list, and look at three fields together.",
    "annotations": [
        {"id": "layout", "kind": "crm-change", "title": "A new layout", "starts_on": "2026-03-09", "ends_on": None}
    ],
}


@router.get("/{alert}/diagnosis", response_model=DiagnosisShown, responses=example(_SHOWN))
async def show(alert: str, caller: Reader) -> Response:
    """Show what an alert about a team, a role or the tenant may come from, with the evidence there is."""
    async with reading(caller.pool) as connection:
        row = await store.find(connection, caller.tenant.id, alert, await sight_of(caller, connection))
        if row is None:
            raise not_found()
        body = item(row)
        subject = body["subject"]["kind"], body["subject"]["key"]
        if subject[0] not in DIAGNOSED:
            raise ProblemError(409, "Only alerts about a team, a role or the tenant have a diagnosis.")
        first, last = (date.fromisoformat(str(body["window"][end])) for end in ("from", "to"))
        found = await _evidence(caller, connection, subject, last)
        noted = await annotations.between(connection, caller.tenant.id, first - NEAR, last + NEAR, (date.min, ""), 100)
    owner = next((heard["role"] for heard in body["audience"]), None)
    concerned = [row for row in noted if _concerns(row, subject)]
    return reply(
        {"alert": alert, **_shown(diagnose(found, subject, owner)), "annotations": [_noted(each) for each in concerned]}
    )


async def _evidence(caller: Caller, connection: Connection, subject: tuple[str, str], day: date) -> list[Evidence]:
    """Return what may be told of the group in the week of ``day``."""
    moment = await scenes.now_of(caller, connection)
    if moment is None:
        return []
    metrics = [CATALOGUE[name] for name in METRICS]
    wanted = Wanted(*subject, window=WEEK, first=day, last=day)
    gathered = await scenes.gather(caller, connection, wanted, moment[0], metrics)
    asked = gathered.questions([metric for metric in metrics if WEEK in metric.windows])
    told = (gathered.teller.answer(one) for one in asked)
    return [
        Evidence(each.asked.metric.id, each.asked.metric.title, each.num, each.den, each.asked.of)
        for each in told
        if each.reason is None and each.num is not None and each.den
    ]


def _concerns(noted: Row, subject: tuple[str, str]) -> bool:
    """Tell whether an annotation is about the group, or about everybody."""
    kind, key = subject
    named = noted["teams"] if kind == "team" else noted["roles"] if kind == "role" else ()
    return key in named or not (noted["teams"] or noted["roles"])


def _noted(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in NotedShown.model_fields}


def _shown(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "questions": [_question(each) for each in diagnosis.questions],
        "barriers": [_barrier(each) for each in diagnosis.barriers],
        "first_barrier": None if diagnosis.first is None else diagnosis.first.barrier,
        "suggestion": diagnosis.suggestion,
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "key": question.key,
        "question": question.question,
        "answer": question.answer or NOT_MEASURED,
        "evidence": [_told(each) for each in question.evidence],
    }


def _barrier(barrier: Barrier) -> dict[str, Any]:
    return {
        "barrier": barrier.barrier,
        "question": barrier.question,
        "score": None if barrier.score is None else float(barrier.score),
        "evidence": [_told(each) for each in barrier.evidence],
    }


def _told(evidence: Evidence) -> dict[str, Any]:
    return {
        "metric": evidence.metric,
        "title": evidence.title,
        "of": evidence.of,
        **rate(evidence.num, evidence.den),
    }
