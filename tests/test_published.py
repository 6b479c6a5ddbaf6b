import pytest

from safas.protocols import LETTERS, protocols_named
from safas.published import ORACLE, PUBLISHED, PUBLISHED_PROTOCOLS, published_column


def test_the_columns_are_the_protocols_that_their_letters_spell() -> None:
    names = protocols_named("ocim", LETTERS.values())
    assert {published_column(p.sources, p.target) for p in names} == set(PUBLISHED_PROTOCOLS)
    assert published_column(("msu-mfsd", "replay-attack"), "casia-fasd") is None
    assert published_column(("oulu-npu", "casia-fasd", "replay-attack"), "msu-mfsd") == "OCI→M"
    assert published_column(("laptop", "phone", "tablet"), "webcam") is None


def test_figures_are_percent_and_name_their_source_and_rule() -> None:
    for line in PUBLISHED:
        assert line.method
        assert line.source
        assert set(line.auc) <= set(line.hter) <= set(PUBLISHED_PROTOCOLS)
        assert all(0.5 <= value < 30 for value in line.hter.values())
        assert all(80 <= value < 100 for value in line.auc.values())
    assert [line.method for line in PUBLISHED if line.rule != ORACLE] == ["SSDG-R"]


def test_the_papers_own_means() -> None:
    """SA-FAS: (5.95 + 8.78 + 6.58 + 10.00) / 4 = 31.31 / 4 = 7.8275; with its rows in the tables' order it comes
    before GAC-FAS, (5.00 + 8.20 + 4.29 + 8.60) / 4 = 6.5225."""
    means = {
        line.method: sum(line.hter.values()) / 4 for line in PUBLISHED if line.method in ("SA-FAS", "GAC-FAS")
    }
    assert means == {"SA-FAS": pytest.approx(7.8275), "GAC-FAS": pytest.approx(6.5225)}
