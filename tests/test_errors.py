"""The exception tree: one line, and what a caller may catch."""

import pytest

from safas import errors
from safas.errors import InputError, MetricError, ProtocolError, SafasError, TableError


def test_message_is_one_line_of_where_what_and_remedy():
    error = TableError("column 'label'\n  holds 'real'", where="samples.csv", remedy="Allowed: live,\nspoof.")
    assert str(error) == "samples.csv: column 'label' holds 'real'. Allowed: live, spoof."
    assert (error.where, error.remedy) == ("samples.csv", "Allowed: live,\nspoof.")


def test_where_and_remedy_may_be_absent():
    assert str(ProtocolError("no '->' in the protocol")) == "no '->' in the protocol"


@pytest.mark.parametrize("cause", ["first line\nsecond line", "two  blanks"])
def test_message_without_remedy_is_one_line_too(cause):
    assert "\n" not in str(InputError(cause, where="x"))


def test_every_error_is_a_safas_error_and_drawn_in_the_docstring():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) >= 7
    for kind in kinds:
        assert issubclass(kind, SafasError)
        assert kind.__name__ in (errors.__doc__ or "")


def test_metric_errors_are_value_errors_for_users_of_the_metrics_alone():
    with pytest.raises(ValueError, match="no live"):
        raise MetricError("no live presentation")
    assert issubclass(TableError, InputError)
