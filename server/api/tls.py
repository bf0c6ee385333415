"""TLS of both ports: certificates from PEM files, which may be replaced while the server runs."""

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc
import structlog

log = structlog.get_logger()

T = TypeVar("T")

BEING_REPLACED = "the files are being replaced"
LOOK_SECONDS = 1.0  # between two looks at the files, however many connections are made


class BadCertificates(Exception):
    """A file that cannot be used: the flag that names it, and what is wrong."""

    def __init__(self, flag: str, rule: str) -> None:
        super().__init__(f"{flag}: {rule}.")


class Certificates:
    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca

    @property
    def ask_clients(self) -> bool:
        """Whether clients have to show certificates of their own, over gRPC."""
        return self._client_ca is not None

    def check(self) -> None:
        """Raises BadCertificates."""
        self._for_grpc()

    def credentials(self) -> grpc.ServerCredentials:
        """Those of the files, as they are now and as they will be. Raises BadCertificates."""
        watch = self._watch()
        replaced: Any = lambda: self._anew(watch, self._for_grpc)  # noqa: E731 - its types do not know of None
        return grpc.dynamic_ssl_server_credentials(
            self._for_grpc(), replaced, require_client_authentication=self.ask_clients
        )

    def context(self) -> ssl.SSLContext:
        """For HTTP: as `credentials`, and no client is asked for a certificate. Raises BadCertificates."""
        watch = self._watch()
        first = newest = self._for_http()

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            nonlocal newest
            newest = self._anew(watch, self._for_http) or newest
            connection.context = newest

        first.sni_callback = choose  # called at each new connection, whether it names a server or not
        return first

    def _watch(self) -> "_Watch":
        return _Watch([path for path in (self._cert, self._key, self._client_ca) if path is not None])

    def _anew(self, watch: "_Watch", load: Callable[[], T]) -> T | None:
        """At a new connection: other certificates, once the files have changed and are good."""
        if not watch.has_news():
            return None
        try:
            loaded = load()
        except BadCertificates as error:
            # Half-written, perhaps: when it is whole, the file has changed again.
            log.warning("certificates stay as they were", reason=str(error))
            return None
        log.info("certificates replaced")
        return loaded

    def _for_http(self) -> ssl.SSLContext:
        return self._read_pair()[0]

    def _for_grpc(self) -> "grpc.ServerCertificateConfiguration":
        context, key, cert = self._read_pair()
        client_ca = None
        if self._client_ca is not None:
            client_ca = _read("--tls-client-ca", self._client_ca)
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError:
                raise BadCertificates("--tls-client-ca", "must be a PEM file of certificates") from None
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=client_ca)

    def _read_pair(self) -> tuple[ssl.SSLContext, bytes, bytes]:
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
        return context, key, cert


class _Watch:
    """Looks at files, at most once a second."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._looked = 0.0
        self._seen = self._stamps()

    def has_news(self) -> bool:
        """Whether they have changed since the last look."""
        with self._lock:
            if time.monotonic() < self._looked + LOOK_SECONDS:
                return False
            self._looked = time.monotonic()
            before, self._seen = self._seen, self._stamps()
            return self._seen != before

    def _stamps(self) -> Sequence[object]:
        return [_stamp(path) for path in self._paths]


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
