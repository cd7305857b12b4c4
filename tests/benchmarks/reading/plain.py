"""The smallest letters: for what is written, and for big mailboxes."""

from __future__ import annotations


def plain(number: int) -> bytes:
    """Return a letter of half a kilobyte as it goes over the wire."""
    return (
        f"From: Bob <bob{number % 97}@example.org>\r\n"
        "To: Ada <ada@example.com>\r\n"
        f"Subject: Note {number}\r\n"
        f"Date: Mon, 5 Jan 2026 {number // 60 % 24:02}:{number % 60:02}:00 +0000\r\n"
        f"Message-ID: <note.{number}@example.org>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n" + f"Line of note {number}, which says nothing.\r\n" * 6
    ).encode("ascii")
