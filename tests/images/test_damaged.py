"""Damaged files, as `python tests/mutate_pictures.py` makes more of."""

import pytest
from mutate_pictures import outcomes


@pytest.mark.parametrize("count", [140, pytest.param(600, marks=pytest.mark.slow)])
def test_damaged_files_are_refused_in_a_sentence_or_restored(tmp_path, count):
    found = [(picture.suffix, outcome) for picture, outcome in outcomes(count, 0, tmp_path)]
    assert [(suffix, o.fault) for suffix, o in found if o.fault] == []
    refused = {suffix for suffix, outcome in found if not outcome.restored}
    assert len(refused) == 7  # of each format some, or nothing was damaged
    assert any(outcome.restored for _, outcome in found)
