"""A child process that does not outlive its parent, and a port it may listen on.

The kernel sends the child a signal when the thread that started it ends (Linux), so a killed parent leaves no orphan.
Start children from a thread that lasts: the main one.
"""

import contextlib
import ctypes
import errno
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final

PR_SET_PDEATHSIG: Final = 1
PORTS: Final = range(15_000, 32_000)
"""Below the range from which systems lend ports to outgoing connections: nobody takes ours while we restart."""

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """Return what a child calls before it becomes its program, so that the parent's end sends it ``number``."""
    parent = os.getpid()

    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def start(
    command: Sequence[object],
    *,
    env: Mapping[str, str],
    output: IO[bytes] | int,
    at_parents_end: signal.Signals,
    user: pwd.struct_passwd | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command`` as ``user`` (default: ours) in a session of its own, so that Ctrl-C reaches only us."""
    return subprocess.Popen(  # noqa: S603 - a command of ours
        [str(part) for part in command],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=None if user is None else "/",  # another user may not be allowed where we stand
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
        start_new_session=True,
        preexec_fn=die_with_parent(at_parents_end),  # noqa: PLW1509 - one thread, and no lock is taken in it
    )


def end(process: subprocess.Popen[bytes], number: signal.Signals, *, seconds: float) -> int:
    """Send ``number`` and wait; after ``seconds`` kill. Returns the exit status."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def listening(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether somebody accepts connections on ``port``."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def free_port(host: str = "127.0.0.1", run: int = 1) -> int:
    """Return a port on which nobody listens, the first of ``run`` such.

    They stay bound as long as this process lives, so that whoever looks for one meanwhile finds others. Servers may
    listen on them all the same: theirs and ours may share an address (``SO_REUSEADDR``).

    Raises:
        OSError: none was found.
    """
    for _ in range(200):
        first = secrets.choice(PORTS)
        with contextlib.ExitStack() as doors:
            try:
                kept = [doors.enter_context(_bound(host, port)) for port in range(first, first + run)]
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
                continue
            for door in kept:
                door.detach()
            return first
    raise OSError(errno.EADDRINUSE, "no free port")


def _bound(host: str, port: int) -> socket.socket:
    """Bind a port that nobody has bound, and let others do so from now on."""
    door = socket.socket()
    try:
        door.bind((host, port))
    except OSError:
        door.close()
        raise
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return door
