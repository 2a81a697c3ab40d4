"""Verdicts as columns of a frame of pandas."""

from __future__ import annotations

import pytest
from batch_guards import TEXTS, WORDS

from promptguard import ConfigError
from promptguard.batch import Check, with_verdicts

pd = pytest.importorskip("pandas", reason="with_verdicts is for frames of pandas")
CHECK = Check(WORDS, redacted=True)


@pytest.mark.parametrize("kind", ["object", "string", "category"])
@pytest.mark.parametrize(
    "missing", [None, float("nan"), pd.NA], ids=["None", "nan", "NA"]
)
def test_a_frame_gets_the_columns_beside_its_own(kind, missing):
    texts = [*TEXTS, missing]
    column = pd.Series(texts, dtype=kind, index=range(50, 57))
    frame = pd.DataFrame({"text": column})
    made = with_verdicts(frame, CHECK)
    expected = CHECK.columns([*TEXTS, None])
    assert list(frame.columns) == ["text"]
    assert list(made.index) == list(range(50, 57))
    assert list(made.columns) == ["text", *expected]
    for name, values in expected.items():
        assert (
            made[name].astype(object).where(made[name].notna(), None).tolist() == values
        )
    assert made["verdict_blocked"].dtype == bool
    assert made["verdict_score"].dtype == float


def test_a_frame_without_rows_has_the_columns_too():
    made = with_verdicts(pd.DataFrame({"text": pd.Series([], dtype=object)}), CHECK)
    assert list(made.columns) == ["text", *CHECK.types]
    assert len(made) == 0


def test_a_frame_without_the_column_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'prompt'"):
        with_verdicts(pd.DataFrame({"prompt": ["a"]}), CHECK, "promt")
    checked = with_verdicts(pd.DataFrame({"text": ["a"]}), CHECK)
    with pytest.raises(ConfigError, match="choose another prefix"):
        with_verdicts(checked, CHECK)
