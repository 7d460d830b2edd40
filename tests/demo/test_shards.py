"""Eight jobs, each in a checkout of its own, ask the demo's site by shards; a ninth judges what they bring."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from preflight.demo.site import DemoSite
from tests.cli.program import preflight

pytestmark = [pytest.mark.long, pytest.mark.case(32)]
JOBS = 8


@pytest.fixture
def checkout() -> Iterator[Path]:
    """The demo's plan, split over two files; each entry with a password of its own, so that no two must be together."""
    with DemoSite(rehearsed=True) as site:
        folder, number = site.plan_path.parent, count()

        def own(found: re.Match[str]) -> str:
            copy = f"{found[1]}.{next(number)}"
            shutil.copy(folder / found[1], folder / copy)
            return f"file:{copy}"

        text = re.sub(r"file:(secrets/[^\"]+)", own, site.plan_path.read_text())
        begin = text.index("[hosts.")
        site.plan_path.write_text(f'include = ["site.toml"]\n{text[:begin]}')
        (folder / "site.toml").write_text(text[begin:])
        yield folder


def findings(report: str) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """Without what differs from one run to the next: times, and sizes and offsets told in sentences."""
    kept = ("status", "severity", "owner", "cause", "title", "reason", "remedy", "waiver")
    return {
        (each["check"], each["subject"]): {key: each.get(key) for key in kept}
        for each in json.loads(report)["findings"]
    }


def test_eight_jobs_in_eight_folders_are_judged_in_a_ninth_as_one_run(checkout: Path, tmp_path: Path) -> None:
    whole = preflight("run", checkout / "demo.toml", "--format", "json", "--evidence", tmp_path / "whole.json")
    files = []
    for number in range(1, JOBS + 1):
        folder = tmp_path / ("a" * number) / f"job {number}"
        shutil.copytree(checkout, folder)
        for script in folder.rglob("*.sql"):  # as another umask would have it, and another time of the checkout
            script.chmod(0o600 | number)
            os.utime(script, (number, number))
        file = tmp_path / f"{number}.json"
        done = preflight("collect", folder / "demo.toml", "--shard", f"{number}/{JOBS}", "--output", file)
        assert (done.returncode, done.stderr) == (0, "")
        assert str(folder) not in file.read_text(), "evidence names the folder it was collected in"
        shutil.rmtree(folder)
        files.append(file)
    ninth = tmp_path / "ninth"
    shutil.copytree(checkout, ninth)
    judged = preflight("judge", ninth / "demo.toml", *files, "--format", "json")
    assert judged.returncode == whole.returncode, judged.stderr
    assert findings(judged.stdout) == findings(whole.stdout)
    targets = [{each["question"]["target"] for each in json.loads(file.read_text())["answers"]} for file in files]
    machines = [names & {"db1", "db2", "app1-a"} for names in targets]
    assert [len(names) for names in machines].count(1) == 3, "each machine in one shard"
    for lost, names in zip(files, targets, strict=True):
        if names == {"plan"}:
            continue
        short = preflight("judge", ninth / "demo.toml", *(file for file in files if file != lost), "--format", "json")
        assert short.returncode in (1, 3)
        assert f"shard {lost.stem} of {JOBS} is missing, which asks" in short.stdout
