from pathlib import Path

import pytest

import toy
from safas.errors import InputError, ProtocolError
from safas.prepared import prepared_samples, protocols_of


def test_a_folder_that_is_not_prepared_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a prepared folder"):
        prepared_samples(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        prepared_samples(tmp_path / "nowhere")


def test_protocols_are_checked_before_anything_is_trained() -> None:
    samples = toy.samples()
    with pytest.raises(ProtocolError, match="unknown domain 'z'"):
        protocols_of(("a,b->z",), samples)


def test_no_named_protocol_means_each_domain_once() -> None:
    names = [protocol.name for protocol in protocols_of((), toy.samples(), "whole-target")]
    assert names == ["b&c->a", "a&c->b", "a&b->c"]
