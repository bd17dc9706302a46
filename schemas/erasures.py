"""By what an erased person is recognised, so that nobody keeps who it was and yet nobody comes back."""

from collections.abc import Iterable
from typing import Final

KEY: Final = "erasure_key"
"""The name of the installation's key for marks, made with its tables."""

PERSON_MARK: Final = f"""sha256(convert_to(
  (select value from installation where name = '{KEY}') || chr(10) || {{tenant}} || chr(10) || {{user}}, 'UTF8'))"""
"""SQL of the mark of an identity of a tenant."""

USERS: Final = ("user", "users", "systemuser", "systemusers", "res.users", "hr.employee", "employee", "employees")
"""What CRMs call the records of their own users."""

IS_PERSON: Final = f"""({{record}} = any({{names}}) and ({{record}} !~ '^[0-9]+$' or lower({{object}}) in {USERS}))"""
"""SQL of whether a record is a person of these ``names``. A mere number is one only as a user: others have it too."""


def spelled(identities: Iterable[str]) -> list[str]:
    """Return how the records of users with these keys may be called: CRMs write letters large or small."""
    return sorted({name for one in identities for name in (one, one.lower(), one.upper())})


ERASE: Final = "erase"
ANONYMISE: Final = "anonymise"
