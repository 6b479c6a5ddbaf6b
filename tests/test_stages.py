import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from safas.stages import Stages, peak_memory


def test_time_adds_up_over_sittings_and_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((1.0, 3.0, 10.0, 15.0))
    monkeypatch.setattr("safas.stages.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    stages = Stages(tmp_path / "stages.json")
    with stages.stage("train"):
        pass
    again = Stages(tmp_path / "stages.json")
    with pytest.raises(ValueError, match="stop"), again.stage("train"):
        raise ValueError("stop")
    assert (stages.seconds, again.seconds) == ({"train": 2.0}, {"train": 7.0})
    assert Stages(tmp_path / "stages.json").seconds == {"train": 7.0}


def test_a_broken_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "stages.json").write_text("{")
    assert Stages(tmp_path / "stages.json").seconds == {}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is read from /proc, which Linux has")
def test_peak_memory_sees_what_was_allocated_and_given_back() -> None:
    with peak_memory() as peak:
        before = peak()
        block = np.ones(25_000_000)  # 200 MB
        seen = peak()
        del block
        time.sleep(0.01)
        assert seen - before > 150e6
        assert peak() >= seen
