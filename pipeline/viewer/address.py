"""Where the server listens, and who may connect."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

from pipeline.io.errors import InputError


def free_port(host: str, port: int) -> int:
    """A port that is free, the same where it is. Raises InputError where the host is unknown or not of this machine, or the port is in use."""
    remedy = f"use another one: --port {8081 if port == 8080 else 8080}"
    if not 0 <= port <= 65535:
        raise InputError("no such port", found=port, expected="1 to 65535, or 0 for any that is free", remedy=remedy)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            expected = "an address of this machine, such as 127.0.0.1 (only this machine) or 0.0.0.0 (every network)"
            raise InputError(f"no such host: {host}", found=error.strerror, expected=expected, remedy="correct --host, or leave it out") from None
        raise InputError(f"cannot listen on port {port} of {host}", found=error.strerror, expected="a port that is free", remedy=remedy) from None
    except UnicodeError as error:  # a name that is empty between two dots, or too long
        raise InputError(f"no such host: {host}", found=error, expected="an address of this machine", remedy="correct --host, or leave it out") from None


def is_own_page(origin: str | None, host: str, listening: str) -> bool:
    """Whether a page was loaded from this server: a page of another site, open in the same browser, may try to connect as well.

    Args:
        origin, host: headers of the request; the origin is missing where no browser asks. listening: the address that the server listens on.
    """
    if origin is not None and urlsplit(origin).netloc != host:
        return False
    return not _is_local(listening) or _is_local(urlsplit(f"//{host}").hostname or "")  # a name that somebody lets point to this machine is another site


def _is_local(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
