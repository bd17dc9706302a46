"""What has a reason that the user can act on; anything else is a mistake of ours and shows its traceback."""

from typing import Final

from services.cli.calls import CallError
from services.embedded import EmbeddedError
from services.installation import InstallationError
from services.kafka import LogUnavailableError
from services.postgres import DATABASE_ERRORS
from services.settings import SettingError
from services.supervisor import StartError

FAILURES: Final = (
    CallError,
    EmbeddedError,
    InstallationError,
    LogUnavailableError,
    OSError,
    SettingError,
    StartError,
    *DATABASE_ERRORS,
)
