"""A browser that follows a stream: Debian's own Chromium without a window, on a page that tells what it was told."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from services import child
from tests import debian

PACKAGE: Final = "chromium-headless-shell"
BESIDE: Final = "chromium-common"
HOME: Final = Path("usr/lib/chromium")
OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
PAGE: Final = """<!doctype html><script>
let told = Promise.resolve();
new EventSource(ADDRESS).addEventListener("alert.opened", event => {
    const title = JSON.parse(event.data).alert.title;
    told = told.then(() => fetch("/", {method: "POST", body: title}));
});
</script>"""


def _keep(root: Path, place: Path) -> None:
    shutil.move(root, place)


def _program() -> tuple[Path, dict[str, str]]:
    """Return the program, installed or from the cache, and where it finds its libraries."""
    if (installed := Path("/") / HOME / PACKAGE).exists():
        return installed, {}
    place = debian.kept(PACKAGE, _keep, BESIDE)
    libraries = {str(found.parent) for found in place.glob("**/*.so*")}
    return place / HOME / PACKAGE, {"LD_LIBRARY_PATH": ":".join(sorted(libraries))}


@contextmanager
def following(address: str) -> Iterator[list[str]]:
    """Open a page that follows the stream at ``address``; gives the titles of alerts it is told of, as they come."""
    page, titles = PAGE.replace("ADDRESS", json.dumps(address)).encode(), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(page if self.path == "/" else b"")

        def do_POST(self) -> None:
            titles.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_told: object) -> None:
            pass

    program, env = _program()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, tempfile.TemporaryDirectory() as home:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [program, *OPTIONS, f"--user-data-dir={home}/profile", f"http://127.0.0.1:{server.server_port}/"]
        env |= {"PATH": os.environ["PATH"], "HOME": home}
        process = child.start(command, env=env, output=subprocess.DEVNULL, at_parents_end=signal.SIGKILL)
        try:
            yield titles
        finally:
            child.end(process, signal.SIGTERM, seconds=20)
            server.shutdown()
