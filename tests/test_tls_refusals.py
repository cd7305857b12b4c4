"""No token is sent to a server that is not proven, over a line that is not encrypted, or into noise.

The control shows that the same set-up does send the token to a good server.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mailoauth import Account, AsyncMailSession, MailSession, Provider, StaticToken
from mailoauth.emulator.certificates import Certificates
from mailoauth.errors import ConnectionFailed, ConnectionTimedOut
from tests.hostile import COMBINATIONS, hostile_server
from tests.hostile_scripts import SCRIPTS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from mailoauth.accounts import Tls
    from tests.hostile import HostileProtocol, HostileServer, Trouble
    from tests.hostile_scripts import Line
    from tests.judges import Colour

# As long as Microsoft's: it goes to SMTP in a step of its own.
TOKEN = "a-token-that-must-not-be-seen." + "x" * 1500

pytestmark = pytest.mark.timeout(30)


class Refusal(NamedTuple):
    """What the error must be and say: of the cause, and of what to do."""

    kind: type[ConnectionFailed]
    cause: str
    remedy: str


TROUBLES: dict[Trouble, Refusal] = {
    "self_signed": Refusal(ConnectionFailed, "certificate .*: self-signed certificate", "ca_file"),
    "unknown_root": Refusal(
        ConnectionFailed, "certificate .*: unable to get local issuer", "ca_file"
    ),
    "expired": Refusal(ConnectionFailed, "certificate has expired", "clock"),
    "wrong_name": Refusal(ConnectionFailed, "not valid for 'localhost'\\. U", "Use the host name"),
    "old_tls": Refusal(
        ConnectionFailed, "only versions before TLS 1.2", "owner must enable TLS 1.2"
    ),
    "starttls_missing": Refusal(
        ConnectionFailed, "does not (offer STARTTLS|start TLS)", "Nothing was sent in clear text"
    ),
    "starttls_refused": Refusal(
        ConnectionFailed, 'does not start TLS: ".*not today"', "Nothing was sent in clear text"
    ),
    "starttls_injected": Refusal(
        ConnectionFailed, "sent more in clear text after agreeing", "tampering"
    ),
    "preauth": Refusal(ConnectionFailed, "did not offer a sign-in .*PREAUTH", "Nothing was sent"),
    "silent": Refusal(ConnectionTimedOut, "did not answer", "later"),
    "garbage": Refusal(
        ConnectionFailed,
        "something that is not (IMAP|SMTP)|would you like to eat",
        "[Cc]heck .*port",
    ),
    "endless_line": Refusal(
        ConnectionFailed, "something that is not (IMAP|SMTP)", "Check host and port"
    ),
    "cut_after_greeting": Refusal(ConnectionFailed, "(ended|closed) the connection", "Try again"),
}


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


def account_at(server: HostileServer, certificates: Certificates) -> Account:
    provider = Provider(
        name="hostile",
        oauth="microsoft",
        authority="https://localhost/common",
        scopes=("mail",),
        imap=server.endpoint,
        smtp=server.endpoint,
        ca_file=certificates.ca_file,
        client_id="a-client",
    )
    return Account(user="ada@example.com", provider=provider)


def use(
    colour: Colour, server: HostileServer, certificates: Certificates, runner: asyncio.Runner
) -> None:
    """Read or send, with a time-out that tests wait out."""
    account = account_at(server, certificates)
    options: dict[str, Any] = {"tokens": StaticToken(TOKEN), "timeout": 1.0}
    if colour == "async":
        runner.run(_use_async(AsyncMailSession(account, **options), server.protocol))
        return
    with MailSession(account, **options) as mail:
        if server.protocol == "imap":
            assert list(mail.unseen()) == []
        else:
            mail.send(to="bob@example.com", subject="subject", text="text")


async def _use_async(session: AsyncMailSession, protocol: HostileProtocol) -> None:
    async with session as mail:
        if protocol == "imap":
            assert [message async for message in mail.unseen()] == []
        else:
            await mail.send(to="bob@example.com", subject="subject", text="text")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    import asyncio

    with asyncio.Runner() as made:
        yield made


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_a_good_server_is_sent_the_token(
    certificates: Certificates,
    protocol: HostileProtocol,
    tls: Tls,
    colour: Colour,
    runner: asyncio.Runner,
) -> None:
    with hostile_server(protocol, "none", certificates, tls=tls) as server:
        use(colour, server, certificates, runner)
        assert server.saw(TOKEN)
        assert server.handshakes == 1


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize(("protocol", "trouble", "tls"), COMBINATIONS)
def test_no_token_is_sent_to_a_hostile_server(
    certificates: Certificates,
    protocol: HostileProtocol,
    trouble: Trouble,
    tls: Tls,
    colour: Colour,
    runner: asyncio.Runner,
) -> None:
    expected = TROUBLES[trouble]
    with hostile_server(protocol, trouble, certificates, tls=tls) as server:
        with pytest.raises(ConnectionFailed, match=expected.cause) as caught:
            use(colour, server, certificates, runner)
        assert type(caught.value) is expected.kind or trouble == "cut_after_greeting"
        assert f"localhost:{server.port}" in caught.value.message
        assert ".." not in str(caught.value)
        assert str(caught.value).isprintable()
        with pytest.raises(ConnectionFailed, match=expected.remedy):
            raise type(caught.value)(caught.value.remedy)
        assert caught.value.account == "ada@example.com"
        assert server.connections == 1
        assert not server.saw(TOKEN)
        assert not server.saw(TOKEN[:30])


def test_every_trouble_has_its_refusal() -> None:
    assert set(TROUBLES) == {trouble for _, trouble, _ in COMBINATIONS}


class Altered:
    """A server's line on which the answer to STARTTLS is another."""

    def __init__(self, line: Line, answer: Callable[[Line, bytes], None]) -> None:
        self._line = line
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def send(self, data: bytes) -> None:
        if data.endswith((b"220 go ahead\r\n", b" OK begin\r\n")):
            self._answer(self._line, data)
        else:
            self._line.send(data)


@pytest.fixture
def alter(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Line, bytes], None]], None]:
    """Let both good servers answer STARTTLS in another way."""

    def install(answer: Callable[[Line, bytes], None]) -> None:
        for protocol, script in list(SCRIPTS.items()):

            def play(line: Line, trouble: str, script: Any = script) -> None:
                script(Altered(line, answer), trouble)

            monkeypatch.setitem(SCRIPTS, protocol, play)

    return install


def in_several_lines(line: Line, answer: bytes) -> None:
    """RFC 5321 section 4.2.1 allows it for every reply."""
    assert answer.startswith(b"220 ")
    line.send(b"220-go ahead\r\n220-with TLS\r\n" + answer)


def in_single_bytes(line: Line, answer: bytes) -> None:
    for position in range(len(answer)):
        line.send(answer[position : position + 1])


def with_untagged_lines(line: Line, answer: bytes) -> None:
    line.send(b"* OK one moment\r\n" + answer)


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize(
    ("protocol", "answer"),
    [
        ("smtp", in_several_lines),
        ("smtp", in_single_bytes),
        ("imap", in_single_bytes),
        ("imap", with_untagged_lines),
    ],
)
def test_an_honest_answer_to_starttls_may_be_long_or_slow(
    certificates: Certificates,
    protocol: HostileProtocol,
    answer: Callable[[Line, bytes], None],
    colour: Colour,
    alter: Any,
    runner: asyncio.Runner,
) -> None:
    alter(answer)
    with hostile_server(protocol, "none", certificates, tls="starttls") as server:
        use(colour, server, certificates, runner)
        assert server.saw(TOKEN)


def injected(protocol: HostileProtocol) -> bytes:
    if protocol == "smtp":
        return b"250-localhost\r\n250 AUTH XOAUTH2\r\n"
    return b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2\r\n"


def at_once(line: Line, answer: bytes) -> None:
    line.send(answer + injected("smtp" if answer.startswith(b"220") else "imap"))


def without_an_end(line: Line, answer: bytes) -> None:
    line.send(answer + b"250-AUTH")


def in_a_line_more_of_the_reply(line: Line, answer: bytes) -> None:
    line.send(answer + b"220 and more\r\n")


def in_the_next_segment(line: Line, answer: bytes) -> None:
    line.send(answer)
    line.send(injected("smtp" if answer.startswith(b"220") else "imap"))


def when_the_client_has_begun_tls(line: Line, answer: bytes) -> None:
    line.send(answer)
    raw: socket.socket = line._socket
    assert raw.recv(1, socket.MSG_PEEK) == b"\x16"  # TLS's type of a handshake record
    line.send(injected("smtp" if answer.startswith(b"220") else "imap"))


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
@pytest.mark.parametrize(
    "answer",
    [
        at_once,
        without_an_end,
        in_a_line_more_of_the_reply,
        in_the_next_segment,
        when_the_client_has_begun_tls,
    ],
)
def test_clear_text_behind_the_answer_to_starttls_is_never_believed(
    certificates: Certificates,
    protocol: HostileProtocol,
    answer: Callable[[Line, bytes], None],
    colour: Colour,
    alter: Any,
    runner: asyncio.Runner,
) -> None:
    alter(answer)
    with hostile_server(protocol, "none", certificates, tls="starttls") as server:
        with pytest.raises(ConnectionFailed, match=r"more in clear text|No TLS with"):
            use(colour, server, certificates, runner)
        assert not server.saw(TOKEN)
