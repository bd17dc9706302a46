"""Asks whether anything that the lock file pins has a known vulnerability; exit 1 if so.

By pip-audit from a lock file of its own, which is installed only where the service that knows vulnerabilities answers.
Where it does not, that is said, and nothing is claimed.
"""  # noqa: INP001 - deploy/ is no package: nothing of it is installed

import subprocess
import sys
import urllib.error
import urllib.request
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
SERVICE: Final = "https://api.osv.dev/v1/query"
QUESTION: Final = b'{"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "26.0"}'
HOME: Final = ROOT / ".cache" / "audit"


def answers() -> bool:
    """Tell whether the service that knows vulnerabilities answers here."""
    asked = urllib.request.Request(SERVICE, QUESTION, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, TimeoutError, OSError):
        return False


def main() -> None:
    """Audit the lock file of the image."""
    if not answers():
        print(f"audit: {SERVICE} does not answer here: NOTHING WAS AUDITED")  # noqa: T201 - for whoever called it
        return
    venv.create(HOME, with_pip=True)
    lock, tool = ROOT / "requirements" / "runtime.txt", ROOT / "requirements" / "audit.txt"
    install = [HOME / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", tool]
    subprocess.run(install, check=True)  # noqa: S603 - a command of ours
    command = [HOME / "bin" / "pip-audit", "--vulnerability-service", "osv", "--require-hashes", "--disable-pip"]
    done = subprocess.run([*command, "--progress-spinner", "off", "-r", lock], check=False)  # noqa: S603
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
