"""The words around an alert, in the languages there are. What a rule says of itself stands in its pack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

DEFAULT: Final = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of a language. ``people``, ``lines`` and the like hold the form for one and the form for more."""

    severity: Mapping[str, str]
    what: Mapping[str, str]
    hello: str
    hello_all: str
    action: str
    since: str
    until: str
    suspected: str
    person: tuple[str, str]
    alerts: tuple[str, str]
    and_more: str
    digest: str
    new: tuple[str, str]
    over: tuple[str, str]
    wrong: tuple[str, str]
    still: tuple[str, str]
    standing: str
    unjudged: str
    reasons: Mapping[str, str]
    groups: tuple[str, str]
    covers: str
    left_out: str
    correction: str
    handed_over: str
    carried_up: str
    foot: str
    months: Sequence[str]
    date_form: str

    def day(self, day: date) -> str:
        """Return a date as it is written."""
        return self.date_form.format(day=day.day, month=self.months[day.month - 1], year=day.year)


ENGLISH: Final = Words(
    severity={"info": "Info", "warning": "Warning", "critical": "Critical", "emergency": "Emergency"},
    what={
        "opened": "New",
        "raised": "Raised",
        "reopened": "Open again",
        "handed_over": "Handed over to you",
        "resolved": "Resolved",
        "corrected": "Correction",
    },
    hello="Hello {name},",
    hello_all="Hello,",
    action="What to do: {action}",
    since="Since {day}.",
    until="Resolved on {day}.",
    suspected="Suspected, not yet sure.",
    person=("{n} person", "{n} people"),
    alerts=("{n} alert", "{n} alerts"),
    and_more="{title}, and {n} more",
    digest="Your morning at {tenant}: {counts}",
    new=("{n} new", "{n} new"),
    over=("{n} resolved", "{n} resolved"),
    wrong=("{n} correction", "{n} corrections"),
    still=("{n} still open", "{n} still open"),
    standing="Still open",
    unjudged="Not judged",
    reasons={"no_data": "nothing is known", "too_small": "too few people", "insufficient_sample": "too few cases"},
    groups=("{n} group", "{n} groups"),
    covers="It speaks for {children}.",
    left_out="{n} more are not shown here.",
    correction="What you were told does not hold: later data shows that it never happened. Nothing is to be done.",
    carried_up="It comes to you because nobody has answered it.",
    handed_over="It was open before it came to you; whoever had it before was told of it.",
    foot="You get this because of your part in bringing the CRM to {tenant}. Whoever runs it can change that.",
    months=(
        "January February March April May June July August September October November December".split()  # noqa: SIM905
    ),
    date_form="{day} {month} {year}",
)
GERMAN: Final = Words(
    severity={"info": "Info", "warning": "Warnung", "critical": "Kritisch", "emergency": "Notfall"},
    what={
        "opened": "Neu",
        "raised": "Lauter",
        "reopened": "Wieder offen",
        "handed_over": "An Sie übergeben",
        "resolved": "Vorbei",
        "corrected": "Berichtigung",
    },
    hello="Guten Tag {name},",
    hello_all="Guten Tag,",
    action="Was zu tun ist: {action}",
    since="Seit dem {day}.",
    until="Vorbei seit dem {day}.",
    suspected="Vermutet, noch nicht sicher.",
    person=("{n} Person", "{n} Personen"),
    alerts=("{n} Meldung", "{n} Meldungen"),
    and_more="{title}, und {n} weitere",
    digest="Ihr Morgen bei {tenant}: {counts}",
    new=("{n} neu", "{n} neu"),
    over=("{n} vorbei", "{n} vorbei"),
    wrong=("{n} Berichtigung", "{n} Berichtigungen"),
    still=("{n} noch offen", "{n} noch offen"),
    standing="Noch offen",
    unjudged="Nicht beurteilt",
    reasons={
        "no_data": "nichts bekannt",
        "source_silent": "eine Quelle schweigt",
        "too_small": "zu wenige Personen",
        "suppressed": "zu wenige Personen",
        "directory_stale": "das Verzeichnis ist veraltet",
        "unknown_origin": "Herkunft unbekannt",
        "not_approved": "das Verzeichnis ist nicht bestätigt",
        "insufficient_sample": "zu wenige Fälle",
    },
    groups=("{n} Gruppe", "{n} Gruppen"),
    covers="Sie steht auch für {children}.",
    left_out="{n} weitere sind hier nicht gezeigt.",
    correction="Was Ihnen gemeldet wurde, stimmt nicht: spätere Daten zeigen es anders. Es ist nichts zu tun.",
    carried_up="Sie kommt zu Ihnen, weil niemand darauf geantwortet hat.",
    handed_over="Sie war schon offen, bevor sie zu Ihnen kam; wer sie vorher hatte, wurde unterrichtet.",
    foot="Sie erhalten dies, weil Sie bei {tenant} an der Einführung des CRM teilhaben. Wer sie leitet, ändert es.",
    months=(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()  # noqa: SIM905
    ),
    date_form="{day}. {month} {year}",
)
FRENCH: Final = Words(
    severity={"info": "Info", "warning": "Avertissement", "critical": "Critique", "emergency": "Urgence"},
    what={
        "opened": "Nouveau",
        "raised": "Plus grave",
        "reopened": "À nouveau ouvert",
        "handed_over": "Repris par vous",
        "resolved": "Terminé",
        "corrected": "Rectification",
    },
    hello="Bonjour {name},",
    hello_all="Bonjour,",
    action="Que faire : {action}",
    since="Depuis le {day}.",
    until="Terminé depuis le {day}.",
    suspected="Soupçon, pas encore certain.",
    person=("{n} personne", "{n} personnes"),
    alerts=("{n} alerte", "{n} alertes"),
    and_more="{title}, et {n} autres",
    digest="Votre matin chez {tenant} : {counts}",
    new=("{n} nouvelle", "{n} nouvelles"),
    over=("{n} terminée", "{n} terminées"),
    wrong=("{n} rectification", "{n} rectifications"),
    still=("{n} encore ouverte", "{n} encore ouvertes"),
    standing="Encore ouvert",
    unjudged="Non évalué",
    reasons={
        "no_data": "rien n'est connu",
        "source_silent": "une source est muette",
        "too_small": "trop peu de personnes",
        "suppressed": "trop peu de personnes",
        "directory_stale": "l'annuaire n'est plus à jour",
        "unknown_origin": "origine inconnue",
        "not_approved": "l'annuaire n'est pas confirmé",
        "insufficient_sample": "trop peu de cas",
    },
    groups=("{n} groupe", "{n} groupes"),
    covers="Elle vaut aussi pour {children}.",
    left_out="{n} autres ne sont pas montrées ici.",
    correction=(
        "Ce qui vous a été annoncé est faux : des données ultérieures montrent que cela n'a pas eu lieu. "
        "Il n'y a rien à faire."
    ),
    carried_up="Elle vous parvient parce que personne n'y a répondu.",
    handed_over="Elle était déjà ouverte avant de vous revenir ; la personne précédente en a été informée.",
    foot="Vous recevez ceci pour votre rôle dans la mise en place du CRM chez {tenant}. Qui la dirige peut le changer.",
    months=(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()  # noqa: SIM905
    ),
    date_form="{day} {month} {year}",
)

LANGUAGES: Final[Mapping[str, Words]] = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH}


def words(language: str) -> Words:
    """Return the words of ``language``; of one that there is not, the English ones."""
    return LANGUAGES.get(language, ENGLISH)


def amount(forms: tuple[str, str], n: int) -> str:
    """Return ``n`` with the form that belongs to it."""
    return forms[0 if n == 1 else 1].format(n=n)
