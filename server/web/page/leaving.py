"""Where the page sends a browser when it has done its part: to the URLs kept with the session, and nowhere else."""

import re
from datetime import datetime
from urllib.parse import urlencode

from server.domain import application
from server.domain.enums import ApplicationSessionStatus
from server.domain.personal import MARK
from server.domain.records import ApplicationSession
from server.service.fields import HTTP_URL

HOST = re.compile(r"[a-z0-9.-]+")


def is_open(session: ApplicationSession, now: datetime) -> bool:
    return application.status_at(session, now) in application.OPEN


def in_review(session: ApplicationSession) -> bool:
    return session.status is ApplicationSessionStatus.MANUAL_REVIEW


def way_out(session: ApplicationSession, now: datetime) -> str:
    """Of a session that is closed, or left: with what became of it. Empty when the URL has been erased."""
    status = application.status_at(session, now)
    complete = status is ApplicationSessionStatus.APPLICATION_COMPLETE
    return _told(session.success_url if complete else session.cancel_url, session.id, status.name)


def after_review(session: ApplicationSession) -> str:
    return _told(session.success_url, session.id, session.status.name)


def origins(session: ApplicationSession) -> list[str]:
    """Of the two URLs, as a content security policy names them: browsers hold the redirect after a form to it."""
    return sorted({_origin(url) for url in (session.success_url, session.cancel_url) if url != MARK})


def _told(url: str, session: str, status: str) -> str:
    """The URL as browsers read it, with these added to its query. Empty when it has been erased."""
    if url == MARK:
        return ""
    read, mark, fragment = str(HTTP_URL.validate_python(url)).partition("#")
    joint = "?" if "?" not in read else "" if read.endswith(("?", "&")) else "&"
    return read + joint + urlencode({"session": session, "status": status}) + mark + fragment


def _origin(url: str) -> str:
    """The scheme alone where a policy cannot name the host, as an IPv6 address."""
    read = HTTP_URL.validate_python(url)
    host = read.host or ""
    return f"{read.scheme}://{host}:{read.port}" if HOST.fullmatch(host) else f"{read.scheme}:"
