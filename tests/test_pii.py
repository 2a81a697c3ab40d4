"""PII: what is found, where, and what it takes."""

from __future__ import annotations

import pickle
import re

import pytest

import promptguard as pg
from promptguard.guards._pii import phones
from promptguard.guards._pii.tables import country_of, rules
from promptguard.guards.pii import PII
from promptguard.testing import check_guard

ALL = PII()


def found(text: str, guard: pg.Guard = ALL) -> list[tuple[str, str]]:
    return [(f.label, text[f.start : f.end]) for f in guard.check(text).findings]


# The value stands between square brackets. All are made up, or published as examples.
FOUND = [
    ("EMAIL_ADDRESS", "Write to [joe.doe+x@mail.example.co.uk]."),
    ("EMAIL_ADDRESS", "<a href='mailto:[o'neil@example.org]'>"),
    (
        "EMAIL_ADDRESS",
        "[用户@例子.广告] [jörg@bücher.example] 메일[ann@example.org]입니다",
    ),
    ("EMAIL_ADDRESS", "[ann arobase example point fr] [ann arroba example punto es]"),
    ("EMAIL_ADDRESS", "[ann@example. com] or [ann @ example . org]"),
    ("EMAIL_ADDRESS", "It is [ann (at) example (dot) org], as ever."),
    ("EMAIL_ADDRESS", "It is [ann.lee at example dot co dot uk]"),
    ("EMAIL_ADDRESS", "It is [ann dot lee at example dot org]"),
    ("EMAIL_ADDRESS", "[ann_at_example_dot_org]"),
    ("EMAIL_ADDRESS", "Mail: [ann @ example.org]"),
    ("EMAIL_ADDRESS", "[ann＠example．org] [bob@example[.]org]"),
    ("EMAIL_ADDRESS", "[ann\u24d0example.org]"),
    ("URL_CREDENTIALS", "https://[joe:pa55@word]@example.org/path"),
    ("PHONE_NUMBER", "Ring [+44 20 7946 0958] today"),
    ("PHONE_NUMBER", "Ring [+44 (0)20 7946 0958] today"),
    ("PHONE_NUMBER", "or [0049 30 1234567]"),
    ("PHONE_NUMBER", "[(212) 555-0123], [212-555-0123] and [212.555.0123]"),
    ("PHONE_NUMBER", "My phone number is [2125550123]."),
    ("PHONE_NUMBER", "Tel. [030 1234567]"),
    ("PHONE_NUMBER", "téléphone [01 23 45 67 89]"),
    ("PHONE_NUMBER", "携帯[090-1234-5678]です"),
    ("PHONE_NUMBER", "fax [+1-903-240-4508x769], [(212) 555-0123 ext. 12]"),
    ("PHONE_NUMBER", "phone [2 1 2 5 5 5 0 1 2 3]"),
    ("CREDIT_CARD", "[4012888888881881]"),
    ("CREDIT_CARD", "[4111 1111 1111 1111] [3782-822463-10005] [5555.5555.5555.4444]"),
    ("CREDIT_CARD", "[4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1]"),
    ("CREDIT_CARD", "[41-11-11-11-11-11-11-11]"),
    ("CREDIT_CARD", "[４１１１１１１１１１１１１１１１]"),
    ("CREDIT_CARD", "[4111\u200b1111\u200b1111\u200b1111]"),
    ("CREDIT_CARD", "[٤١١١١١١١١١١١١١١١]"),
    ("CREDIT_CARD", "**[4111111111111111]** 卡号[4111111111111111]。"),
    ("CREDIT_CARD", "my visa card [4222222222222]"),
    ("IBAN_CODE", "[DE89370400440532013000]"),
    ("IBAN_CODE", "[GB82 WEST 1234 5698 7654 32] is mine"),
    ("IBAN_CODE", "[gb82west12345698765432], [NL91-ABNA-0417-1643-00]"),
    ("IBAN_CODE", "[D E 8 9 3 7 0 4 0 0 4 4 0 5 3 2 0 1 3 0 0 0]"),
    ("CRYPTO", "[1BoatSLRHtKNngkdXEeobR76b53LETtpyT]"),
    ("CRYPTO", "[bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq]"),
    ("CRYPTO", "[bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0]"),
    ("CRYPTO", "[0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed]"),
    (
        "CRYPTO",
        "[TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t] [rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh]",
    ),
    ("IP_ADDRESS", "from [203.0.113.7], [203[.]0[.]113[.]8] and [2001:db8::7:1]/64"),
    ("IP_ADDRESS", "[fe80::1ff:fe23:4567:890a] [::ffff:203.0.113.9]"),
    ("MAC_ADDRESS", "[00:1A:2b:3C:4d:5E] [00-1A-2B-3C-4D-5E] [001a.2b3c.4d5e]"),
    ("DATE_OF_BIRTH", "born on [12 March 1984] in a small town"),
    ("DATE_OF_BIRTH", "DOB: [03/12/1984], geboren am [3. Mai 1970]"),
    (
        "DATE_OF_BIRTH",
        "née le [1er mars 1980], fecha de nacimiento: [2 de mayo de 1980]",
    ),
    ("DATE_OF_BIRTH", "生年月日[1990年5月3日]"),
    ("US_SSN", "[078-05-1120]"),
    ("US_SSN", "social security number [078 05 1120]"),
    ("US_SSN", "the SSN is [078051120]"),
    ("US_ITIN", "[912-70-1234]"),
    ("US_PASSPORT", "passport no. [A12345678]"),
    ("US_DRIVER_LICENSE", "driver's license [D1234567]"),
    ("US_BANK_NUMBER", "bank account [000123456789]"),
    ("ABA_ROUTING_NUMBER", "routing number [021000021]"),
    ("US_NPI", "NPI [1234567893]"),
    ("US_MBI", "[1EG4-TE5-MK73]"),
    ("US_EIN", "EIN [12-3456789]"),
    ("MEDICAL_LICENSE", "DEA number [BB1388568]"),
    ("UK_NHS", "NHS number [943 476 5919]"),
    ("UK_NINO", "[AB 12 34 56 C] [AB123456C]"),
    ("UK_PASSPORT", "UK passport [AB1234567]"),
    ("UK_DRIVING_LICENCE", "[MORGA657054SM9IJ]"),
    ("DE_TAX_ID", "[86 095 742 719], Steuer-ID [86095742719]"),
    ("DE_HEALTH_INSURANCE", "KVNR [A123456780]"),
    ("DE_SOCIAL_SECURITY", "[15 070649 C 103] [15070649C103]"),
    ("DE_ID_CARD", "Personalausweis [T220001293]"),
    ("DE_PASSPORT", "Reisepass [C01X00T47]"),
    ("DE_LANR", "Arztnummer [123456601]"),
    ("AT_SVNR", "[1237 010180]"),
    ("CH_AHV", "[756.9217.0769.85]"),
    ("FR_NIR", "[1 85 05 78 006 084 91] [185057800608491] [1850578006084 91]"),
    ("FR_TAX_ID", "numéro fiscal [3023217600053]"),
    ("BE_NATIONAL_NUMBER", "[85.07.30-033.28]"),
    ("NL_BSN", "BSN [111222333]"),
    ("ES_NIF", "[12345678Z] [12345678-Z]"),
    ("ES_NIE", "[X1234567L] [X-1234567-L]"),
    ("ES_SOCIAL_SECURITY", "seguridad social [281234567840]"),
    ("ES_PASSPORT", "pasaporte [AAA123456]"),
    ("PT_NIF", "contribuinte [501 964 843]"),
    ("PT_CITIZEN_CARD", "[00000000 0 ZZ4]"),
    ("PT_NISS", "segurança social [12345678902]"),
    ("IT_FISCAL_CODE", "[RSSMRA85T10A562S]"),
    ("IT_VAT_CODE", "partita IVA [00743110157]"),
    ("IT_DRIVER_LICENSE", "patente [AA1234567B]"),
    ("IT_PASSPORT", "passaporto [AA1234567]"),
    ("IT_IDENTITY_CARD", "carta d'identità [CA12345AA]"),
    ("FI_PERSONAL_IDENTITY_CODE", "[131052-308T]"),
    ("SE_PERSONNUMMER", "[811228-9874] [19811228-9874]"),
    ("SE_ORGANISATIONSNUMMER", "organisationsnummer [556036-0793]"),
    ("DK_CPR", "CPR [211062-5629]"),
    ("NO_FODSELSNUMMER", "fødselsnummer [15108695088]"),
    ("PL_PESEL", "PESEL [44051401359]"),
    ("PL_NIP", "[526-104-08-28]"),
    ("PL_ID_CARD", "dowód osobisty [ABA300000]"),
    ("CZ_BIRTH_NUMBER", "[710319/2745]"),
    ("RO_CNP", "CNP [1630615123457]"),
    ("BG_EGN", "ЕГН [7523169263]"),
    ("EE_PERSONAL_CODE", "isikukood [36805280109]"),
    ("LT_PERSONAL_CODE", "asmens kodas [33309240064]"),
    ("HR_OIB", "OIB [33392005961]"),
    ("GR_AMKA", "ΑΜΚΑ [01013099997]"),
    ("IE_PPS", "[1234567FA]"),
    ("TR_NATIONAL_ID", "TC kimlik no [17291716060]"),
    ("IL_ID", "תעודת זהות [039337423]"),
    ("ZA_ID_NUMBER", "[8001015009087]"),
    ("NG_NIN", "NIN [12345678902]"),
    ("IN_AADHAAR", "[2341 2341 2346]"),
    ("IN_PAN", "[ACUPA7085R]"),
    ("IN_GSTIN", "[27AAPFU0939F1ZV]"),
    ("IN_VOTER", "voter ID [WKH1186253]"),
    ("IN_PASSPORT", "passport [A1234567]"),
    ("AU_TFN", "tax file number [123 456 782]"),
    ("AU_MEDICARE", "[2123 45670 1]"),
    ("AU_ABN", "[83 914 571 673]"),
    ("AU_ACN", "ACN [004 085 616]"),
    ("SG_NRIC_FIN", "[S1234567D] [M1234567K]"),
    ("SG_UEN", "[00192200M] [197401143C] [S16FC0121D]"),
    ("HK_ID_CARD", "[A123456(3]) 香港身份證"),
    ("CN_RESIDENT_ID", "[11010519491231002X]"),
    ("KR_RRN", "[901010-1234560]"),
    ("KR_FRN", "[901010-5234563]"),
    ("KR_BRN", "[124-81-00998]"),
    ("KR_PASSPORT", "여권번호 [M12345678]"),
    ("KR_DRIVER_LICENSE", "운전면허 [11-22-123456-10]"),
    ("JP_MY_NUMBER", "マイナンバー[123456789018]"),
    ("TH_TNIN", "[1-2345-45678-78-1]"),
    ("BR_CPF", "[390.533.447-05], CPF [39053344705]"),
    ("BR_CNPJ", "[16.727.230/0001-97]"),
    ("BR_PIS", "PIS [12056412545]"),
    ("MX_CURP", "[HEGG560427MVZRRL04]"),
    ("MX_RFC", "[GODE561231GR8]"),
    ("CA_SIN", "[123-456-782], SIN [123456782]"),
    ("CL_RUT", "[12.531.909-2]"),
    ("AR_CUIT", "[20-05536168-2]"),
]


_MARK = r"\[((?:[^\[\]]|\[\.\])+)\]"


def marked(text: str) -> tuple[str, list[str]]:
    """A text without its marks, and what stood between them."""
    return re.sub(_MARK, r"\1", text), re.findall(_MARK, text)


@pytest.mark.parametrize(("entity", "case"), FOUND, ids=lambda case: ascii(case)[:50])
def test_a_value_is_found_as_a_whole(entity: str, case: str) -> None:
    text, values = marked(case)
    assert [value for label, value in found(text) if label == entity] == values


def test_every_row_and_every_entity_has_a_case() -> None:
    assert {entity for entity, _ in FOUND} == set(country_of())


def test_every_row_says_where_its_rule_is_written_down() -> None:
    assert all(len(rule.source) > 10 for rule in rules())


@pytest.mark.parametrize(
    "text",
    {
        "card with a wrong check digit": "card 4111 1111 1111 1112",
        "card of no issuer": "1234567812345670",
        "number in a longer one": "id 1-4111111111111111-9",
        "decimals": "0.4111111111111111",
        "letters around it": "x4111111111111111y",
        "account with a wrong check": "IBAN DE88370400440532013000",
        "account of a wrong structure": "GB33BUKB2020155555555X",
        "account of no country": "XX89370400440532013000",
        "wallet with a wrong checksum": "1BoatSLRHtKNngkdXEeobR76b53LETtpyU",
        "wallet in the wrong case": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
        "no social security number": "SSN 000-12-3456, 666-12-3456, 900-12-3456",
        "nine digits": "order 078051120",
        "passport without a word": "A12345678",
        "version": "version 10.2.3.4 and v1.2.3.4",
        "addresses of nobody": "127.0.0.1 0.0.0.0 ::1 255.255.255.255",
        "code": "std::vector<int> a::b; x[1:2:3]",
        "time": "at 10:20:30 on 2024-05-01, 2024-05-01T10:20:30Z",
        "a date": "the meeting of 12 March 2024, on 03/12/2024",
        "no date": "born on 31 February 1984",
        "date of tomorrow": "born on 12 March 2984",
        "mail without a domain": "ann@example, @ann, a@b",
        "prose with at": "at booking.com, at the dot matrix, at some point in May",
        "url without a password": "https://joe@localhost/ http://example.org:8080/",
        "long numbers": "3.14159265358979323846264338327950288419716939937510",
        "years": "in 1999, 2000, 2001, 2002 and 2003; pages 117-119",
        "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "uuid": "123e4567-e89b-12d3-a456-426614174000",
    }.items(),
    ids=lambda case: case[0],
)
def test_what_is_not_a_value_is_left_alone(text: tuple[str, str]) -> None:
    assert found(text[1]) == []


def test_a_value_in_a_placeholder_is_not_found_but_a_typed_one_hides_none() -> None:
    text = "card 4111 1111 1111 1111"
    once = ALL.check(text).text
    assert ALL.check(once).text == once
    assert found("<CARD_1:4111111111111111>") == [("CREDIT_CARD", "4111111111111111")]


def test_a_word_near_it_raises_the_score() -> None:
    alone, near = (
        ALL.check(text).findings[0].score
        for text in ("078-05-1120", "my SSN: 078-05-1120")
    )
    assert alone < near <= 1


def test_the_nearest_word_decides_what_a_number_is() -> None:
    text = "tax file number 123456782"
    assert found(text) == [("AU_TFN", "123456782")]
    assert found("SIN 123456782, " + "x " * 60 + text)[0][0] == "CA_SIN"


class TestChoice:
    def test_entities_are_chosen_by_name(self) -> None:
        guard = PII(entities=("EMAIL_ADDRESS",))
        text = "ann@example.org, 4111 1111 1111 1111"
        assert found(text, guard) == [("EMAIL_ADDRESS", "ann@example.org")]

    def test_short_names_stand_for_the_long_ones(self) -> None:
        assert PII(entities=("EMAIL", "PHONE")) == PII(
            entities=("EMAIL_ADDRESS", "PHONE_NUMBER")
        )

    def test_countries_add_their_numbers_to_what_belongs_to_none(self) -> None:
        guard = PII(countries=("ES",))
        text = "12345678Z 078-05-1120 ann@example.org"
        assert [label for label, _ in found(text, guard)] == ["ES_NIF", "EMAIL_ADDRESS"]

    def test_countries_and_entities_add_up(self) -> None:
        guard = PII(entities=("EMAIL_ADDRESS",), countries=("ES",))
        text = "12345678Z 4111 1111 1111 1111 ann@example.org"
        assert [label for label, _ in found(text, guard)] == ["ES_NIF", "EMAIL_ADDRESS"]

    def test_countries_decide_whose_telephone_numbers(self) -> None:
        text = "(212) 555-0123, 020 7946 0958"
        assert found(text, PII(countries=("GB",))) == [
            ("PHONE_NUMBER", "020 7946 0958")
        ]

    def test_a_check_digit_is_enough_for_an_entity_that_is_named(self) -> None:
        assert found("9434765919") == []
        assert found("9434765919", PII(entities=("UK_NHS",))) == [
            ("UK_NHS", "9434765919")
        ]
        assert found("9434765918", PII(entities=("UK_NHS",))) == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"entities": ("UK_NSH",)}, "did you mean 'UK_NHS'"),
            ({"entities": ("TITLE",)}, "the model does not tell it"),
            ({"entities": "EMAIL_ADDRESS"}, "must be several"),
            ({"countries": ("UK",)}, "unknown country 'UK'"),
            ({"countries": "DE"}, "must be several"),
            ({"allow": "a"}, "must be several"),
            ({"allow": (3,)}, "allow: value 0 is a int"),
            ({"allow": ("",)}, "value 0 is empty"),
            ({"allow": ("a", re.compile("(a+)+$"))}, "pattern 1 can take exponential"),
            ({"operator": pg.Mask}, "such as Mask()"),
            ({"operator": "mask"}, "such as Mask()"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_a_mistake_is_named(self, arguments: dict, message: str) -> None:
        with pytest.raises(pg.ConfigError, match=re.escape(message)):
            PII(**arguments)


class Library:
    """As much of phonenumbers as is used."""

    NumberParseException = KeyError

    def parse(self, digits: str, region: str | None) -> str:
        return {("+12125550123", None): "abroad", ("2125550123", "US"): "home"}[
            digits, region
        ]

    def is_valid_number(self, number: str) -> bool:
        return number in ("abroad", "home")


class TestPhones:
    def test_the_library_decides_where_it_is_installed(self, monkeypatch) -> None:
        text = "call +1 212 555 0123, +1 212 555 0124, 2125550123 or 2125550124"
        monkeypatch.setattr(phones, "_library", Library)
        assert [value for _, value in found(text)] == ["+1 212 555 0123", "2125550123"]
        monkeypatch.setattr(phones, "_library", lambda: None)
        assert len(found(text)) == 4

    def test_the_real_library_agrees(self) -> None:
        pytest.importorskip("phonenumbers", reason="needs the extra pii")
        assert phones._library() is not None
        assert found("+44 20 7946 0958 and +44 20 79") == [
            ("PHONE_NUMBER", "+44 20 7946 0958")
        ]


class TestAllow:
    @pytest.mark.parametrize(
        "allowed", ["ann@example.org", re.compile(r".*@example\.org")]
    )
    def test_what_is_allowed_is_not_reported(self, allowed: object) -> None:
        guard = PII(allow=(allowed,))
        text = "ann@example.org ann@example.com"
        assert found(text, guard) == [("EMAIL_ADDRESS", "ann@example.com")]

    def test_a_pattern_has_to_match_all_of_it(self) -> None:
        guard = PII(allow=(re.compile("ann@example"),))
        assert found("ann@example.org", guard)

    def test_a_file_holds_values_and_patterns(self, tmp_path) -> None:
        path = tmp_path / "allow.txt"
        path.write_text("# ours\n\nann@example.org\n/.*@example\\.com/\n", "utf-8")
        text = "ann@example.org bob@example.com bob@example.org"
        guard = PII(allow=(path,))
        assert found(text, guard) == [("EMAIL_ADDRESS", "bob@example.org")]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"a\n/(/\n", "allow.txt, line 2: bad pattern"),
            (b"/(a+)+$/\n", "allow.txt, line 1: the pattern can take exponential"),
            (b"\xff\xfe", "allow.txt cannot be read as UTF-8"),
            (None, "allow.txt cannot be read as UTF-8 text: FileNotFoundError"),
        ],
        ids=["bad", "slow", "binary", "missing"],
    )
    def test_a_bad_line_or_file_is_named(self, tmp_path, content, message) -> None:
        path = tmp_path / "allow.txt"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(pg.ConfigError, match=re.escape(message)):
            PII(allow=(path,)).check("ann@example.org")

    def test_nothing_inside_an_allowed_value_is_reported(self) -> None:
        guard = PII(allow=("DE89 3704 0044 0532 0130 00",))
        assert found("IBAN DE89 3704 0044 0532 0130 00", guard) == []


class TestOperators:
    TEXT = "Card 4111 1111 1111 1111, again 4111 1111 1111 1111."

    def redacted(self, operator: object) -> str:
        return PII(operator=operator).check(self.TEXT).text

    def test_a_placeholder_is_the_same_for_the_same_value(self) -> None:
        first, second = re.findall("<CREDIT_CARD_1:[0-9a-f]{16}>", self.redacted(None))
        assert first == second

    def test_a_mask_keeps_the_end(self) -> None:
        masked = "*" * 15 + "1111"
        assert self.redacted(pg.Mask()) == f"Card {masked}, again {masked}."
        assert self.redacted(pg.Mask(keep=0)).count("*") == 38

    def test_a_mask_never_shows_more_than_half(self) -> None:
        assert pg.Mask()("EMAIL_ADDRESS", "a@b.cd") == "****cd"

    def test_a_hash_depends_on_value_and_key(self) -> None:
        one, two = (pg.Hash(key=key * 16)("US_SSN", "1") for key in (b"a", b"b"))
        assert re.fullmatch("<US_SSN:[0-9a-f]{32}>", one)
        assert one != two != pg.Hash(key=b"b" * 16)("US_SSN", "2")

    def test_nothing_may_be_put_in_its_place(self) -> None:
        assert self.redacted(pg.Remove()) == "Card , again ."

    def test_a_function_of_the_caller(self) -> None:
        text = self.redacted(lambda label, value: f"({label}, {len(value)})")
        assert text == "Card (CREDIT_CARD, 19), again (CREDIT_CARD, 19)."

    @pytest.mark.parametrize(
        ("operator", "reason"),
        [
            (lambda label, value: None, "gave a NoneType instead of a string"),
            (lambda label, value: {}[value], "KeyError"),
        ],
    )
    def test_a_function_that_breaks_blocks_and_does_not_say_the_value(
        self, operator: object, reason: str
    ) -> None:
        with pytest.raises(pg.GuardError, match=reason) as caught:
            self.redacted(operator)
        assert "4111" not in str(caught.value)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: pg.Mask(keep=5),
            lambda: pg.Mask(keep=-1),
            lambda: pg.Mask(keep="2"),
            lambda: pg.Hash(key=b"short"),
            lambda: pg.Hash(key="a" * 32),
        ],
    )
    def test_a_mistake_in_an_operator_is_named(self, make) -> None:
        with pytest.raises(pg.ConfigError, match=r"keep must|key must"):
            make()

    def test_a_key_is_neither_shown_nor_pickled_with_a_verdict(self) -> None:
        verdict = PII(operator=pg.Hash(key=b"k" * 16)).check(self.TEXT)
        assert b"kkkk" not in pickle.dumps(verdict)
        assert "kkkk" not in repr(verdict) + repr(PII(operator=pg.Hash(key=b"k" * 16)))
        assert pickle.loads(pickle.dumps(verdict)).findings == verdict.findings

    def test_two_operators_over_one_value_leave_a_placeholder(self) -> None:
        twice = PII(operator=pg.Mask()) | pg.Regex(
            "4111 1111", action=pg.Action.REDACT, label="mine"
        )
        assert "1111" not in twice.check("4111 1111 1111 1111").text

    def test_a_call_and_a_stream_use_the_operator(self) -> None:
        @pg.guarded(input=PII(operator=pg.Mask()), output=PII(operator=pg.Remove()))
        def ask(prompt: str):
            yield prompt[:12]
            yield " and 4012 8888"
            yield " 8888 1881."

        assert "".join(ask("4111111111111111")) == "*" * 12 + " and ."

    def test_what_a_placeholder_hides_is_restored(self) -> None:
        @pg.guarded(input=PII(), restore=True)
        def ask(prompt: str) -> str:
            assert "4111" not in prompt
            return f"You said: {prompt}"

        assert ask("card 4111111111111111") == "You said: card 4111111111111111"


@pytest.mark.parametrize(
    "guard",
    [ALL, PII(operator=pg.Mask()), PII(entities=("PHONE_NUMBER",), allow=("a",))],
    ids=["all", "mask", "phones"],
)
def test_it_keeps_the_rules_of_guards(guard: PII) -> None:
    texts = [marked(case)[0] for _, case in FOUND[::9]]
    check_guard(guard, [*texts, "nothing to see here"], long=5_000)
