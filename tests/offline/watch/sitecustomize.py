"""Put first on PYTHONPATH: every Python process notes attempts to reach or look up anything but this machine.

The notes say who it was; the proof itself is the kernel's count, which no process can pass by.
"""

import os
import sys

_LOCAL = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::", ""}


def _hear(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path is a Unix socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host is None or host in _LOCAL or host.startswith("127."):
        return
    line = f"{event} {host} by {os.getpid()} {' '.join(sys.argv)[:200]}\n"
    note = os.open(os.environ["OFFLINE_NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(note, line.encode())
    os.close(note)


if os.environ.get("OFFLINE_NOTES"):
    sys.addaudithook(_hear)
