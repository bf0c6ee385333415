"""Links to the contractor's page (issue 6). Each opens one application session, for who has it, and nothing else."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from itsdangerous import BadData, Signer, URLSafeSerializer

from server.domain.callers import Role
from server.domain.errors import DomainError
from server.service.context import Context

LONGEST_TOKEN = 512
PATH = "/apply"


class Link(NamedTuple):
    platform: str
    contractor: str
    session: str


class NoSuchLink(DomainError):
    """The token is none that this server has signed, or what it names is gone."""

    reason = "RESOURCE_NOT_FOUND"
    message = "The link leads nowhere."


class Links:
    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        """`public_url`: where browsers reach the page. `secrets`: the first signs; links of the others count too."""
        self._page = f"{public_url}{PATH}/"
        where = urlsplit(self._page)
        self.path = where.path  # of the page, as browsers see it
        self.is_secure = where.scheme == "https"
        keys = list(reversed(secrets))  # itsdangerous signs with the last
        digest = hashlib.sha256
        self._tokens = URLSafeSerializer(keys, salt="optin.link", signer_kwargs={"digest_method": digest})
        self._forms = Signer(keys, salt="optin.form", digest_method=digest)

    def url(self, ctx: Context, contractor: str, session: str) -> str:
        """Empty for who may not apply in the contractor's place."""
        if Role.PLATFORM not in ctx.caller.roles:
            return ""
        return self._page + str(self._tokens.dumps(Link(ctx.platform, contractor, session)))

    def opened(self, token: str) -> Link:
        """Raises NoSuchLink."""
        try:
            return Link(*self._tokens.loads(token[: LONGEST_TOKEN + 1]))
        except BadData:
            raise NoSuchLink from None

    def mark(self, browser: str, session: str) -> str:
        """Shows that a form was made for this browser and session: others' pages cannot make one."""
        return self._forms.get_signature(f"{browser}.{session}").decode()

    def is_marked(self, mark: str, browser: str, session: str) -> bool:
        return bool(browser) and self._forms.verify_signature(f"{browser}.{session}".encode(), mark.encode())
