"""The price table that a user owns."""

from __future__ import annotations

import pytest

from promptguard import ConfigError
from promptguard.prices import Price, Prices

TABLE = """\
currency = "EUR"

[models]
"gpt-4o*" = { in = 2.5, out = 10 }
"gpt-4o-mini*" = { in = 0.15, out = 0.6 }
"gpt-4o-mini-audio" = { in = 100 }
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(TABLE)
    return Prices.read(path)


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("gpt-4o", 2.5 + 20),
        ("gpt-4o-mini", 0.15 + 1.2),
        ("gpt-4o-mini-audio", 100),
        ("claude", None),
    ],
)
def test_the_name_goes_before_patterns_and_long_ones_before_short(table, model, cost):
    assert table.cost(model, 1_000_000, 2_000_000) == (
        None if cost is None else pytest.approx(cost)
    )


def test_tokens_nobody_counted_cost_nothing_that_is_known(table):
    assert table.cost("gpt-4o", None, None) is None
    assert table.cost("gpt-4o", 1_000_000, None) == 2.5


def test_the_currency_is_the_files(table):
    assert (table.currency, Prices().currency) == ("EUR", "USD")


def test_a_table_compares_by_value(table):
    assert table.models[2] == Price("gpt-4o-mini-audio", 100.0, 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = 3", "models must be a table"),
        ("[model]", "did you mean 'models'"),
        ("[models]\nx = 3", "models.'x' must be a table"),
        ("[models]\nx = { ou = 3 }", "did you mean 'out'"),
        ("[models]\nx = { in = '3' }", "models.'x'.in must be a number"),
        ("[models]\nx = { in = true }", "models.'x'.in must be a number"),
        ("[models]\nx = { out = -1 }", "models.'x'.out must be 0 or more"),
        ("[models]\nx = { out = nan }", "models.'x'.out must be 0 or more"),
        ("currency = 3", "currency must be a short name"),
        ("[models", "is not TOML"),
    ],
)
def test_a_wrong_table_says_what_is_wrong_and_where(tmp_path, text, said):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"prices\.toml: ") as caught:
        Prices.read(path)
    assert said in str(caught.value)


def test_a_table_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        Prices.read(tmp_path / "none.toml")
