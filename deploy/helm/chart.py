"""The chart rendered: what Helm makes of each example, kept beside the tests so that these need no Helm.

``make chart`` looks at the chart and writes them anew. Each begins with the mark of the files that it was made of, so
that a chart that was changed without it is noticed.
"""  # noqa: INP001 - deploy/ is no package: nothing of it is installed

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
CHART: Final = HERE / "uptake"
EXAMPLES: Final = sorted((HERE / "examples").glob("*.yaml"))
RENDERED: Final = HERE.parents[1] / "tests" / "deploy" / "rendered"
VERSION: Final = "v3.22.0"
CACHE: Final = Path.home() / ".cache" / "uptake" / f"helm-{VERSION}"
KUBERNETES: Final = ("--kube-version", "1.34.0")
DOCUMENTS: Final = {"README.md"}


class ChartError(RuntimeError):
    """Helm is missing, or does not accept the chart."""


def mark(example: Path) -> str:
    """Return what changes with every file that ``example`` is rendered from."""
    files = sorted(path for path in CHART.rglob("*") if path.is_file() and path.name not in DOCUMENTS)
    digest = hashlib.sha256()
    for path in [*files, example]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def helm() -> str | None:
    """Return the program, if it is installed or in the cache."""
    return shutil.which("helm") or (str(CACHE / "helm") if (CACHE / "helm").exists() else None)


def install() -> str:
    """Return the program; made by Go, once, when it is nowhere.

    Raises:
        ChartError: there is no Go, or it could not make it.
    """
    if found := helm():
        return found
    if shutil.which("go") is None:
        raise ChartError("neither Helm nor Go is installed")
    print(f"making Helm {VERSION}, which takes some minutes", file=sys.stderr)  # noqa: T201 - it is a command
    env = {**os.environ, "GOBIN": str(CACHE)}
    command = ["go", "install", f"helm.sh/helm/v3/cmd/helm@{VERSION}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - of ours
    if done.returncode:
        raise ChartError(f"Go could not make Helm: {done.stderr.strip()}")
    return str(CACHE / "helm")


def run(program: str, *arguments: object) -> str:
    """Return what Helm says.

    Raises:
        ChartError: it does not accept what it was given.
    """
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - of ours
    if done.returncode:
        raise ChartError(done.stderr.strip() + done.stdout.strip())
    return done.stdout


def rendered(program: str, example: Path) -> str:
    """Return what is installed with the values of ``example``, behind its mark."""
    text = run(program, "template", "uptake", CHART, "--namespace", "adoption", "--values", example, *KUBERNETES)
    return f"# {mark(example)}\n{text}"


def main() -> None:
    """Look at the chart and write what becomes of every example."""
    try:
        program = install()
        RENDERED.mkdir(exist_ok=True)
        for example in EXAMPLES:
            run(program, "lint", CHART, "--strict", "--values", example, *KUBERNETES)
            (RENDERED / example.name).write_text(rendered(program, example))
    except ChartError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
