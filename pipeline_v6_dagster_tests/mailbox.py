"""An SMTP server on localhost that wants a password, keeps what it is sent, and can be taken away and brought back."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from pipeline_v6_dagster_tests.receiver import SECRET


class Mailbox:
    """`received` holds each mail taken; `recipients` whom it was for."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self._controller: Controller | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        """As Apprise knows it, with the password in it."""
        return f"mailto://ops:{SECRET}@127.0.0.1:{self.port}?from=v6@desk.example&to=desk@desk.example"

    def up(self) -> None:
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=_is_known,
            auth_require_tls=False,
            decode_data=False,
        )
        self._controller.start()

    def down(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The hook that aiosmtpd calls for each mail."""
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.received.append(mail)
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.received]


def _is_known(server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: object) -> AuthResult:
    is_ours = isinstance(auth_data, LoginPassword) and auth_data.password == SECRET.encode()
    return AuthResult(success=is_ours, handled=False)


@contextmanager
def mailing() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    mailbox.up()
    try:
        yield mailbox
    finally:
        mailbox.down()
