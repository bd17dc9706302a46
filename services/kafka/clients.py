"""What every aiokafka client of ours does alike: finding the way there, reading what has arrived, and leaving."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable
from typing import Any, Final

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from services.kafka.errors import LogUnavailableError, NoSuchBrokerError, OutOfRangeError, unavailable
from services.settings import Cluster
from services.waiting import is_nameless

log = logging.getLogger(__name__)
logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # without logs there is one line: what we say of it

_PROBE_MS: Final = 5000


def way(cluster: str | Cluster) -> dict[str, Any]:
    """Return what a client of aiokafka needs to reach ``cluster`` (a text: its bootstrap servers, unsecured).

    The certificate of a broker must be of a known authority and for the name it is reached by.

    Raises:
        LogUnavailableError: a certificate or key cannot be used.
    """
    if isinstance(cluster, str):
        return {"bootstrap_servers": cluster}
    found: dict[str, Any] = {
        "bootstrap_servers": cluster.bootstrap,
        "security_protocol": cluster.security.upper(),
    }
    if cluster.security.endswith("ssl"):
        try:
            context = found["ssl_context"] = ssl.create_default_context(cafile=cluster.ca or None)
            if cluster.cert:
                context.load_cert_chain(cluster.cert, cluster.key or None)
        except OSError as error:
            raise LogUnavailableError(f"the certificates for Kafka cannot be used: {error}") from error
    if cluster.security.startswith("sasl_"):
        found["sasl_mechanism"] = cluster.mechanism
        found["sasl_plain_username"] = cluster.user
        found["sasl_plain_password"] = cluster.password
    return found


async def look_up(cluster: str | Cluster) -> None:
    """Ask for the addresses of the brokers.

    Raises:
        NoSuchBrokerError: nobody knows one of any.
    """
    unknown = []
    brokers = cluster if isinstance(cluster, str) else cluster.bootstrap
    for host, port, _ in collect_hosts(brokers, randomize=False):
        try:
            await asyncio.get_running_loop().getaddrinfo(host, port)
        except socket.gaierror as error:
            if not is_nameless(error):
                return
            unknown.append(f"{host}:{port}: {error.strerror}")
        else:
            return
    raise NoSuchBrokerError("; ".join(unknown))


async def refused(cluster: str | Cluster, error: BaseException) -> LogUnavailableError:
    """Return why no broker let a client in, as ours: aiokafka says only that none did, and logs the reason."""
    try:
        await look_up(cluster)
    except NoSuchBrokerError as unknown:
        return unknown
    terms = way(cluster)
    if terms.get("security_protocol", "PLAINTEXT") == "PLAINTEXT":
        silent = isinstance(error, KafkaConnectionError)
        return LogUnavailableError(f"no answer at {terms['bootstrap_servers']}") if silent else unavailable(error)
    reasons = []
    for host, port, _ in collect_hosts(terms.pop("bootstrap_servers")):
        try:
            link = await create_conn(host, port, request_timeout_ms=_PROBE_MS, **terms)
        except (KafkaError, OSError, TimeoutError) as reason:
            words = getattr(reason, "verify_message", "") or str(reason) or type(reason).__name__
            reasons.append(f"{host}:{port}: {words}")
        else:
            with contextlib.suppress(KafkaError, OSError):
                link.close()
    return LogUnavailableError("; ".join(reasons)) if reasons else unavailable(error)


async def taken(consumer: Any, *, wait_ms: int, max_records: int) -> dict[int, list[Any]]:  # noqa: ANN401 - untyped
    """Return what has arrived, by partition, waiting up to ``wait_ms`` for a first record.

    Raises:
        OutOfRangeError: a position lies outside its log.
        LogUnavailableError: the broker or the group is away.
    """
    try:
        found = await consumer.getmany(timeout_ms=wait_ms, max_records=max_records)
    except OffsetOutOfRangeError as error:
        raise OutOfRangeError([tp.partition for tp in error.args[0]]) from error
    except NoOffsetForPartitionError:
        return {}  # a partition that nobody has sought yet
    except (KafkaError, OSError) as error:
        raise unavailable(error) from error
    return {tp.partition: records for tp, records in found.items()}


async def leave(stopping: Awaitable[None], *, seconds: float) -> None:
    """Wait for a client to stop, at most so long; what it says of its end is left behind."""
    try:
        await asyncio.wait_for(stopping, seconds)
    except asyncio.CancelledError:  # aiokafka lets the end of its own tasks escape when the broker is long away
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
    except Exception as error:  # noqa: BLE001 - whatever it says
        log.debug("a client did not stop well: %s", type(error).__name__)
