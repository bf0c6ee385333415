"""A certificate authority, and what servers and clients have of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import trustme

SERVER = "localhost"


@dataclass
class Pki:
    """A certificate authority, and files of a server's certificate."""

    folder: Path
    ca: trustme.CA

    def write(self, ca: trustme.CA | None = None) -> None:
        made = (ca or self.ca).issue_cert(SERVER)
        (self.folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        (self.folder / "key.pem").write_bytes(made.private_key_pem.bytes())
        (self.folder / "ca.pem").write_bytes(self.ca.cert_pem.bytes())

    def settings(self, *, mutual: bool = False) -> Mapping[str, Any]:
        files = {"tls_cert": self.folder / "cert.pem", "tls_key": self.folder / "key.pem"}
        return files | ({"tls_client_ca": self.folder / "ca.pem"} if mutual else {})

    def client(self, name: str = "", ca: trustme.CA | None = None) -> grpc.ChannelCredentials:
        """What a client trusts, and what it shows."""
        root = (ca or self.ca).cert_pem.bytes()
        if not name:
            return grpc.ssl_channel_credentials(root)
        own = self.ca.issue_cert(name)
        chain = b"".join(part.bytes() for part in own.cert_chain_pems)
        return grpc.ssl_channel_credentials(root, own.private_key_pem.bytes(), chain)
