"""Sites as `sites.yaml` lists them."""

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sites import CAPABILITIES, Site, SiteKind, SitesError, load_sites

EXAMPLE = (Path(__file__).parents[3] / "deployments" / "sites.example.yaml").read_text(
    encoding="utf-8"
)


def test_the_example_keeps_its_order_and_its_meaning() -> None:
    sites = load_sites(EXAMPLE, "sites.yaml")
    assert [(site.name, site.kind, site.uses) for site in sites] == [
        ("local", "local", None),
        ("ucloud", "slurm", "slurm"),
        ("computerome", "pull", "torque"),
    ]
    assert [site.open for site in sites] == [True, False, False]
    for site in sites:
        assert Site.model_validate(site.definition()) == site


@pytest.mark.parametrize(
    ("address", "admitted"),
    [("192.0.2.9", True), ("::ffff:192.0.2.9", True), ("192.0.3.9", False), ("nobody", False)],
)
def test_scripts_without_a_token_call_from_listed_networks_only(
    address: str, admitted: bool
) -> None:
    assert load_sites(EXAMPLE, "sites.yaml")[1].admits(address) is admitted


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "kind: slurm",
            "kind: slrum",
            "line 12: kind: no kind of site 'slrum'; nearest is 'slurm'",
        ),
        ("    python: /work/refinery/venv/bin/python\n", "", "line 11: .*needs `python`"),
        ("    callback: none ", "    callbak: none", "line 31: .*nearest is 'callback'"),
        ("callback: https:", "callback: ftp:", "line 17: .*not a URL"),
        ("callback: https://", "callback: https://me:secret@", "line 17: .*not a URL"),
        ("192.0.2.0/24", "192.0.2.1/24", "line 18: .*host bits"),
        ("site: ucloud", "site: local", "line 11: site local is written twice"),
        ("max_running: 64", "max_running: many", "line 20: .*integer"),
        ("root: /work/refinery", "root: /work/../etc", "line 13: .*'..'"),
        ("root: /work/refinery", "root: work", "line 11: .*absolute"),
        ("sites:", "site:", "line 3: unknown key 'site'; nearest is 'sites'"),
    ],
)
def test_a_mistake_is_refused_with_its_line(old: str, new: str, words: str) -> None:
    assert old in EXAMPLE
    with pytest.raises(SitesError, match=words):
        load_sites(EXAMPLE.replace(old, new, 1), "sites.yaml")


def test_what_sites_share_is_written_once() -> None:
    text = EXAMPLE.replace("sites:", "x-there: &there {python: /venv/bin/python}\nsites:", 1)
    text = text.replace("    python: /work/refinery/venv/bin/python\n", "    <<: *there\n")
    assert load_sites(text, "sites.yaml")[1].python == "/venv/bin/python"


@given(st.text() | st.text().map(lambda text: f"sites: [{text}]"))
def test_any_text_is_sites_or_a_sites_error(text: str) -> None:
    try:
        assert load_sites(text, "any.yaml")
    except SitesError as error:
        assert error.problems[0].line >= 1


def test_only_the_table_of_capabilities_depends_on_the_kind_of_site() -> None:
    compared = re.compile(
        r"""kind\b[^\n]{0,3}(==|!=|=|<>|IN)[^\n]{0,3}['"(]+(local|slurm|pull)\b"""
    )
    found = [
        f"{path}: {line.strip()}"
        for room in ("api", "flows", "hpc", "refinery", "tasks", "track")
        for path in Path(room).rglob("*.py")
        if "schema" not in path.parts
        for line in path.read_text().splitlines()
        if compared.search(line)
    ]
    assert not found
    assert set(CAPABILITIES) == set(get_args(SiteKind))
