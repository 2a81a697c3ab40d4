"""Language: texts in other languages than they should be in."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import promptguard
from promptguard.errors import ConfigError
from promptguard.guards.language import CODES, Language
from promptguard.testing import check_guard

TABLE = Path(promptguard.__file__).parent / "data" / "languages.toml"

TEXTS = {
    "af": "Die werkswinkel is oop van nege tot vyf, maar nie op Sondag nie, en ons "
    "is baie bly oor jou besoek hier.",
    "ar": "الورشة مفتوحة من التاسعة إلى الخامسة، لكن ليس في يوم الأحد، ونحن هنا.",
    "bg": "Работилницата е отворена от девет до пет, но не и в неделя, а ние ще се "
    "радваме да ви видим.",
    "bn": "কর্মশালা নয়টা থেকে পাঁচটা পর্যন্ত খোলা, কিন্তু রবিবার নয়।",
    "ca": "El taller és obert de nou a cinc, però no els diumenges, i també hi ha "
    "molt cafè per als qui ja són aquí.",
    "cs": "Dílna je otevřená od devíti do pěti, ale ne v neděli, a protože je tam "
    "také káva, jsme velmi rádi.",
    "da": "Værkstedet er åbent fra ni til fem, men ikke om søndagen, og vi bliver "
    "meget glade, hvis du også kommer efter.",
    "de": "Die Werkstatt ist von neun bis fünf geöffnet, aber nicht am Sonntag, und "
    "wir freuen uns sehr auf den Besuch.",
    "el": "Το εργαστήριο είναι ανοιχτό από τις εννέα έως τις πέντε.",
    "en": "The workshop is open from nine to five, but not on Sundays, and we would "
    "be happy to see you there.",
    "es": "El taller está abierto de nueve a cinco, pero no los domingos, y también "
    "hay café para los que vienen muy temprano.",
    "fa": "کارگاه از ساعت نه تا پنج باز است، اما در روز یکشنبه نه، و ما برای شما چای "
    "هم داریم که می‌توانید بخورید.",
    "fi": "Paja on auki yhdeksästä viiteen, mutta ei sunnuntaina, ja kahvia on myös "
    "niille, jotka tulevat jo ennen kuin ovi on auki.",
    "fr": "L'atelier est ouvert de neuf à cinq heures, mais pas le dimanche, et nous "
    "avons aussi du café pour ceux qui sont là.",
    "he": "הסדנה פתוחה מתשע עד חמש, אבל לא ביום ראשון.",
    "hi": "कार्यशाला नौ से पांच बजे तक खुली है, लेकिन रविवार को नहीं, और हम आप के "
    "लिए चाय भी बनाते हैं।",
    "hu": "A műhely kilenctől ötig van nyitva, de vasárnap nem, és kávé is van "
    "azoknak, akik már nagyon korán itt vannak.",
    "id": "Bengkel itu buka dari pukul sembilan sampai lima, tetapi tidak pada hari "
    "Minggu, dan kami juga ada kopi untuk anda.",
    "it": "L'officina è aperta dalle nove alle cinque, ma non la domenica, e c'è "
    "anche il caffè per chi è già qui con noi.",
    "ja": "工房は九時から五時まで開いていますが、日曜日は休みです。",
    "ko": "작업장은 아홉 시부터 다섯 시까지 열지만 일요일에는 쉽니다.",
    "nb": "Verkstedet er åpent fra ni til fem, men ikke på søndager, og vi blir mye "
    "gladere hvis noen også kommer etter det.",
    "nl": "De werkplaats is open van negen tot vijf, maar niet op zondag, en er is "
    "ook koffie voor wie al vroeg bij ons is.",
    "pl": "Warsztat jest otwarty od dziewiątej do piątej, ale nie w niedzielę, i "
    "jest już także kawa dla tych, którzy są bardzo wcześnie.",
    "pt": "A oficina está aberta das nove às cinco, mas não aos domingos, e também "
    "há café para quem já está aqui muito cedo.",
    "ro": "Atelierul este deschis de la nouă la cinci, dar nu și duminica, iar "
    "pentru cei care sunt foarte devreme este și cafea.",
    "ru": "Мастерская открыта с девяти до пяти, но не в воскресенье, и у нас есть "
    "кофе для тех, кто уже пришёл.",
    "sr": "Радионица је отворена од девет до пет, али није недељом, и ми смо већ ту "
    "са кафом за оне који су дошли.",
    "sv": "Verkstaden är öppen från nio till fem, men inte på söndagar, och vi har "
    "också kaffe till den som är här mycket tidigt.",
    "sw": "Karakana iko wazi kutoka saa tatu hadi saa kumi na moja, lakini si "
    "Jumapili, na pia kuna kahawa kwa ajili ya wale ambao wamefika.",
    "th": "เวิร์กช็อปเปิดตั้งแต่เก้าโมงถึงห้าโมงเย็น แต่ปิดวันอาทิตย์",
    "tr": "Atölye dokuzdan beşe kadar açık, ama pazar günleri değil, ve erken "
    "gelenler için çok güzel bir kahve de var.",
    "uk": "Майстерня відкрита з дев'ятої до п'ятої, але не в неділю, і в нас є кава "
    "для тих, хто вже прийшов.",
    "ur": "ورکشاپ نو سے پانچ بجے تک کھلی ہے، لیکن اتوار کو نہیں، اور ہم آپ کے لیے "
    "چائے بھی بناتے ہیں۔",
    "vi": "Xưởng mở cửa từ chín giờ đến năm giờ, nhưng không mở vào chủ nhật, và có "
    "cà phê cho những người đã đến rất sớm.",
    "zh": "工作坊从九点开到五点,星期天不开,来得早的人有咖啡喝。",
}


def label(guard: Language, text: str) -> list[str]:
    return [finding.label for finding in guard.check(text).findings]


@pytest.mark.parametrize("code", TEXTS)
def test_a_text_is_in_its_language_and_in_no_other(code: str) -> None:
    text = TEXTS[code]
    assert label(Language((code,)), text) == []
    other = "en" if code != "en" else "de"
    assert label(Language((other,)), text) == [f"language_{code}"]


def test_no_text_is_flagged_where_its_language_is_among_those_allowed() -> None:
    guard = Language(tuple(TEXTS))
    assert [label(guard, text) for text in TEXTS.values()] == [[]] * len(TEXTS)


@pytest.mark.parametrize(
    ("allow", "text"),
    [
        ("de", ""),
        ("de", "OK"),
        ("de", "Buenos días"),
        ("de", "iPhone 15 Pro Max, Ubuntu 24.04 LTS, Visual Studio Code"),
        ("de", "x = f(a, b) -> 12345; git commit --amend -m v z s k"),
        ("en", "12:30, 14:45 - 100 %"),
        ("en", "Да!"),
        ("en", "Hi Jürgen, see the Müller file: Straße, Größe, Übung."),
        ("ja", "東京都庁舎見学"),
        ("en", "The Russian word for it is мастерская, as far as we know from it."),
        (
            "uk",
            "Це є код для вас, і він працює так: from the list of all the items that "
            "are in the shop, select those which have been there for a day.",
        ),
    ],
)
def test_what_cannot_be_told_is_let_through(allow: str, text: str) -> None:
    assert label(Language((allow,)), text) == []


def test_the_finding_is_the_whole_text_and_blocks() -> None:
    verdict = Language(("en",)).check(TEXTS["ru"])
    (finding,) = verdict.findings
    assert verdict.blocked
    assert (finding.start, finding.end) == (0, len(TEXTS["ru"]))


def test_the_codes_are_those_of_the_table() -> None:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    scripts = [script["languages"].split() for script in table["scripts"].values()]
    assert sorted(code for codes in scripts for code in codes) == list(CODES)
    several = {code for codes in scripts if len(codes) > 1 for code in codes}
    assert set(table["words"]) == several


@pytest.mark.parametrize(
    ("allow", "message"),
    [
        ("en", "several codes"),
        ((), "several codes"),
        (None, "several codes"),
        (("en", "eng"), "did you mean 'en'"),
        ((3,), "unknown language"),
    ],
)
def test_codes_are_checked(allow: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Language(allow)  # type: ignore[arg-type]


def test_it_keeps_the_rules() -> None:
    check_guard(Language(("en", "de")), [*TEXTS.values()][:12], long=2_000)
