"""What the command says to the services over HTTP: how it is allowed to, and what went wrong in one line."""

from typing import Annotated

import httpx
import typer

from services.settings import load

Key = Annotated[str, typer.Option(help="The key, upt_<id>_<secret> [default: UPTAKE_ADMIN_KEY].")]
Tenant = Annotated[str, typer.Option(help="The tenant, for an admin key.")]


class CallError(RuntimeError):
    """A service refused, or cannot be reached; the message is one line."""


def headers(key: str, tenant: str) -> dict[str, str]:
    """Return the headers of a request with ``key`` for ``tenant``.

    Raises:
        CallError: no key is known.
    """
    key = key or load().admin_key
    if not key:
        raise CallError("no key: give --key, or set UPTAKE_ADMIN_KEY")
    return {"authorization": f"Bearer {key}", **({"uptake-tenant": tenant} if tenant else {})}


def refusal(response: httpx.Response) -> CallError:
    """Return the refusal of a service as an error: its problem's title and detail."""
    try:
        problem = response.json()
        words = ": ".join(str(problem[part]) for part in ("title", "detail") if problem.get(part))
    except (ValueError, AttributeError):
        words = response.reason_phrase
    return CallError(f"{response.url.copy_with(query=None)} answered {response.status_code} {words}")
