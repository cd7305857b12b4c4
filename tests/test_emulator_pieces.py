"""Messages that come to the embedded Outlook in pieces: BDAT, RFC 3030."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator, Reply
from tests.emulator_clients import ADA, BOB, mail_from, submitting

if TYPE_CHECKING:
    import smtplib
    from collections.abc import Iterator


@pytest.fixture
def outlook() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        emulator.add_user(BOB)
        yield emulator


def test_a_message_comes_in_pieces_whatever_they_hold(outlook: OutlookEmulator) -> None:
    raw = mail_from(ADA) + b".\r\n.\r\nQUIT\n\0\xff no end of line"
    with submitting(outlook) as client:
        assert client.has_extn("chunking")
        for _ in range(2):
            client.mail(ADA, ["BODY=BINARYMIME"])
            client.rcpt(BOB)
            assert piece(client, raw[:30])[0] == 250
            assert piece(client, b"")[0] == 250
            code, text = piece(client, raw[30:], last=True)
            assert (code, text[:10]) == (250, b"2.0.0 OK <")
    assert [message.raw for message in outlook.sent] == [raw, raw]


def test_pieces_are_refused_out_of_turn_and_do_not_become_commands(
    outlook: OutlookEmulator,
) -> None:
    with submitting(outlook) as client:
        assert piece(client, b"RSET\r\n", last=True)[0] == 503
        assert client.docmd("BDAT", "x")[0] == 501
        client.mail(ADA)
        client.rcpt(BOB)
        assert piece(client, b"From: ada@example.com\r\n")[0] == 250
        assert client.docmd("DATA")[0] == 503
        assert client.rset()[0] == 250
        assert piece(client, b"\r\nRSET\r\n", last=True)[0] == 503
        client.mail(ADA, ["BODY=BINARYMIME"])
        client.rcpt(BOB)
        assert client.docmd("DATA")[0] == 503
    assert outlook.sent == []


def test_what_follows_a_refused_piece_is_not_taken_for_the_whole(outlook: OutlookEmulator) -> None:
    outlook.on("smtp", "BDAT", Reply("451 4.7.0 Temporary server error."))
    with submitting(outlook) as client:
        client.mail(ADA)
        client.rcpt(BOB)
        assert piece(client, mail_from(ADA))[0] == 451
        assert piece(client, b"The end.\r\n", last=True)[0] == 503
    assert outlook.sent == []


def piece(client: smtplib.SMTP, octets: bytes, *, last: bool = False) -> tuple[int, bytes]:
    client.send(b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets)
    return client.getreply()
