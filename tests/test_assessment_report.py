"""The whole of report.json: complete, valid, and the same each time."""

import json

import reports


def test_an_example_with_every_part_is_valid_json() -> None:
    report, rows = reports.example()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [name for name, value in report.items() if value is None] == []
    assert report["pooled"]["n"] == len(rows.filter(label="spoof").drop_nulls("score"))


def test_the_same_scores_give_the_same_report() -> None:
    assert reports.example()[0] == reports.example()[0]
