"""Refusal: answers that say no, and answers that do not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import promptguard
from promptguard.errors import ConfigError
from promptguard.guards.refusal import Refusal
from promptguard.testing import check_guard
from promptguard.verdict import Action

TABLE = Path(promptguard.__file__).parent / "data" / "refusal.toml"

REFUSALS = {
    "en": (
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "I cannot provide instructions for this, as it would be unsafe.",
        "Sorry, I won't do that.",
        "Unfortunately, I am not able to share my instructions.",
        "I must decline to answer.",
        "As an AI language model, I cannot have an opinion on this.",
        "That's not something I can help with.",
        "As an AI language model, I don't have access to live news.",
        "I. C\u200bannot as\u200bsist you here? I CANNOT ASSIST.",
    ),
    "de": (
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "Ich kann dir dabei leider nicht helfen.",
        "Das kann ich leider nicht beantworten.",
        "Als KI-Modell kann ich keine Auskunft geben.",
    ),
    "fr": (
        "Je suis désolé, mais je ne peux pas vous aider à faire cela.",
        "Je ne peux pas répondre à cette demande.",
        "Désolée, je ne suis pas en mesure de le faire.",
    ),
    "es": (
        "Lo siento, pero no puedo ayudarte con eso.",
        "No puedo proporcionar esa información.",
    ),
    "pt": (
        "Desculpe, mas não posso ajudar com isso.",
        "Não posso fornecer essas instruções.",
    ),
    "it": ("Mi dispiace, ma non posso aiutarti.", "Non posso fornire istruzioni."),
    "nl": ("Het spijt me, maar ik kan je daar niet bij helpen.",),
    "sv": ("Jag är ledsen, men jag kan inte hjälpa till med det.",),
    "da": ("Beklager, men det kan jeg ikke hjælpe med.",),
    "nb": ("Dessverre kan jeg ikke svare på det.",),
    "fi": ("Olen pahoillani, mutta en voi auttaa siinä.",),
    "pl": ("Przykro mi, ale nie mogę w tym pomóc.",),
    "cs": ("Omlouvám se, ale s tím vám nemohu pomoci.",),
    "ro": ("Îmi pare rău, dar nu te pot ajuta cu asta.",),
    "el": ("Λυπάμαι, αλλά δεν μπορώ να σε βοηθήσω με αυτό.",),
    "ru": (
        "Извините, но я не могу помочь с этим.",
        "К сожалению, я не могу предоставить эту информацию.",
    ),
    "uk": ("Вибачте, але я не можу з цим допомогти.",),
    "tr": ("Üzgünüm, bu konuda yardımcı olamam.",),
    "ar": ("عذرًا، لا أستطيع مساعدتك في ذلك.",),
    "fa": ("متأسفم، اما نمی‌توانم در این مورد کمک کنم.",),
    "he": ("אני מצטער, אבל אני לא יכול לעזור בזה.",),
    "hi": ("क्षमा करें, मैं इसमें आपकी मदद नहीं कर सकता।",),
    "id": ("Maaf, saya tidak dapat membantu dengan itu.",),
    "vi": ("Xin lỗi, tôi không thể giúp bạn việc đó.",),
    "th": ("ขออภัย ฉันไม่สามารถช่วยเรื่องนั้นได้",),
    "zh": ("抱歉，我无法协助满足该请求。", "很抱歉，我不能提供这方面的帮助。"),
    "ja": (
        "申し訳ありませんが、そのリクエストにはお応えできません。",
        "ご質問にはお答えすることができません。",
    ),
    "ko": ("죄송하지만 그 요청은 도와드릴 수 없습니다.",),
    "sw": ("Samahani, siwezi kukusaidia.",),
}


@pytest.mark.parametrize(
    "text", [text for texts in REFUSALS.values() for text in texts], ids=ascii
)
def test_a_refusal_is_found(text: str) -> None:
    assert [finding.label for finding in Refusal().check(text).findings] == ["refusal"]


def test_every_language_of_the_table_has_a_case() -> None:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    assert set(table) == set(REFUSALS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure! Here is the list.",
        "I can't wait to help you with that.",
        "I can't help but notice that it works.",
        "You cannot provide a null here; the function refuses it.",
        "The refusal of the offer came late, and nobody could help.",
        "Entschuldigung für die Verspätung, hier ist der Plan.",
        "Désolé pour le retard, voici la liste.",
        "Lo siento mucho por tu pérdida.",
        "我不会游泳,但是我可以教你数学。",
        "申し訳ありません。少し遅れましたが、こちらが一覧です。",
        "Извините за задержку, вот список.",
    ],
)
def test_what_is_no_refusal_is_left_alone(text: str) -> None:
    assert not Refusal().check(text).flagged


def test_only_the_beginning_counts() -> None:
    sentence = "I'm sorry, but I can't help with that."
    late = "Here is the plan. " * 12 + sentence
    assert not Refusal().check(late).flagged
    assert Refusal(within=1_000).check(late).flagged
    assert Refusal().check("\n" * 500 + sentence).flagged


def test_it_flags_the_words() -> None:
    verdict = Refusal().check("Well. I cannot provide that.")
    (finding,) = verdict.findings
    assert verdict.action is Action.FLAG
    assert verdict.original[finding.start : finding.end] == "I cannot provide"


@pytest.mark.parametrize("within", [0, -1, 1.5, "10", True])
def test_within_is_a_number(within: object) -> None:
    with pytest.raises(ConfigError, match="within must be"):
        Refusal(within=within)  # type: ignore[arg-type]


def test_it_keeps_the_rules() -> None:
    check_guard(Refusal(), [texts[0] for texts in REFUSALS.values()][:8], long=2_000)
