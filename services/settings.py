"""Every setting, read once from ``UPTAKE_*``. The only reader of the environment.

A bad setting stops the start with one line that names it. ``.env.example`` is this file's table, kept equal by a test.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

SEAL_KEY_BYTES: Final = 32
_BROKER: Final = re.compile(r"(?:\[[\w:.%]+\]|[^\s:,./\[\]]{1,63}(?:\.[^\s:,./\[\]]{1,63})*\.?):(\d{1,5})")


class SettingError(ValueError):
    """A setting that cannot be used; the message names it."""


class Cluster(NamedTuple):
    """How Kafka is reached."""

    bootstrap: str
    security: str = "plaintext"
    ca: str = ""
    cert: str = ""
    key: str = ""
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password: str = ""


def _setting(default: Any, sentence: str) -> Any:  # noqa: ANN401 - dataclass fields are typed where they are declared
    return field(default=default, metadata={"sentence": sentence})


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may set; the name in the environment is ``UPTAKE_<NAME>``."""

    kafka: str = _setting("127.0.0.1:9092", "Bootstrap servers of Kafka, host:port, comma separated.")
    kafka_security: str = _setting("plaintext", "How Kafka is spoken to: plaintext, ssl, sasl_plaintext or sasl_ssl.")
    kafka_ca: str = _setting("", "PEM file of the authorities that Kafka's certificate may be of; empty: the system's.")
    kafka_cert: str = _setting("", "PEM file of our own certificate for Kafka; empty: none is shown.")
    kafka_key: str = _setting("", "PEM file of the key of that certificate; empty: it is in the same file.")
    kafka_mechanism: str = _setting("SCRAM-SHA-512", "How sasl_* logs in: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN.")
    kafka_user: str = _setting("", "Whom sasl_* logs in as.")
    kafka_password: str = _setting("", "The password for that.")
    database: str = _setting("postgresql://uptake@127.0.0.1:5432/uptake", "URL of the PostgreSQL database.")
    database_tls: str = _setting(
        "", "How PostgreSQL is spoken to: disable, prefer, require, verify-ca or verify-full; empty: as its URL says."
    )
    database_ca: str = _setting("", "PEM file of the authorities that PostgreSQL's certificate may be of.")
    admin_key: str = _setting("", "The first admin key, upt_<id>_<secret>; empty: generated on an empty database.")
    host: str = _setting("127.0.0.1", "Address the services listen on.")
    api_port: int = _setting(8080, "Port of the API service.")
    ingest_port: int = _setting(8081, "Port of the ingest service.")
    aggregator_port: int = _setting(8082, "Port of the aggregator's metrics and probes.")
    notifier_port: int = _setting(8079, "Port of the notifier's metrics and probes.")
    share_ports: str = _setting(
        "no", "Whether several processes of the API, or of ingest, listen on one port of this machine: yes or no."
    )
    metrics_port: int = _setting(
        0,
        "Port of one API or ingest process for its metrics, and its probes beside; 0: those are where it serves. "
        "Processes that share a port need one each.",
    )
    drain_seconds: float = _setting(
        0.5, "How long API and ingest go on, not ready, when told to stop, so that load balancers notice, in seconds."
    )
    partitions: int = _setting(12, "Partitions of the events topic; fixed when the topic is created.")
    replication: int = _setting(1, "Replicas of each topic; 3 in production.")
    state_dir: Path = _setting(Path(".uptake"), "Where a service keeps its own files (ingest: what it knew of keys).")
    registry_seconds: float = _setting(5.0, "How often ingest reads tenants and keys again, in seconds.")
    publish_seconds: float = _setting(5.0, "How long ingest waits for Kafka before it answers 503, in seconds.")
    linger_ms: int = _setting(3, "How long ingest gathers events for one append, in milliseconds.")
    max_pending_mib: int = _setting(64, "How much ingest holds unacknowledged before it answers 503, in MiB.")
    spool_ms: int = _setting(
        300, "How soon a sender that never repeats is answered, in milliseconds: from the spool when Kafka is slower."
    )
    spool_mib: int = _setting(1024, "How much the spool of ingest holds at most, in MiB.")
    source_rate: int = _setting(
        500,
        "The most requests a second that one ingest process takes of one source; N processes take N times as many, "
        "so divide what a source may send by N.",
    )
    public_url: str = _setting("", "Base address of ingest as senders know it, for signatures and set-up texts.")
    seal_key: str = _setting(
        "",
        "Key that seals secrets and dead letters, 32 bytes in base64; empty: the installation makes and keeps one. "
        "Several, comma separated: the first seals, all open.",
    )
    batch_records: int = _setting(10_000, "The most records an aggregator takes into one transaction.")
    cycle_ms: int = _setting(200, "The least time between two rounds of small batches, in milliseconds.")
    evaluate_seconds: float = _setting(0.2, "The least time between two evaluations of one tenant, in seconds.")
    measure_seconds: float = _setting(0.1, "The least time between two times that a tenant is measured, in seconds.")
    session_ms: int = _setting(30_000, "Kafka session time-out of an aggregator, in milliseconds.")
    retention_activity_days: int = _setting(90, "How long single events are kept, in days; tenants may want less.")
    retention_people_days: int = _setting(
        396, "How long is kept what single people did on a day or in a week, in days."
    )
    retention_aggregate_days: int = _setting(1827, "How long the numbers of groups are kept, in days.")
    retention_delivery_days: int = _setting(30, "How long it is kept who was told what, in days.")
    retention_letter_days: int = _setting(90, "How long dead letters are kept, in days.")
    delivery_networks: str = _setting(
        "",
        "Networks that deliveries may go to beside the public ones: 10.1.0.0/16, comma separated. http only there.",
    )
    delivery_proxy: str = _setting(
        "", "The proxy that deliveries go through, http://host:port; it looks up names, and guards your networks."
    )
    delivery_seconds: float = _setting(15.0, "How long a delivery may take, from look-up to answer, in seconds.")
    links_url: str = _setting(
        "", "Base address of the API as people reach it, for links in messages and feeds; empty: messages have none."
    )
    smtp_host: str = _setting("", "The server that mails go through; empty: no mails are sent.")
    smtp_port: int = _setting(587, "Its port.")
    smtp_security: str = _setting("starttls", "How mails are secured on the way to it: starttls, tls or none.")
    smtp_user: str = _setting("", "Whom to log in as; empty: without.")
    smtp_password: str = _setting("", "The password for that.")
    mail_from: str = _setting("uptake@localhost", "The address that mails are from.")
    otlp_endpoint: str = _setting(
        "", "Base address of an OpenTelemetry collector (OTLP over HTTP) that gets traces; empty: none are made."
    )
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR.")

    @property
    def cluster(self) -> Cluster:
        """Return how Kafka is reached."""
        return Cluster(
            self.kafka,
            self.kafka_security,
            self.kafka_ca,
            self.kafka_cert,
            self.kafka_key,
            self.kafka_mechanism,
            self.kafka_user,
            self.kafka_password,
        )


_CHOICES: Final = {
    "share_ports": ("yes", "no"),
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "smtp_security": ("starttls", "tls", "none"),
    "kafka_security": ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
    "kafka_mechanism": ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"),
    "database_tls": ("", "disable", "prefer", "require", "verify-ca", "verify-full"),
}


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of ``environ`` (default: the process environment).

    Raises:
        SettingError: a value cannot be read as its type.
    """
    source = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for entry in fields(Settings):
        text = source.get(name := f"UPTAKE_{entry.name.upper()}")
        if text is None or (text == "" and not isinstance(entry.default, str)):
            continue
        kind: type[Any] = type(entry.default)
        try:
            values[entry.name] = kind(text)
        except ValueError as error:
            raise SettingError(f"{name}={text!r} is not a valid {kind.__name__}") from error
        if kind in (int, float) and values[entry.name] <= 0 and (values[entry.name] or entry.default):
            raise SettingError(f"{name}={text!r} must be greater than zero")
    return usable(Settings(**values))


def usable(settings: Settings) -> Settings:
    """Return ``settings`` with the URL of the database telling how it is spoken to.

    Raises:
        SettingError: a value can be read and not be used.
    """
    _check(settings)
    return replace(settings, database=_secured(settings))


def _check(settings: Settings) -> None:
    """Refuse what can be read and not be used."""
    for name, known in _CHOICES.items():
        if (given := getattr(settings, name)) not in known:
            raise SettingError(f"UPTAKE_{name.upper()}={given!r} is none of {', '.join(filter(None, known))}")
    try:
        tuple(ip_network(part.strip()) for part in settings.delivery_networks.split(",") if part.strip())
    except ValueError as error:
        raise SettingError(f"UPTAKE_DELIVERY_NETWORKS={settings.delivery_networks!r}: {error}") from error
    if not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", settings.mail_from):
        raise SettingError(f"UPTAKE_MAIL_FROM={settings.mail_from!r} is no e-mail address")
    if settings.seal_key:
        try:
            read_seal_keys(settings.seal_key)
        except ValueError as error:
            raise SettingError(f"UPTAKE_SEAL_KEY {error}") from error
    if settings.share_ports == "yes" and not settings.metrics_port:
        raise SettingError("UPTAKE_SHARE_PORTS=yes needs UPTAKE_METRICS_PORT, another for each process")
    _check_ways(settings)


def _check_ways(settings: Settings) -> None:
    """Refuse ways to Kafka, PostgreSQL and a collector that lack something. An engine without an address is our own."""
    for broker in settings.kafka.split(",") if settings.kafka else ():
        found = _BROKER.fullmatch(broker.strip())
        if found is None or not 0 < int(found[1]) < 1 << 16:
            raise SettingError(f"UPTAKE_KAFKA={settings.kafka!r} is no list of host:port")
    if settings.database and _scheme(settings.database) not in ("postgresql", "postgres"):
        raise SettingError("UPTAKE_DATABASE is no address that begins with postgresql://")
    for name in ("kafka_ca", "kafka_cert", "kafka_key", "database_ca"):
        if (path := getattr(settings, name)) and not os.access(path, os.R_OK):
            raise SettingError(f"UPTAKE_{name.upper()}={path!r} is no file that can be read")
    if settings.kafka_security.startswith("sasl_") and not (settings.kafka_user and settings.kafka_password):
        raise SettingError(f"UPTAKE_KAFKA_SECURITY={settings.kafka_security} needs UPTAKE_KAFKA_USER and _PASSWORD")
    if settings.otlp_endpoint and not _traceable():
        raise SettingError("UPTAKE_OTLP_ENDPOINT needs the extra: pip install 'crm-uptake[tracing]'")


def _scheme(url: str) -> str:
    """Return what ``url`` begins with; nothing where it is no address."""
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _traceable() -> bool:
    """Tell whether what makes traces is installed."""
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _secured(settings: Settings) -> str:
    """Return the URL of the database with how it is spoken to; what the URL says by itself stands."""
    parts = urlsplit(settings.database)
    said = dict(parse_qsl(parts.query))
    wanted = {"sslmode": settings.database_tls, "sslrootcert": settings.database_ca}
    more = {name: value for name, value in wanted.items() if value and name not in said}
    return (
        urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(more))))))
        if more
        else settings.database
    )


def environment(settings: Settings) -> dict[str, str]:
    """Return ``settings`` as environment variables, for a child process."""
    return {f"UPTAKE_{entry.name.upper()}": str(getattr(settings, entry.name)) for entry in fields(Settings)}


def inherited(settings: Settings) -> dict[str, str]:
    """Return our own environment with ``settings`` in it, for a child process."""
    return {**os.environ, **environment(settings)}


def example() -> str:
    """Return the text of ``.env.example``: every setting with its sentence and default."""
    lines = ["# Every setting of Uptake with its default. Uncomment what you change.", ""]
    for entry in fields(Settings):
        lines += [f"# {entry.metadata['sentence']}", f"# UPTAKE_{entry.name.upper()}={entry.default}", ""]
    return "\n".join(lines)


def read_seal_keys(text: str) -> list[bytes]:
    """Return the keys that ``text`` spells, separated by commas.

    Raises:
        ValueError: one is no key of 32 bytes.
    """
    return [read_seal_key(part.strip()) for part in text.split(",") if part.strip()]


def read_seal_key(text: str) -> bytes:
    """Return the key that ``text`` spells in base64.

    Raises:
        ValueError: it is no key of 32 bytes.
    """
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if set(text) & {"-", "_"} else None)
    except binascii.Error as error:
        raise ValueError("is not base64") from error
    if len(key) != SEAL_KEY_BYTES:
        raise ValueError(f"has {len(key)} bytes instead of {SEAL_KEY_BYTES}")
    return key
