"""The embedded Outlook's IMAP, driven by the standard library alone."""

from __future__ import annotations

import base64
import imaplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.emulator_clients import (
    ADA,
    BOB,
    MAIL,
    TEAM,
    Wire,
    imap,
    once,
    opened,
    token,
    wire_opened,
    xoauth2,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def outlook() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        yield emulator


class TestOutlookImap:
    def test_the_greeting_and_the_capabilities_are_exchange_s(
        self, outlook: OutlookEmulator
    ) -> None:
        with imap(outlook) as client:
            assert client.welcome.startswith(
                b"* OK The Microsoft Exchange IMAP4 service is ready. ["
            )
            assert {"AUTH=XOAUTH2", "LOGINDISABLED", "SASL-IR"} <= set(client.capabilities)
            assert "AUTH=OAUTHBEARER" not in client.capabilities
            client.authenticate("XOAUTH2", once(xoauth2(ADA, token(outlook))))
            _, [capabilities] = client.capability()
            assert b"CLIENTACCESSRULES" in capabilities
            assert b"LOGINDISABLED" not in capabilities

    def test_a_token_opens_the_mailbox_of_its_user(self, outlook: OutlookEmulator) -> None:
        outlook.deliver(ADA, MAIL)
        with opened(outlook) as client:
            assert client.select() == ("OK", [b"1"])
            _, [(_, raw), _] = client.uid("FETCH", "1", "(BODY.PEEK[])")
            assert raw == MAIL
        assert outlook.connections[0].signed_in_as == ADA
        assert outlook.connections[0].commands[-3:] == ["SELECT", "UID FETCH", "LOGOUT"]

    def test_the_initial_response_may_ride_on_the_command(self, outlook: OutlookEmulator) -> None:
        with Wire(outlook) as wire:
            payload = base64.b64encode(xoauth2(ADA, token(outlook)))
            answer = wire.ask(b"A1 AUTHENTICATE XOAUTH2 " + payload)
            assert answer == [b"A1 OK AUTHENTICATE completed."]

    @pytest.mark.parametrize("user", [ADA, "nobody@example.com"])
    def test_a_bad_token_is_refused_without_a_challenge(
        self, outlook: OutlookEmulator, user: str
    ) -> None:
        with Wire(outlook) as wire:
            payload = base64.b64encode(xoauth2(user, "nonsense"))
            assert wire.ask(b"A1 AUTHENTICATE XOAUTH2 " + payload) == [
                b"A1 NO AUTHENTICATE failed."
            ]
            assert wire.ask(b"A2 SELECT INBOX") == [b"A2 BAD Command received in Invalid state."]

    def test_what_is_no_payload_is_refused(self, outlook: OutlookEmulator) -> None:
        with Wire(outlook) as wire:
            for payload in (b"*", b"!!!", base64.b64encode(b"user=ada\x01auth=Basic x\x01\x01")):
                assert wire.ask(b"A1 AUTHENTICATE XOAUTH2 " + payload) == [
                    b"A1 NO AUTHENTICATE failed."
                ]

    def test_a_password_is_refused(self, outlook: OutlookEmulator) -> None:
        with imap(outlook) as client, pytest.raises(imaplib.IMAP4.error, match="LOGIN failed"):
            client.login(ADA, "secret")

    def test_the_upn_names_the_same_mailbox(self, outlook: OutlookEmulator) -> None:
        outlook.add_user(BOB, upn="bob@contoso.example.com")
        access_token = token(outlook, BOB)
        for name in (BOB, "bob@contoso.example.com", "BOB@example.com"):
            with opened(outlook, name, access_token):
                assert outlook.connections[-1].signed_in_as == BOB

    def test_another_s_mailbox_opens_only_when_it_is_shared(self, outlook: OutlookEmulator) -> None:
        outlook.add_user(TEAM)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATE failed"):
            opened(outlook, TEAM, token(outlook, ADA))
        outlook.share(TEAM, ADA)
        with opened(outlook, TEAM, token(outlook, ADA)):
            assert outlook.connections[-1].signed_in_as == TEAM

    def test_the_folders_have_their_special_use(self, outlook: OutlookEmulator) -> None:
        with opened(outlook) as client:
            _, listed = client.list()
            assert rb'(\HasNoChildren \Sent) "/" "Sent Items"' in listed
            assert rb'(\HasNoChildren \Trash) "/" "Deleted Items"' in listed
            assert client.namespace() == ("OK", [b'(("" "/")) NIL NIL'])

    def test_select_describes_the_folder(self, outlook: OutlookEmulator) -> None:
        outlook.deliver(ADA, MAIL)
        with wire_opened(outlook) as wire:
            lines = wire.ask(b"A2 SELECT INBOX")
        flags = rb"(\Answered \Deleted \Draft \Flagged \Seen $MDNSent)"
        assert lines[:3] == [b"* 1 EXISTS", b"* 0 RECENT", b"* FLAGS " + flags]
        assert b"* OK [PERMANENTFLAGS " + flags + b"] Permanent flags" in lines
        assert any(line.startswith(b"* OK [UIDVALIDITY ") for line in lines)
        assert any(line.startswith(b"* OK [UIDNEXT 2]") for line in lines)
        assert lines[-1] == b"A2 OK [READ-WRITE] SELECT completed."

    def test_a_missing_folder_is_refused(self, outlook: OutlookEmulator) -> None:
        with opened(outlook) as client:
            assert client.select("Nowhere")[0] == "NO"

    def test_flags_stay_and_keywords_do_not(self, outlook: OutlookEmulator) -> None:
        outlook.deliver(ADA, MAIL)
        with opened(outlook) as client:
            client.select()
            client.uid("STORE", "1", "+FLAGS", r"(\Seen \Flagged Urgent)")
        assert outlook.messages(ADA)[0].flags == {"\\Seen", "\\Flagged"}

    def test_a_message_moves(self, outlook: OutlookEmulator) -> None:
        uid = outlook.deliver(ADA, MAIL)
        with wire_opened(outlook) as wire:
            wire.ask(b"A2 SELECT INBOX")
            lines = wire.ask(b"A3 UID MOVE %d Archive" % uid)
            assert any(b"COPYUID" in line for line in lines)
        assert outlook.messages(ADA) == []
        assert [message.raw for message in outlook.messages(ADA, "Archive")] == [MAIL]

    def test_a_message_is_appended_and_expunged(self, outlook: OutlookEmulator) -> None:
        with opened(outlook) as client:
            client.append("Drafts", r"(\Draft)", "", MAIL)
            assert [stored.raw for stored in outlook.messages(ADA, "Drafts")] == [MAIL]
            client.select("Drafts")
            client.uid("STORE", "1", "+FLAGS", r"(\Deleted)")
            client.uid("EXPUNGE", "1")
        assert outlook.messages(ADA, "Drafts") == []

    def test_a_folder_is_made_renamed_and_removed(self, outlook: OutlookEmulator) -> None:
        with opened(outlook) as client:
            assert client.create("Projects/2026")[0] == "OK"
            assert client.rename("Projects", "Done")[0] == "OK"
            outlook.deliver(ADA, MAIL, "Done/2026")
            assert len(outlook.messages(ADA, "Done/2026")) == 1
            assert client.delete("Done/2026")[0] == "OK"
        with pytest.raises(KeyError):
            outlook.messages(ADA, "Done/2026")

    def test_search_knows_no_character_set_but_ascii(self, outlook: OutlookEmulator) -> None:
        outlook.deliver(ADA, MAIL)
        with wire_opened(outlook) as wire:
            wire.ask(b"A2 SELECT INBOX")
            assert wire.ask(b"A3 UID SEARCH UNSEEN SUBJECT hello")[0] == b"* SEARCH 1"
            assert wire.ask(b"A4 SEARCH CHARSET UTF-8 ALL")[-1].startswith(
                b"A4 NO [BADCHARSET (US-ASCII)]"
            )

    def test_unselect_leaves_deleted_messages(self, outlook: OutlookEmulator) -> None:
        outlook.deliver(ADA, MAIL)
        with opened(outlook) as client:
            client.select()
            client.store("1", "+FLAGS", r"(\Deleted)")
            client.unselect()
        assert len(outlook.messages(ADA)) == 1

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"no header at all",
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\nno boundary",
            b'Content-Type: text/plain; charset="\xff"\r\nMessage-ID: <\xff\r\n\r\n\x00\xff\r\n',
        ],
    )
    def test_broken_mail_comes_back_as_it_was(self, outlook: OutlookEmulator, raw: bytes) -> None:
        outlook.deliver(ADA, raw)
        with opened(outlook) as client:
            client.select()
            _, [(_, fetched), _] = client.uid("FETCH", "1", "(BODY.PEEK[])")
        assert fetched == raw

    def test_an_email_message_is_delivered_with_crlf(self, outlook: OutlookEmulator) -> None:
        message = EmailMessage()
        message["Subject"] = "Grüße"
        message.set_content("Bis bald\n")
        outlook.deliver(ADA, message)
        raw = outlook.messages(ADA)[0].raw
        assert b"\r\n\r\n" in raw
        assert b"\n" not in raw.replace(b"\r\n", b"")


class TestOutlookIdle:
    def test_new_mail_is_told(self, outlook: OutlookEmulator) -> None:
        with wire_opened(outlook) as wire:
            wire.ask(b"A2 SELECT INBOX")
            wire.say(b"A3 IDLE")
            assert wire.line() == b"+ IDLE accepted, awaiting DONE command."
            for count in (1, 2):
                outlook.deliver(ADA, MAIL)
                assert wire.line() == b"* %d EXISTS" % count
            wire.say(b"DONE")
            assert wire.line() == b"A3 OK IDLE completed."

    def test_mail_that_came_before_idle_is_told_in_it(self, outlook: OutlookEmulator) -> None:
        with wire_opened(outlook) as wire:
            wire.ask(b"A2 SELECT INBOX")
            outlook.deliver(ADA, MAIL)
            wire.say(b"A3 IDLE")
            assert wire.line() == b"+ IDLE accepted, awaiting DONE command."
            assert wire.line() == b"* 1 EXISTS"

    def test_a_session_in_idle_ends_with_its_token(self, outlook: OutlookEmulator) -> None:
        with wire_opened(outlook) as wire:
            wire.ask(b"A2 SELECT INBOX")
            wire.say(b"A3 IDLE")
            wire.line()
            outlook.expire_tokens()
            assert wire.line() == b"* BYE Session invalidated - AccessTokenExpired"
            assert wire.line() == b""
