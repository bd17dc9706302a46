"""The bill of materials of the image: what the lock file pins, as CycloneDX 1.6, and who wants what.

A function of the lock file alone, so the same lock gives the same bill.
"""  # noqa: INP001 - deploy/ is no package: nothing of it is installed

import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "requirements" / "runtime.txt"
_PIN: Final = re.compile(r"([a-z0-9._-]+)(?:\[[^]]*])?==(\S+?)(?: ; .*)? \\?$")


def bill(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """Return the bill of ``project``, whose requirements ``lock`` pins with their hashes."""
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    found: dict[str, dict[str, Any]] = {}
    wanted_by: dict[str, list[str]] = {}
    name = ""
    for line in lock.splitlines():
        if pin := _PIN.match(line):
            name, version = pin.groups()
            found[name] = _component(name, version)
            wanted_by[name] = []
        elif "--hash=sha256:" in line:
            digest = line.strip().removeprefix("--hash=sha256:").removesuffix(" \\")
            found[name]["externalReferences"][0]["hashes"].append({"alg": "SHA-256", "content": digest})
        elif line.startswith("    #") and name:
            wanted_by[name] += re.sub(r"^ {4}#\s+(via\s*)?", "", line).split()[:1]
    refs = {project["name"]: root, **{it: one["bom-ref"] for it, one in found.items()}}
    wants: dict[str, list[str]] = {ref: [] for ref in refs.values()}
    for part, wanters in wanted_by.items():
        for wanter in wanters:
            wants[refs[wanter]].append(refs[part])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "bom-ref": root,
                "type": "application",
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": root,
            }
        },
        "components": list(found.values()),
        "dependencies": [{"ref": ref, "dependsOn": sorted(parts)} for ref, parts in wants.items()],
    }


def _component(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    files = {"type": "distribution", "url": f"https://pypi.org/project/{name}/{version}/#files", "hashes": []}
    return {
        "bom-ref": purl,
        "type": "library",
        "name": name,
        "version": version,
        "purl": purl,
        "externalReferences": [files],
    }


def main() -> None:
    """Write the bill to the file that is named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    made = bill(LOCK.read_text(), project)
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made, indent=2) + "\n")
    print(f"{target}: {len(made['components'])} components")  # noqa: T201 - it is for whoever called it


if __name__ == "__main__":
    main()
