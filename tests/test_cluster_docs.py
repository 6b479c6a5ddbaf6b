"""The page on many machines: its commands are commands, its manifest is one."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from safas.cli import _parse

PAGE = (Path(__file__).parent.parent / "docs" / "cluster.md").read_text(encoding="utf-8")
(MANIFEST,) = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
BLOCKS = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
TYPED = [command for block in BLOCKS for command in re.findall(r"safas (?:prepare|benchmark) [^&\n]+", block)]


@pytest.mark.parametrize("command", [*TYPED, MANIFEST["spec"]["entrypoint"].removeprefix("safas ")])
def test_every_command_is_understood(command: str) -> None:
    parsed = _parse(shlex.split(command.removeprefix("safas "), comments=True))
    assert parsed.engine == ("ray" if "--engine ray" in command else "local")


def test_there_are_commands() -> None:
    assert len(TYPED) == 6


def test_the_manifest_gives_each_run_a_worker_with_its_gpu() -> None:
    """A RayJob whose Pods all see the claim at the folder that the command names, and have the image's Ray."""
    assert (MANIFEST["apiVersion"], MANIFEST["kind"]) == ("ray.io/v1", "RayJob")
    cluster: dict[str, Any] = MANIFEST["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert [(m["name"], m["mountPath"]) for m in container["volumeMounts"]] == [("data", "/data")]
        assert [volume["name"] for volume in pod["volumes"]] == ["data"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert f"rayproject/ray:{cluster['rayVersion']}-" in PAGE


def test_the_costs_are_those_that_were_measured() -> None:
    """The page's table is the one that the benchmark printed, line by line."""
    results = (Path(__file__).parent.parent / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    told = [line for line in PAGE.partition("## What it costs")[2].splitlines() if line.startswith("|")]
    assert len(told) == 9
    assert set(told) <= set(results.splitlines())


def test_the_links_lead_somewhere() -> None:
    docs = Path(__file__).parent.parent / "docs"
    for target in re.findall(r"\]\((?!https)([^)#]+)", PAGE):
        assert (docs / target).is_file(), target
