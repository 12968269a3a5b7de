"""A campaign's schedule: drawn from its seed, in order, undone, and only of what can be done."""

import random
from pathlib import Path

import pytest
import yaml

from demo.ars.faults import Rule
from demo.strikes import (
    ARCHIVE,
    LASTING,
    MAX_STRIKES,
    NAMES,
    WINDOW_S,
    Striker,
    copy_pipelines,
    schedule,
    write_sites,
)
from hpc.runner.registry import names
from refinery.definitions import read_sites
from refinery.settings import Settings
from schemas.pipeline.load import load_pipelines

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_strikes_the_same_in_the_same_order(seed: int) -> None:
    strikes = schedule(random.Random(seed))
    assert strikes == schedule(random.Random(seed)) == sorted(strikes)
    begun = [strike for strike in strikes if not strike.undoes]
    assert 1 <= len(begun) <= MAX_STRIKES
    assert all(0 < strike.at_s <= WINDOW_S for strike in begun)


def test_every_strike_comes_up_and_what_lasts_is_undone() -> None:
    drawn = [schedule(random.Random(seed)) for seed in range(500)]
    begun = {strike.what for strikes in drawn for strike in strikes if not strike.undoes}
    assert begun == set(NAMES)
    for strikes in drawn:
        lasting = sorted(LASTING[each.what][0] for each in strikes if each.what in LASTING)
        assert sorted(each.what for each in strikes if each.undoes) == lasting


def test_every_strike_has_an_act(tmp_path: Path) -> None:
    striker = Striker(Settings.load(tmp_path, {}), {})
    ends = {end for end, _ in LASTING.values()}
    acts = {name for name in {*NAMES, *ends} if not name.startswith(("kill ", "archive: "))}
    assert acts == set(striker.acts)


@pytest.mark.parametrize("name", ARCHIVE)
def test_the_stand_in_understands_every_fault_of_the_archive(name: str) -> None:
    assert Rule.model_validate(ARCHIVE[name]).count


def test_a_campaigns_pipelines_are_the_projects_with_a_narrower_throttle(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {"REFINERY_PIPELINES": str(tmp_path / "pipelines")})
    copy_pipelines(settings, ROOT / "deployments" / "pipelines", assets_in_flight=2)
    for path in settings.pipelines.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert load_pipelines(text, str(path), names())
        throttles = [each.get("throttle") for each in yaml.safe_load_all(text)]
        assert {each["assets_in_flight"] for each in throttles if each} == {2}


@pytest.mark.parametrize("callback", [None, "http://127.0.0.1:8000"])
def test_a_campaigns_sites_are_this_machine_and_agents(
    tmp_path: Path, callback: str | None
) -> None:
    settings = Settings.load(tmp_path, {"REFINERY_SITES_FILE": str(tmp_path / "own" / "s.yaml")})
    write_sites(settings, callback)
    assert [(each.kind, each.callback) for each in read_sites(settings)] == [
        ("local", None),
        ("pull", callback),
    ]
