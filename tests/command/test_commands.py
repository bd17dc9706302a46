import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services import installation, migrate, postgres
from tests.command.conftest import Run
from tests.patience import settled, wait_until
from tests.stack import Stack

PEOPLE = "user,name,email,role,team,manager,licensed_from,licensed_to\nu1,Ada,,seller,north,,2026-01-01,\n"
UP = ["up", *(word for part in ("api", "ingest", "aggregator", "notifier") for word in (f"--{part}-port", "0"))]


def _access(running: Stack) -> list[str]:
    return ["--key", running.ready["admin_key"], "--tenant", "acme"]


def _result(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def _replay(
    uptake: Run, running: Stack, *arguments: object, text: str | None = None, status: int = 0
) -> dict[str, Any]:
    done = uptake("replay", *arguments, "--url", running.ready["ingest"], *_access(running), text=text)
    assert done.returncode == status, done.stderr
    return {**_result(done.stdout), "said": done.stderr}


def test_a_replay_counts_what_was_sent_and_repeating_it_changes_nothing(
    uptake: Run, running: Stack, events_file: Callable[..., Path]
) -> None:
    file = events_file(1203)

    first = _replay(uptake, running, file)
    again = _replay(uptake, running, file, "--batch", "100", "--concurrency", "8")

    assert (first["sent"], first["accepted"], first["rejected"]) == (1203, 1203, 0)
    assert (again["sent"], again["accepted"], again["rejected"]) == (1203, 1203, 0)
    headers = {"authorization": f"Bearer {running.ready['admin_key']}", "uptake-tenant": "acme"}
    address = f"{running.ready['api']}/v1/status?wait=60"
    assert settled(lambda: httpx.get(address, headers=headers).json())["duplicates"] == 1203


def test_a_replay_reads_gzip_and_standard_input(uptake: Run, running: Stack, events_file: Callable[..., Path]) -> None:
    packed = events_file(30, name="packed.ndjson.gz")
    unnamed = events_file(10, name="again.ndjson.gz").rename(packed.with_name("again"))
    plain = events_file(20, name="plain.ndjson").read_text()

    assert _replay(uptake, running, packed, unnamed, "-", text=plain)["accepted"] == 60


def test_a_bad_line_costs_no_neighbour_is_named_and_fails_the_command_in_the_end(
    uptake: Run, running: Stack, events_file: Callable[..., Path]
) -> None:
    file = events_file(40, name="bad.ndjson", extra=('{"broken', '{"id": "x", "specversion": "1.0"}', "[1, 2]"))

    result = _replay(uptake, running, file, status=1)

    assert (result["sent"], result["accepted"], result["rejected"]) == (43, 40, 3)
    assert 'rejected {"broken' in result["said"]
    assert result["said"].splitlines()[-1] == "uptake: 3 of 43 events were rejected"


def test_a_rate_is_kept(uptake: Run, running: Stack, events_file: Callable[..., Path]) -> None:
    result = _replay(uptake, running, events_file(300), "--rate", "200", "--batch", "50")

    assert result["seconds"] >= 1.2


def test_people_are_imported_and_a_bad_row_is_named(uptake: Run, running: Stack, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE + "u2,Bob,,seller,north,,not-a-date,\n")
    call = ["directory", file, "--url", running.ready["api"], *_access(running)]

    dry = uptake(*call, "--dry-run")
    done = uptake(*call)

    assert _result(dry.stdout) == _result(done.stdout) == {"created": 1, "updated": 0, "unchanged": 0}
    assert done.returncode == 1
    assert "row 2" in done.stderr
    assert "licensed_from" in done.stderr


def test_dead_letters_are_listed_shown_and_replayed_once_their_mapping_is_right(uptake: Run, running: Stack) -> None:
    api, ingest = running.ready["api"], running.ready["ingest"]
    headers = {"authorization": f"Bearer {running.ready['admin_key']}", "uptake-tenant": "acme"}
    wrong = {"mapping": {"type": "/kind", "id": "/key", "user": "/who"}, "types": {"opened": "crm.record.viewed"}}
    right = {**wrong, "types": {"saved": "crm.record.updated"}}
    secret = "a-secret-of-the-source"
    made = {"id": "own-crm", "kind": "custom", "secrets": [secret], "options": wrong}
    with httpx.Client(headers=headers) as client:
        assert client.post(f"{api}/v1/sources", json=made).status_code == 201
        for body in (
            {"kind": "saved", "key": "k1", "who": "u-own", "note": "Smith called"},
            {"kind": "?", "key": "k2"},
        ):
            client.post(f"{ingest}/v1/hooks/own-crm/{secret}", json=body).raise_for_status()
        access = ["--url", api, *_access(running)]
        letters = _listed(uptake, access, 2)
        shown = uptake("dead-letters", "show", letters[1]["id"], *access)
        first = uptake("dead-letters", "replay", letters[1]["id"], "--ingest", ingest, *access)
        assert client.patch(f"{api}/v1/sources/own-crm", json={"options": right}).status_code == 200
        done = [uptake("dead-letters", "replay", "--source", "own-crm", "--ingest", ingest, *access) for _ in range(2)]
        by_name = uptake("dead-letters", "replay", letters[1]["id"], "--ingest", ingest, *access)
        status = settled(lambda: client.get(f"{api}/v1/status?wait=60").json())

    assert [it["state"] for it in letters] == ["open", "open"]
    assert "Smith" not in json.dumps(letters)
    assert base64.b64decode(json.loads(shown.stdout)["body_base64"]).startswith(b'{"kind":"saved"')
    assert _result(first.stdout) == {"replayed": 0, "still_bad": 1, "refused": 0, "accepted": 0}
    assert (first.returncode, [it.returncode for it in done], by_name.returncode) == (1, [1, 1], 0)
    assert _result(done[0].stdout) == {"replayed": 1, "still_bad": 1, "refused": 0, "accepted": 1}
    assert _result(done[1].stdout) == {"replayed": 0, "still_bad": 1, "refused": 0, "accepted": 0}
    assert (status["dead_letters"], status["dead_letters_open"]) == (2, 0)
    assert [it["id"] for it in status["sources"]].count("/hooks/own-crm") == 1


def _listed(uptake: Run, access: list[str], count: int) -> list[dict[str, Any]]:
    """Return the dead letters, once there are so many."""

    def letters() -> list[dict[str, Any]] | None:
        done = uptake("dead-letters", "list", *access)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        return [json.loads(line) for line in lines] if len(lines) >= count else None

    found = wait_until(letters)
    assert found is not None
    return found


def test_a_replay_of_dead_letters_names_what_it_is_to_replay(uptake: Run) -> None:
    done = uptake("dead-letters", "replay", "--all", "--source", "x", "--key", "upt_no_0123456789abcdefghij")

    assert done.returncode == 1
    assert done.stderr == "uptake: name dead letters, or give --source, or --all\n"


def test_a_refused_key_is_one_line(uptake: Run, running: Stack, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE)

    done = uptake("directory", file, "--url", running.ready["api"], "--key", "upt_no_0123456789abcdefghij")

    assert done.returncode == 1
    assert done.stderr.startswith(f"uptake: {running.ready['api']}/v1/directory/people answered 401")
    assert len(done.stderr.splitlines()) == 1


def test_the_doctor_finds_a_running_stack_well(uptake: Run, running: Stack) -> None:
    engines = {name: running.ready[name] for name in ("kafka", "database")}
    done = uptake("doctor", "--json", **engines, state_dir=running.state)
    told = json.loads(done.stdout)

    assert (done.returncode, told["well"]) == (0, True), done.stdout
    assert {check["name"]: check["state"] for check in told["checks"]} == {
        **dict.fromkeys(("uptake", "disk", "kafka-tls", "postgres", "room", "tls", "clocks", "schema"), "well"),
        **dict.fromkeys(("walls", "lag", "keys", "seal", "sources"), "well"),
        "kafka": "doubtful",  # the embedded broker keeps one copy
    }


def test_the_doctor_says_what_to_do(uptake: Run, empty_database: str) -> None:
    done = uptake("doctor", kafka="127.0.0.1:1", database=empty_database)

    assert done.returncode == 1
    assert f"FAIL schema    at nothing, wanted {migrate.head()}: run uptake migrate" in done.stdout
    assert 'FAIL kafka     relation "installation" does not exist' in done.stdout
    assert done.stdout.splitlines()[0].startswith("ok   uptake")
    assert len(done.stdout.splitlines()) == 14


async def test_rebuild_says_what_differs_and_puts_it_right_unless_it_was_only_to_look(
    uptake: Run, running: Stack
) -> None:
    connection = await postgres.connect(database := running.ready["database"], name="tests")
    await connection.execute(
        "insert into window_delta (tenant, dimension, key, days, day, shard, licensed)"
        " values ('acme', 'team', 'ghosts', 7, '2026-01-05', 0, 3)"
    )
    await connection.close()
    looked = uptake("rebuild", "--check", database=database)
    repaired = uptake("rebuild", "acme", database=database)
    again = uptake("rebuild", "--check", database=database)
    nobody = uptake("rebuild", "nobody", database=database)
    lines = [json.loads(line) for line in looked.stdout.splitlines()]

    assert [looked.returncode, repaired.returncode, again.returncode, nobody.returncode] == [1, 0, 0, 1]
    assert nobody.stderr == "uptake: no such tenant: nobody\n"
    assert all(line.keys() == {"tenant", "table", "rows", "differing"} for line in lines)
    assert [line["differing"] for line in lines if (line["tenant"], line["table"]) == ("acme", "window_delta")] == [1]
    assert '"differing":1' in repaired.stdout
    assert '"differing":1' not in again.stdout


def test_migrate_and_topics_prepare_empty_engines_and_may_be_repeated(
    uptake: Run, tansu: Any, empty_database: str
) -> None:
    engines = {"kafka": tansu.address, "database": empty_database, "partitions": 5}

    for _ in range(2):
        assert uptake("migrate", **engines).stdout == f"the schema is at {migrate.head()}\n"
        assert uptake("topics", **engines).stdout.splitlines()[0] == "uptake.events.v1: 5 partitions"


async def test_topics_refuses_another_number_of_partitions(uptake: Run, tansu: Any, database: str) -> None:
    await installation.make_topics(database, tansu.address, partitions=4, replication=1)
    tansu.kill()
    tansu.start()

    done = uptake("topics", kafka=tansu.address, database=database, partitions=7)

    assert done.stdout.splitlines()[0] == "uptake.events.v1: 4 partitions", "an empty Kafka gets the noted shards"


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["migrate"], {"database": "postgresql://uptake@127.0.0.1:1/uptake"}, "Connect call failed"),
        (["topics"], {"database": "postgresql://uptake@127.0.0.1:1/uptake"}, "Connect call failed"),
        (["replay", "none.ndjson", "--key", "k"], {}, "none.ndjson: no such file"),
        (["replay", "Makefile"], {}, "no key: give --key, or set UPTAKE_ADMIN_KEY"),
        (["directory", "none.csv", "--key", "k"], {}, "No such file or directory"),
        (["directory", "Makefile", "--key", "k", "--url", "http://127.0.0.1:1"], {}, "Connection refused"),
        ([*UP, "--kafka", "nobody.invalid:9092"], {}, "nobody.invalid:9092: "),
        ([*UP, "--kafka", "nobody"], {}, "UPTAKE_KAFKA='nobody' is no list of host:port"),
        (["ingest"], {"linger_ms": "soon"}, "UPTAKE_LINGER_MS='soon' is not a valid int"),
        (["api"], {"partitions": "-3"}, "UPTAKE_PARTITIONS='-3' must be greater than zero"),
        (["aggregator"], {"log_level": "ALL"}, "UPTAKE_LOG_LEVEL='ALL' is none of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_goes_wrong_is_one_line(uptake: Run, arguments: list[str], settings: dict[str, str], words: str) -> None:
    done = uptake(*arguments, **settings)

    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
