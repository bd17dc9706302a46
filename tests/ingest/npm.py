"""The senders' libraries from npm, in the versions of ``sdks/package-lock.json``, installed once into a cache."""

import contextlib
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).with_name("sdks")
LOCK: Final = HERE / "package-lock.json"
OLDEST: Final = 20
_MARK: Final = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
CACHE: Final = Path.home() / ".cache" / "uptake" / f"sdks-{_MARK}"


def missing() -> str | None:
    """Return what this machine lacks to run them; None when nothing."""
    if shutil.which("node") is None:
        return f"Node.js ({OLDEST} or newer) is not installed"
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", told)
    if version is None or int(version[1]) < OLDEST:
        return f"Node.js is older than {OLDEST}"
    if not CACHE.exists() and shutil.which("npm") is None:
        return "npm is not installed"
    return None


def modules() -> Path:
    """Return the directory with ``node_modules``, installing them when they are not in the cache."""
    if CACHE.exists():
        return CACHE
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=CACHE.parent))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, fresh)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise AssertionError(f"npm could not install the libraries:\n{done.stderr}")
    with contextlib.suppress(OSError):  # somebody else was faster
        fresh.rename(CACHE)
    shutil.rmtree(fresh, ignore_errors=True)
    return CACHE
