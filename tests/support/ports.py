"""A port for a server that a test starts."""

import secrets
import socket

# Below what Linux (32768) and macOS (49152) hand out to outgoing connections: a port from there
# could be taken by any client, even by one that dials that very port, while its server restarts.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    for _ in range(100):
        port = secrets.choice(_PORTS)  # `random` is seeded alike in every test worker
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1} in 100 tries")
