"""Names of folders on the wire (modified UTF-7), and what Outlook and others call theirs; pure."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

from mailoauth.checks import check_folder
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

# A byte that modified UTF-7 does not account for is kept as a private-use character that
# no folder's name has, so that every name a server lists is a name that it is asked for.
_ESCAPE: Final = 0x10FE00
_ESCAPED: Final = rf"[{chr(_ESCAPE)}-{chr(_ESCAPE + 255)}]"
_PLAIN: Final = frozenset(range(0x20, 0x7F)) - {ord("&")}
_SHIFTED: Final = re.compile(rf"&|{_ESCAPED}|(?:(?!{_ESCAPED})[^\x20-\x7e])+")
_SHIFT: Final = re.compile(r"&([A-Za-z0-9+,]*)-")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ENDS_A_COMMAND: Final = re.compile(rb"[\r\n\0]")


def wire_name(folder: str) -> bytes:
    """Return a folder's name as a command has it, quoted; ``ConfigError`` if it can be none.

    RFC 3501 section 5.1.3 and RFC 9051 section 4.3.
    """
    check_folder(folder)
    raw = encode_name(folder)
    if _ENDS_A_COMMAND.search(raw):
        raise ConfigError(
            f"folder is {folder!r}, whose name has a line break or a NUL in it.",
            remedy="Rename it where it was made; no command can name it.",
        )
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def encode_name(name: str) -> bytes:
    """Return a name in modified UTF-7, or just as :func:`decode_name` got it."""
    pieces: list[bytes] = []
    position = 0
    for found in _SHIFTED.finditer(name):
        pieces.append(name[position : found.start()].encode("ascii"))
        pieces.append(_encoded(found[0]))
        position = found.end()
    return b"".join(pieces) + name[position:].encode("ascii")


def decode_name(raw: bytes) -> str:
    """Return the name that a server gave; what is not modified UTF-7 comes back as it was.

    ``encode_name(decode_name(raw)) == raw``, whatever the server sends.
    """
    try:
        name = _SHIFT.sub(_decoded, raw.decode("ascii"))
        if encode_name(name) == raw and not _CONTROL.search(name):
            return name
    except (UnicodeError, binascii.Error):
        pass
    return "".join(chr(byte if byte in _PLAIN else _ESCAPE + byte) for byte in raw)


def _encoded(text: str) -> bytes:
    if text == "&":
        return b"&-"
    if len(text) == 1 and _ESCAPE <= ord(text) <= _ESCAPE + 255:
        return bytes([ord(text) - _ESCAPE])
    encoded = base64.b64encode(text.encode("utf-16-be"), altchars=b"+,")
    return b"&" + encoded.rstrip(b"=") + b"-"


def _decoded(found: re.Match[str]) -> str:
    shifted = found[1]
    if not shifted:
        return "&"
    padded = shifted + "=" * (-len(shifted) % 4)
    return base64.b64decode(padded, altchars=b"+,").decode("utf-16-be")


def use_by_name(name: str) -> str:
    """Return what a folder of that name (its last level) is commonly for, "" if nothing."""
    return _uses().get(_folded(name), "")


def rank_of_name(name: str) -> int:
    """Return how common the name is among those for its use, 0 for the commonest."""
    return list(_uses()).index(_folded(name))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@cache
def _uses() -> Mapping[str, str]:
    return {
        _folded(name): use
        for use, names in NAMES.items()
        for line in names
        for name in line.split(" / ")
    }


#: What mail programs and servers call the folders, in Outlook's words first. In order: English,
#: German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Danish, Norwegian,
#: Finnish, Czech, Turkish, Russian, Japanese, Chinese.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "sent": (
        "Sent Items / Sent / Sent Mail / Sent Messages / Sent-Mail",
        "Gesendete Elemente / Gesendet / Gesendete Objekte / Gesendete Nachrichten",
        "Éléments envoyés / Envoyés / Messages envoyés / Courrier envoyé",
        "Elementos enviados / Enviados / Mensajes enviados",
        "Posta inviata / Elementi inviati / Inviati / Inviata / Messaggi inviati",
        "Itens Enviados / Enviadas / E-mails enviados / Mensagens enviadas / Correio enviado",
        "Verzonden items / Verzonden / Verzonden berichten / Verzonden objecten",
        "Elementy wysłane / Wysłane",
        "Skickat / Skickade objekt / Skickade",
        "Sendt post / Sendt / Sendte elementer / Sendte",
        "Sendt e-post / Sendte meldinger",
        "Lähetetyt / Lähetetyt viestit / Lähetetyt kohteet",
        "Odeslaná pošta / Odeslané / Odeslané položky",
        "Gönderilmiş Öğeler / Gönderilmiş Postalar / Gönderilenler / Gönderilen",
        "Отправленные / Отправленные элементы",
        "送信済みアイテム / 送信済み / 送信済みメール",
        "已发送邮件 / 已发送 / 已发邮件 / 寄件備份 / 已傳送的郵件 / 已傳送的項目",
    ),
    "trash": (
        "Deleted Items / Trash / Deleted / Bin / Deleted Messages",
        "Gelöschte Elemente / Papierkorb / Gelöscht / Gelöschte Objekte",
        "Éléments supprimés / Corbeille / Supprimés / Messages supprimés",
        "Elementos eliminados / Papelera / Eliminados",
        "Posta eliminata / Cestino / Elementi eliminati / Eliminati",
        "Itens Excluídos / Itens Eliminados / Lixeira / Excluídos / Lixo / Reciclagem",
        "Verwijderde items / Prullenbak / Prullenmand / Verwijderd / Verwijderde objecten",
        "Elementy usunięte / Kosz / Usunięte",
        "Borttaget / Papperskorgen / Borttagna objekt / Borttagna",
        "Slettet post / Papirkurv / Slettede elementer / Slettet",
        "Slettede meldinger / Papirkurven / Søppelkurv",
        "Poistetut / Roskakori / Poistetut viestit / Poistetut kohteet",
        "Odstraněná pošta / Koš / Odstraněné / Odstraněné položky",
        "Silinmiş Öğeler / Çöp Kutusu / Silinmiş Postalar / Silinenler / Silinen",
        "Удаленные / Удалённые / Корзина / Удаленные элементы",
        "削除済みアイテム / ゴミ箱 / ごみ箱 / 削除済み",
        "已删除邮件 / 已删除 / 废件箱 / 回收站 / 垃圾桶 / 刪除的郵件 / 已刪除的郵件 / 刪除的項目",
    ),
    "junk": (
        "Junk Email / Junk E-mail / Junk / Spam / Junk Mail / Bulk Mail / Bulk",
        "Junk-E-Mail / Spamverdacht / Spam-Verdacht / Unerwünscht",
        "Courrier indésirable / Indésirables / Pourriel / Indésirable",
        "Correo no deseado / Correo electrónico no deseado / No deseado",
        "Posta indesiderata / Indesiderata",
        "Lixo Eletrônico / Lixo Eletrónico / Correio Publicitário Não Solicitado",
        "Ongewenste e-mail / Ongewenst / Ongewenste reclame",
        "Wiadomości-śmieci / Niechciane / Wiadomości śmieci",
        "Skräppost",
        "Uønsket mail / Uønsket post / Uønsket e-mail",
        "Søppelpost / Uønsket e-post",
        "Roskaposti",
        "Nevyžádaná pošta / Nevyžádaná",
        "Gereksiz E-posta / Önemsiz E-posta / Gereksiz / İstenmeyen",
        "Нежелательная почта / Спам / Нежелательные",
        "迷惑メール",
        "垃圾邮件 / 垃圾郵件",
    ),
    "drafts": (
        "Drafts / Draft",
        "Entwürfe",
        "Brouillons",
        "Borradores",
        "Bozze",
        "Rascunhos",
        "Concepten",
        "Wersje robocze / Kopie robocze / Robocze / Szkice",
        "Utkast",
        "Kladder",
        "Kladd",
        "Luonnokset",
        "Koncepty / Rozepsané",
        "Taslaklar",
        "Черновики",
        "下書き",
        "草稿 / 草稿箱",
    ),
    "archive": (
        "Archive / Archives",
        "Archiv",
        "Archivo / Archivados",
        "Archivio / Archiviati",
        "Arquivo Morto / Arquivo / Arquivados",
        "Archief",
        "Archiwum",
        "Arkiv",
        "Arkisto",
        "Arşiv",
        "Архив",
        "アーカイブ",
        "存档 / 归档 / 封存 / 存檔",
    ),
    "all": (
        "All Mail / Alle Nachrichten / Tous les messages / Todos / Tutti i messaggi",
        "Todos os e-mails / Alle berichten / Wszystkie / Вся почта / すべてのメール / 所有邮件",
    ),
    "flagged": (
        "Starred / Flagged / Markiert / Suivis / Destacados / Speciali / Com estrela",
        "Met ster / Oznaczone gwiazdką / Помеченные / スター付き / 已加星标",
    ),
}
