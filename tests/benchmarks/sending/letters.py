"""What is sent: text and HTML, 2.7 kB on the wire, the same for all and in every run."""

from __future__ import annotations

from typing import Final

SINK: Final = "sink@example.org"

SUBJECT: Final = "Your order {number} from the shop in the Königstraße is on its way"
TEXT: Final = (
    "Dear customer,\n\nyour order {number} left our house in the Königstraße this morning; "
    "the carrier calls before it comes. You can follow it under the number "
    "{number:08} at https://shop.example.com/orders/{number:08}.\n\n"
    "What you ordered:\n"
    "  1 x notebook, ruled, A5, recycled paper                      4.20 €\n"
    "  2 x pencil, soft                                             1.80 €\n"
    "  1 x café filter, size 4, unbleached, 100 pieces              3.10 €\n"
    "  1 x delivery to your door                                    4.90 €\n\n"
    "The invoice follows when the parcel has arrived. If something is missing or\n"
    "broken, answer to this letter within two weeks and name the number above;\n"
    "we send a replacement at once, and you need not send anything back.\n\n"
    "Kind regards\nyour shop in the Königstraße\n"
)
HTML: Final = (
    '<html>\n<head><meta charset="utf-8"><title>Your order {number}</title></head>\n'
    '<body style="font-family: sans-serif">\n<p>Dear customer,</p>\n'
    "<p>your order <b>{number}</b> left our house in the Königstraße this morning; the carrier\n"
    "calls before it comes. You can follow it\n"
    '<a href="https://shop.example.com/orders/{number:08}">here</a>.</p>\n<table>\n'
    '<tr><td>1</td><td>notebook, ruled, A5, recycled paper</td><td align="right">4.20 €</td></tr>\n'
    '<tr><td>2</td><td>pencil, soft</td><td align="right">1.80 €</td></tr>\n'
    '<tr><td>1</td><td>café filter, size 4, unbleached</td><td align="right">3.10 €</td></tr>\n'
    '<tr><td>1</td><td>delivery to your door</td><td align="right">4.90 €</td></tr>\n</table>\n'
    "<p>The invoice follows when the parcel has arrived. If something is missing or broken,\n"
    "answer to this letter within two weeks and name the number above; we send a\n"
    "replacement at once, and you need not send anything back.</p>\n"
    "<p>Kind regards<br>your shop in the Königstraße</p>\n</body>\n</html>\n"
)


def subject(number: int) -> str:
    """Return the subject of one letter."""
    return SUBJECT.format(number=number)


def text(number: int) -> str:
    """Return its text."""
    return TEXT.format(number=number)


def html(number: int) -> str:
    """Return the same as HTML."""
    return HTML.format(number=number)
