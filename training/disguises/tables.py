"""Tables that disguises are made from.

The choice of look-alikes is our own, and apart from the table the library folds with: a
measure of the one by the other would say nothing. What characters are called is from
the Unicode Character Database; which pass for which is what Unicode Technical Standard
39 calls confusable.
"""

from __future__ import annotations

import string

__all__ = [
    "ACCENTS",
    "BRAILLE",
    "CYRILLIC",
    "EMOJI",
    "KEYBOARD",
    "LEET",
    "LEET_SIGNS",
    "LOOKALIKES",
    "MORSE",
    "NATO",
    "SMALL_CAPITALS",
    "SPACES",
    "SUPERSCRIPT",
    "UPSIDE_DOWN",
    "ZERO_WIDTH",
]


def _pairs(text: str) -> dict[str, str]:
    """``"aа bв"`` as ``{"a": "а", "b": "в"}``."""
    return {pair[0]: pair[1:] for pair in text.split()}


# Format characters without width: spaces, joiners, invisible operators, BOM.
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u180e"

# All space separators but the ASCII one, and the blank Braille pattern.
SPACES = (
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u202f\u205f\u3000\u2800"
)

EMOJI = "😀 🎉 🔥 ⭐ 🌈 🍕 🚀 💡 ❤️ 🐱 👍🏽 ✅ 🌍 🎵".split()

# Grave, acute, circumflex, tilde, macron, breve, dot, diaeresis, ring, caron, and below
# the letter dot, comma, cedilla and ogonek.
ACCENTS = (
    "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030c"
    "\u0323\u0326\u0327\u0328"
)

# From the Cyrillic block and its supplement.
CYRILLIC = _pairs(
    "aа cс dԁ eе hһ iі jј kк lӏ oо pр qԛ sѕ vѵ wԝ xх yу "
    "AА BВ CС EЕ GԌ HН IІ JЈ KК MМ OО PР QԚ SЅ TТ VѴ WԜ XХ YҮ"
)

# From Greek, Cyrillic, Armenian and the extensions of Latin.
LOOKALIKES = _pairs(
    "aаαɑ bƅЬ cсϲ dԁɗ eеҽ gɡց hһհ iіɩι jјϳ kκкҡ lӏⅼ mмɱ nոɳ oоοօ pрρ "
    "qԛգ rгɼ sѕʂ tτť uսυʋ vνѵ wԝѡ xхχ yуγү zʐƶ "
    "AАΑ BВΒ CСϹ DĐ EЕΕ FϜ GԌ HНΗ IІΙ JЈͿ KКΚ LԼ MМΜ NΝ OОΟՕ PРΡ QԚ "
    "RƦ SЅՏ TТΤ UՍ VѴ WԜ XХΧ YҮΥ ZΖ"
)

SMALL_CAPITALS = _pairs(
    "aᴀ bʙ cᴄ dᴅ eᴇ fꜰ gɢ hʜ iɪ jᴊ kᴋ lʟ mᴍ nɴ oᴏ pᴘ qꞯ rʀ sꜱ tᴛ uᴜ vᴠ wᴡ yʏ zᴢ"
)

SUPERSCRIPT = _pairs(
    "aᵃ bᵇ cᶜ dᵈ eᵉ fᶠ gᵍ hʰ iⁱ jʲ kᵏ lˡ mᵐ nⁿ oᵒ pᵖ q𐞥 rʳ sˢ tᵗ uᵘ vᵛ wʷ xˣ yʸ zᶻ "
    "0⁰ 1¹ 2² 3³ 4⁴ 5⁵ 6⁶ 7⁷ 8⁸ 9⁹"
)

# Letters that look like the plain one turned by half a circle.
UPSIDE_DOWN = _pairs(
    "aɐ bq cɔ dp eǝ fɟ gƃ hɥ iᴉ jɾ kʞ lꞁ mɯ nu pd qb rɹ tʇ un vʌ wʍ yʎ "
    "1Ɩ 2ᄅ 3Ɛ 4ㄣ 5ϛ 69 7ㄥ 96 .˙ ,' ', !¡ ?¿ () )( [] ][ {} }{ <> >< _‾ &⅋"
)

LEET = _pairs("a4 e3 i1 o0 s5 t7 l1")
LEET_SIGNS = _pairs("a@4 b8 e3 g9 i1! o0 s$5 t7 z2")

# International Morse code, Recommendation ITU-R M.1677-1.
MORSE = _pairs(
    "a.- b-... c-.-. d-.. e. f..-. g--. h.... i.. j.--- k-.- l.-.. m-- n-. o--- p.--. "
    "q--.- r.-. s... t- u..- v...- w.-- x-..- y-.-- z--.. "
    "0----- 1.---- 2..--- 3...-- 4....- 5..... 6-.... 7--... 8---.. 9----. "
    "..-.-.- ,--..-- :---... ?..--.. '.----. --....- /-..-. (-.--. )-.--.- "
    '".-..-. =-...- +.-.-. @.--.-.'
)

# Unified English Braille, grade 1. A digit is the letter (a is 1, j is 0) after ⠼.
BRAILLE = _pairs(
    "a⠁ b⠃ c⠉ d⠙ e⠑ f⠋ g⠛ h⠓ i⠊ j⠚ k⠅ l⠇ m⠍ n⠝ o⠕ p⠏ q⠟ r⠗ s⠎ t⠞ u⠥ v⠧ w⠺ x⠭ y⠽ z⠵ "
    ",⠂ ;⠆ :⠒ .⠲ !⠖ ?⠦ '⠄ -⠤"
)
BRAILLE |= {
    digit: "⠼" + BRAILLE[letter]
    for digit, letter in zip("1234567890", "abcdefghij", strict=True)
}
BRAILLE |= {" ": "⠀"}

# The spelling alphabet of ICAO Annex 10, volume II, which NATO uses too.
NATO = dict(
    zip(
        string.ascii_lowercase + string.digits,
        "Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike "
        "November Oscar Papa Quebec Romeo Sierra Tango Uniform Victor Whiskey X-ray "
        "Yankee Zulu Zero One Two Three Four Five Six Seven Eight Nine".split(),
        strict=True,
    )
)

# Neighbours on a keyboard with the layout QWERTY.
KEYBOARD = _pairs(
    "aqsz bvgn cxvd dsfe ewrd fdgr gfht hgjy iuok jhku kjli lkop mnjk nbmh oipl pol "
    "qwa redt sadw trfy uyij vcbf wqes xzcs ytuh zxa"
)
