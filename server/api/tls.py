"""TLS of the gRPC port: certificates from PEM files, which may be replaced while the server runs."""

import ssl
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import structlog

log = structlog.get_logger()

BEING_REPLACED = "the files are being replaced"
LOOK_SECONDS = 1.0  # between two looks at the files, however many connections are made


class BadCertificates(Exception):
    """A file that cannot be used: the flag that names it, and what is wrong."""

    def __init__(self, flag: str, rule: str) -> None:
        super().__init__(f"{flag}: {rule}.")


class Certificates:
    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._looked = 0.0
        self._seen: tuple[object, ...] = ()

    @property
    def ask_clients(self) -> bool:
        """Whether clients have to show certificates of their own."""
        return self._client_ca is not None

    def check(self) -> None:
        """Raises BadCertificates."""
        self._load()

    def credentials(self) -> grpc.ServerCredentials:
        """Those of the files, as they are now and as they will be. Raises BadCertificates."""
        self._seen = self._stamps()
        replaced: Any = self._replaced  # its types do not know that it may be None, for those that there are
        return grpc.dynamic_ssl_server_credentials(
            self._load(), replaced, require_client_authentication=self.ask_clients
        )

    def _replaced(self) -> "grpc.ServerCertificateConfiguration | None":
        """At each new connection: other certificates, once the files have changed and are good."""
        with self._lock:
            if time.monotonic() < self._looked + LOOK_SECONDS:
                return None
            self._looked = time.monotonic()
            stamps = self._stamps()
            if stamps == self._seen:
                return None
            self._seen = stamps
            try:
                loaded = self._load()
            except BadCertificates as error:
                # Half-written, perhaps: when it is whole, the file has changed again.
                log.warning("certificates stay as they were", reason=str(error))
                return None
            log.info("certificates replaced")
            return loaded

    def _stamps(self) -> tuple[object, ...]:
        return tuple(_stamp(path) for path in (self._cert, self._key, self._client_ca) if path is not None)

    def _load(self) -> "grpc.ServerCertificateConfiguration":
        cert, key = _read("--tls-cert", self._cert), _read("--tls-key", self._key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._cert, self._key, password="")  # one that needs a password is refused
        except (ssl.SSLError, ValueError) as error:
            matches = getattr(error, "reason", "") != "KEY_VALUES_MISMATCH"
            rule = "must be PEM files without a password" if matches else "the key is not the certificate's"
            raise BadCertificates("--tls-cert, --tls-key", rule) from None
        except OSError:
            raise BadCertificates("--tls-cert, --tls-key", BEING_REPLACED) from None
        if (cert, key) != (_read("--tls-cert", self._cert), _read("--tls-key", self._key)):
            raise BadCertificates("--tls-cert, --tls-key", BEING_REPLACED)  # what was checked is not what was read
        client_ca = None
        if self._client_ca is not None:
            client_ca = _read("--tls-client-ca", self._client_ca)
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError:
                raise BadCertificates("--tls-client-ca", "must be a PEM file of certificates") from None
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=client_ca)


def _read(flag: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificates(flag, f"{path} cannot be read ({error.strerror})") from None


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def certificate_names(context: grpc.aio.ServicerContext[Any, Any]) -> tuple[str, ...]:
    """The names in the certificate that the caller has shown and a CA of ours has signed.

    Its alternative names; its common name only where it has none (RFC 6125, 6.4.4).
    """
    shown = context.auth_context()
    names = shown.get("x509_subject_alternative_name") or shown.get("x509_common_name") or ()
    return tuple(name.decode("utf-8", "replace") for name in names)
