"""`mailoauth send-many`: lists and templates, good and broken."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth.cli.merged_addresses import addresses, marked
from mailoauth.emulator import OutlookEmulator
from mailoauth.mail.addresses import Address
from tests.cli_world import ADA, World, environment_of, run_process
from tests.merging_world import sent, smtp_connections, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def test_each_row_gets_its_message(world: World, tmp_path: Path) -> None:
    done = world.run("send-many", ADA, "list.csv", "template.txt")
    assert (done.code, done.out, done.err) == (0, "3 of 3 messages sent.\n", "")
    messages = sent(world)
    assert sorted(messages) == ["bob@example.org", "cy@example.org", "di@example.org"]
    assert messages["cy@example.org"].subject == "Invoice 18"
    assert messages["cy@example.org"].text.strip() == "Dear Cy,\nyour invoice is 18."
    assert messages["cy@example.org"].to == (Address("Cy", "cy@example.org"),)


def test_html_is_escaped_and_files_lie_beside_the_template(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    folder.mkdir()
    (folder / "17.pdf").write_bytes(b"%PDF 17")
    (folder / "logo.png").write_bytes(b"\x89PNG")
    (folder / "t.txt").write_text(
        "To: {{ row['E-mail'] }}\nSubject: R&D <{{ name }}>\nAttach: {{ number }}.pdf\n"
        "Inline: logo=logo.png\nX-Campaign: autumn\nReply-To: ann@example.org\n\n"
    )
    (folder / "t.html").write_text('<p>Dear {{ name }}</p><img src="cid:logo">')
    (tmp_path / "list.csv").write_text("E-mail;name;number\nbob@example.org;Bob & <Co>;17\n")
    done = world.run(
        "send-many", ADA, "list.csv", "campaign/t.txt", "--html", "campaign/t.html", "--json"
    )
    assert (done.code, done.err) == (0, "")
    (receipt,) = done.objects
    assert list(receipt) == [
        "line", "message_id", "reply", "accepted", "refused", "key", "time", "error",
    ]  # fmt: skip
    assert (receipt["line"], receipt["key"], receipt["error"]) == (2, "bob@example.org", None)
    message = sent(world)["bob@example.org"]
    assert message.subject == "R&D <Bob & <Co>>"
    assert "<p>Dear Bob &amp; &lt;Co&gt;</p>" in (message.html or "")
    assert message.text.strip() == "Dear Bob & <Co>"
    assert [(each.filename, each.content) for each in message.attachments] == [
        ("17.pdf", b"%PDF 17")
    ]
    assert message.inline[0].content == b"\x89PNG"
    assert message.headers["X-Campaign"] == "autumn"
    assert message.reply_to == (Address("", "ann@example.org"),)


def test_a_name_in_a_list_cannot_add_a_recipient(world: World, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        'email,name,number\nbob@example.org,"eve@example.org, Bob",1\n'
        'cy@example.org,"<eve@example.org> Cy ""C""",2\n'
    )
    done = world.run("send-many", ADA, "list.csv", "template.txt")
    assert done.code == 0
    assert [each.recipients for each in world.emulator.sent] == [
        ("bob@example.org",),
        ("cy@example.org",),
    ]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Lee, Ann", '"{}" <a@example.org>', [("Lee, Ann", "a@example.org")]),
        ('"A" and "B"', "{} <a@example.org>", [('"A" and "B"', "a@example.org")]),
        ("a@example.org, Bo <b@example.org>", "{}", [("", "a@example.org"), ("Bo", "b@example.org")]),
        ("", "{}, c@example.org", [("", "c@example.org")]),
        ("", "Team <{}>", []),
        ("x@example.org, y@example.org", "Z <{}>", [("Z", "x@example.org, y@example.org")]),
        ("\ue001, eve@example.org", "{} <a@example.org>", [(", eve@example.org", "a@example.org")]),
    ],
)  # fmt: skip
def test_values_in_address_headers_stay_what_they_are(
    name: str, text: str, found: list[tuple[str, str]]
) -> None:
    assert addresses(text.format(marked(name))) == [Address(*each) for each in found]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffemail,name,number\r\nbob@example.org,Bob,17\r\n",
        "email;name;number\nbob@example.org;Bob;17",
        "\n email \tname\tnumber\nbob@example.org\tBob\t17\n\n\t\t\n",
        "sep=;\nemail;name;number\nbob@example.org;Bob;17\n",
        'number,"a,b",name,email,\n17,x,Bob,bob@example.org,\n',
    ],
)
def test_lists_are_read_as_spreadsheets_write_them(world: World, content: str) -> None:
    done = run_process("send-many", ADA, "-", "template.txt", input=content)
    assert (done.code, done.err) == (0, "")
    assert sent(world)["bob@example.org"].subject == "Invoice 17"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "list.csv is empty"),
        (b"email,name,number\n", "nothing below them"),
        (b"email,name,email\nx,y,z\n", "line 1: there is more than one column 'email'"),
        (b"bob@example.org,Bob,17\n", "'bob@example.org' looks like a value"),
        (b"email,name,number\nbob@example.org,Bob\n", "line 2: the row has 2 cells"),
        (b'email,name,number,note\na@b.example,x,1,"y\nz"\n\nbob@example.org\n', "line 5: the row has 1 cell"),
        (b'email,name,number\n\nbob@example.org,"Bob,17\n', "line 3: a quote is opened here"),
        (b"email,name,number\nbob@example.org,M\xfcller,17\n", "line 2: this is not UTF-8"),
        (b"email,name,number\nbob@example.org,B\0b,17\n", "line 2: there is a NUL octet"),
        ("email,name,number\n".encode("utf-16"), "line 1: this is UTF-16"),
        (b"email,name,number\nbob,Bob,17\n", "line 2: 'bob' is not a mail address"),
        (b"email,name,number\n,Bob,17\n", "line 2: nobody gets the message"),
        (b"email,name\nbob@example.org,Bob\n", "('number' is undefined). The columns are: email, name."),
        (b'email,name,number\nbob@example.org,Bob,"1\n7"\n',
         "line 2: Subject would have a line break in it: the column 'number' has one"),
        (b'email,name,number\nbob@example.org,"B\nBcc: eve@example.org",17\n',
         "line 2: To would have a line break in it: the column 'name' has one"),
        (b"email,name,number\n" + b"bob@example.org,Bob,17\n" * 900 + b"bob@example.org\n",
         "line 902: the row has 1 cell"),
    ],
)  # fmt: skip
def test_a_broken_list_is_refused_before_anything_is_sent(
    world: World, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    done = world.run("send-many", ADA, "list.csv", "template.txt")
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert smtp_connections(world) == 0


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("Dear {{ name }}\n", "line 1: 'Dear {{ name }}' is no header"),
        ("Subject: x\n\ny", "template.txt does not say who gets the message."),
        ("To: {{ email }\n\n", "line 1: unexpected '}'. Is a }} missing?"),
        ("To: {{ email }}\nSubject: a,\n b\n\n1\n{% if %}", "line 6: Expected an expression"),
        (
            "To: {{ email }}\nTo: {{ email }}\n\n",
            "To more than once. Put all addresses into one, separated",
        ),
        ("To: {{ email }}\nX-A: 1\nX-A: 2\n\n", "has the header X-a more than once. Give it once."),
        ("To: {{ email }}\nContent-Type: text/html\n\n", "a header that cannot be: Content-Type"),
        ("To: {{ email }}\nContent-Type: {{ nmae }}\n\n", "a header that cannot be: Content-Type"),
        ("To: {{ email }}\n\n{{ nmae }}", "('nmae' is undefined)"),
        ("To: {{ email }}\n\n{{ name.__class__.__mro__ }}", "unsafe"),
        ("To: {{ email }}\n\n{{ number / 0 }}", "does not work"),
        ("To: {{ email }}\nAttach: {{ name }}.pdf\n\n", "there is no file Bob.pdf to attach"),
    ],
)
def test_a_broken_template_is_refused_before_anything_is_sent(
    world: World, tmp_path: Path, template: str, said: str
) -> None:
    (tmp_path / "template.txt").write_text(template)
    done = world.run("send-many", ADA, "list.csv", "template.txt")
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert smtp_connections(world) == 0


def test_a_preview_shows_messages_and_needs_neither_token_nor_network(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILOAUTH_KEY")
    before = len(world.emulator.connections), len(world.emulator.token_requests)
    done = world.run("send-many", ADA, "list.csv", "template.txt", "--preview", "2")
    assert done.code == 0
    assert done.out.count("Subject: Invoice") == 2
    assert "To: Bob <bob@example.org>" in done.out
    assert "Line 3: Not sent (dry run)" in done.err
    assert done.err.endswith("3 rows checked, nothing was sent.\n")
    assert (len(world.emulator.connections), len(world.emulator.token_requests)) == before
    one = world.run("send-many", ADA, "list.csv", "template.txt", "--dry-run")
    assert one.out.count("Subject: Invoice") == 1


def test_without_jinja2_it_says_how_to_get_it(world: World) -> None:
    code = "import sys; sys.modules['jinja2'] = None\nfrom mailoauth.cli import main\nsys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "send-many", ADA, "list.csv", "template.txt"],
        env=environment_of(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'mailoauth[merge]'" in done.stderr
