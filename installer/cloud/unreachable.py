"""The error of a server that cannot be reached over HTTP, or does not answer as it should."""

from __future__ import annotations

from installer.errors import ErrorCode, InstallerError

CHECK_CONNECTION = "Check the Internet connection (and a proxy or firewall), then try again."


class Unreachable(InstallerError):
    """CLOUD_UNREACHABLE. `sent`: the request may have reached the server. `permanent`: another try does not help."""

    def __init__(self, what: str, todo: str = CHECK_CONNECTION, *, sent: bool, permanent: bool = False) -> None:
        super().__init__(ErrorCode.CLOUD_UNREACHABLE, what, todo)
        self.sent = sent
        self.permanent = permanent
