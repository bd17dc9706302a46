"""The documentation of a service as one page, made of its OpenAPI document.

It needs nothing from elsewhere and runs no script: it is there without a way to the internet, and can be printed. Pure.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any, Final, NamedTuple

Schema = Mapping[str, Any]

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'"
"""What a browser lets the page do: nothing but look as it does."""
METHODS: Final = ("get", "post", "put", "patch", "delete")
_STYLE: Final = """
:root{--ink:#1d2733;--soft:#5d6b7a;--line:#dde3ea;--back:#f6f8fa;--read:#1f6f54;--write:#8a4b08;--end:#a1252b}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif;color:var(--ink);display:flex}
nav{position:sticky;top:0;height:100vh;overflow:auto;flex:0 0 14em;padding:1.5em;background:var(--back)}
nav a{display:block;color:inherit;text-decoration:none;padding:.15em 0}nav a:hover{text-decoration:underline}
main{flex:1;min-width:0;max-width:62em;padding:1.5em 2.5em}
h1{margin:0}h2{margin:2em 0 .5em}h2:first-letter{text-transform:uppercase}h3{margin:1.2em 0 .3em;font-size:1em}
details{border:1px solid var(--line);border-radius:6px;margin:.4em 0}details[open]{background:var(--back)}
summary{cursor:pointer;padding:.5em .8em;display:flex;gap:.8em;align-items:baseline}
summary span{color:var(--soft);overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
details>div{padding:0 1em 1em}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#fff;border:1px solid var(--line);border-radius:4px;padding:.7em;overflow:auto;max-height:30em}
b{font:600 12px ui-monospace,monospace;flex:0 0 4em;text-transform:uppercase;color:var(--write)}
b.get{color:var(--read)}b.delete{color:var(--end)}
table{border-collapse:collapse;width:100%;table-layout:fixed;overflow-wrap:anywhere}td:nth-child(1){width:28%}
td:nth-child(2){width:9%}td:nth-child(3){width:24%}td{vertical-align:top;padding:.25em .8em .25em 0}
td{border-top:1px solid var(--line)}i{color:var(--soft)}
@media(max-width:50em){body{display:block}nav{position:static;height:auto}nav a{display:inline-block;margin-right:1em}
main{padding:1em}summary span,td:nth-child(2){display:none}}
"""


class Operation(NamedTuple):
    """One thing that can be asked for."""

    path: str
    method: str
    told: Schema

    @property
    def tag(self) -> str:
        """Return the chapter it belongs to."""
        return str((self.told.get("tags") or ["operations"])[0])


def page(document: Schema) -> str:
    """Return ``document`` as HTML, its operations by tag, in the order in which they stand there."""
    info, schemas = document["info"], document.get("components", {}).get("schemas", {})
    operations = [
        Operation(path, method, told[method])
        for path, told in document["paths"].items()
        for method in METHODS
        if method in told
    ]
    tags = list(dict.fromkeys(each.tag for each in operations))
    chapters = groupby(sorted(operations, key=lambda each: tags.index(each.tag)), key=lambda each: each.tag)
    links = "".join(f'<a href="#{_anchor(tag)}">{escape(tag)}</a>' for tag in tags)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><nav>{links}</nav><main>"
        f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('summary', ''))}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        + "".join(
            f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2>' + "".join(_operation(each, schemas) for each in chapter)
            for tag, chapter in chapters
        )
        + "</main></body></html>"
    )


def _anchor(tag: str) -> str:
    return escape(tag.replace(" ", "-"), quote=True)


def _operation(operation: Operation, schemas: Schema) -> str:
    path, method, told = operation
    summary, description = told.get("summary", ""), told.get("description", "")
    more = description.removeprefix(summary).removeprefix(".").strip()
    return (
        f'<details><summary><b class="{method}">{method}</b><code>{escape(path)}</code>'
        f"<span>{escape(summary)}</span></summary><div><p>{escape(summary)}.</p>"
        + (f"<p>{_marked(more)}</p>" if more else "")
        + "".join(_parameters(told.get("parameters", ())))
        + "".join(_body(told.get("requestBody", {}).get("content", {}), schemas))
        + "".join(_answers(told.get("responses", {})))
        + "</div></details>"
    )


def _marked(text: str) -> str:
    """Return ``text`` with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _parameters(parameters: Sequence[Schema]) -> Iterator[str]:
    if parameters:
        yield "<h3>Parameters</h3>"
        yield _table(
            (each["name"], each["in"], _type(each.get("schema", {})), each.get("required"), each.get("description", ""))
            for each in parameters
        )


def _body(content: Schema, schemas: Schema) -> Iterator[str]:
    for kind, shown in content.items():
        yield f"<h3>Body: <code>{escape(kind)}</code></h3>"
        schema = _resolved(shown.get("schema", {}), schemas)
        if fields := schema.get("properties"):
            wanted = schema.get("required", ())
            yield _table(
                (name, "", _type(field), name in wanted, field.get("description", "")) for name, field in fields.items()
            )
        yield _example(shown)


def _answers(responses: Schema) -> Iterator[str]:
    for status, told in responses.items():
        if status == "default":
            continue
        yield f"<h3>{escape(status)}: {escape(told.get('description', '').replace('Successful Response', 'done'))}</h3>"
        for kind, shown in told.get("content", {}).items():
            yield f"<i>{escape(kind)}</i>{_example(shown)}"


def _table(rows: Iterator[tuple[str, str, str, object, str]]) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code> {'' if wanted else '<i>optional</i>'}</td><td>{escape(place)}</td>"
        f"<td>{escape(kind)}</td><td>{_marked(text)}</td></tr>"
        for name, place, kind, wanted, text in rows
    )
    return f"<table>{lines}</table>"


def _example(shown: Schema) -> str:
    """Return the example of a body, the first where there are several; nothing where there is none."""
    several = [each["value"] for each in shown.get("examples", {}).values()]
    for example in (*([shown["example"]] if "example" in shown else ()), *several):
        text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
        return f"<pre>{escape(text)}</pre>"
    return ""


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    """Return what a reference to one of ``schemas`` stands for."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return schemas.get(name, {}) if name else schema


def _type(schema: Schema) -> str:
    """Return in a few words what a value may be."""
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if choices := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_type(each) for each in choices if each.get("type") != "null"))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or schema.get("$ref", "").rpartition("/")[2])
