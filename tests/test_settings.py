import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from services import settings
from services.settings import SettingError, Settings, environment, example, load, usable

ROOT = Path(__file__).parents[1]


def test_the_example_lists_every_setting_with_its_default() -> None:
    assert (ROOT / ".env.example").read_text() == example()


def test_whatever_setting_a_guide_names_is_there() -> None:
    known = {f"UPTAKE_{name.upper()}" for name in Settings.__dataclass_fields__} | {"UPTAKE_SCRAPE_KEY"}
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), ROOT / "docker-compose.yml"]
    named = {(page.name, name) for page in pages for name in re.findall(r"UPTAKE_[A-Z_]+\b", page.read_text())}

    assert {name for _, name in named} >= {"UPTAKE_METRICS_PORT", "UPTAKE_SOURCE_RATE"}
    assert [each for each in sorted(named) if each[1] not in known and not each[1].endswith("_")] == []


def test_nothing_set_gives_the_defaults() -> None:
    assert load({}) == Settings()


def test_what_a_parent_hands_down_is_what_the_child_reads() -> None:
    given = Settings(kafka="k:1", partitions=3, linger_ms=7, log_level="WARNING", state_dir=Path("/x"))

    assert load(environment(given)) == given


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UPTAKE_API_PORT", "eighty"),
        ("UPTAKE_PARTITIONS", "0"),
        ("UPTAKE_REGISTRY_SECONDS", "-1"),
        ("UPTAKE_LOG_LEVEL", "LOUD"),
        ("UPTAKE_KAFKA_SECURITY", "tls"),
        ("UPTAKE_KAFKA_SECURITY", "sasl_ssl"),
        ("UPTAKE_KAFKA_CA", "/nowhere/ca.pem"),
        ("UPTAKE_DATABASE_TLS", "yes"),
        ("UPTAKE_SEAL_KEY", "AAAA,BBBB"),
        ("UPTAKE_METRICS_PORT", "-1"),
        ("UPTAKE_KAFKA", "nonsense"),
        ("UPTAKE_KAFKA", "kafka:9092,kafka:70000"),
        ("UPTAKE_KAFKA", "kafka..example:9092"),
        ("UPTAKE_DATABASE", "nonsense"),
        ("UPTAKE_DATABASE", "postgresql://uptake:pass[word@db/uptake"),
    ],
    ids=[
        "a word is no port",
        "no partitions",
        "a negative time",
        "an unknown level",
        "a way to Kafka that there is not",
        "a login without a name",
        "a file that is not there",
        "a way to PostgreSQL that there is not",
        "keys that are too short",
        "a port below nought",
        "a broker without a port",
        "a broker with a port that there is not",
        "a broker with a name that cannot be one",
        "a database without an address",
        "a database with half a bracket",
    ],
)
def test_a_bad_setting_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=name):
        load({name: text})


def test_brokers_are_named_in_every_usual_way() -> None:
    brokers = "kafka-0.kafka.svc.cluster.local.:9092, my_broker:9093,[2001:db8::1]:9092,127.0.0.1:65535"

    assert load({"UPTAKE_KAFKA": brokers}).kafka == brokers
    assert load({"UPTAKE_KAFKA": "", "UPTAKE_DATABASE": ""}).kafka == ""


def test_how_postgresql_is_spoken_to_goes_into_its_url_once_and_what_the_url_says_stands() -> None:
    secured = {"UPTAKE_DATABASE_TLS": "verify-full", "UPTAKE_DATABASE_CA": __file__}
    plain = load(secured | {"UPTAKE_DATABASE": "postgresql://u:p@db/uptake"})
    said = load(secured | {"UPTAKE_DATABASE": "postgresql://u:p@db/uptake?sslmode=require"})

    assert (
        plain.database == f"postgresql://u:p@db/uptake?{urlencode({'sslmode': 'verify-full', 'sslrootcert': __file__})}"
    )
    assert said.database == f"postgresql://u:p@db/uptake?{urlencode({'sslmode': 'require', 'sslrootcert': __file__})}"
    assert load(environment(plain)) == plain
    assert usable(replace(plain, database="postgresql://u:p@db/uptake")) == plain


def test_traces_need_what_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"UPTAKE_OTLP_ENDPOINT": "http://collector:4318"}
    assert load(asked).otlp_endpoint == "http://collector:4318"

    monkeypatch.setattr(settings, "find_spec", lambda _name: None)
    with pytest.raises(SettingError, match=r"crm-uptake\[tracing\]"):
        load(asked)
