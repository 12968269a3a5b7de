"""Makes a cluster ready: folders, the runner, and a Python with the imaging libraries.

A venv is built over there, from wheels sent along where its login node has no way to
them. What is there already is left alone; the same again changes nothing.
"""

import shlex
from pathlib import Path

from hpc.runner.libraries import IMAGING
from hpc.sites.shipping import tar_pieces
from hpc.sites.slurm.answers import SiteTrouble
from hpc.sites.slurm.cluster import Cluster
from schemas.sites import Site

BUILD_S = 1800.0


async def prepare(
    site: Site, cluster: Cluster, runner: Path, *, wheelhouse: Path | None = None, base: str = ""
) -> list[str]:
    """Make the site ready; what was done, a line each.

    `wheelhouse` is a folder of wheels for that machine's Python; without one, pip over there
    fetches them. `base` is the interpreter the venv is made with. Raises SiteTrouble, WireError.
    """
    done = []
    hello = await cluster.hello(runner.name)
    if hello.troubles:
        raise SiteTrouble("; ".join(hello.troubles))
    done.append(f"folders under {site.root} are there")
    if not hello.has_runner:
        await cluster.send([], runner=runner)
    done.append(f"the runner is {runner.name}")
    if site.python is None:
        raise SiteTrouble(f"site {site.name} has no `python`")
    if await _usable(cluster, site.python, runner, site.root):
        return [*done, f"{site.python} runs every module already"]
    if wheelhouse is not None:
        wheels = {each.name: each for each in sorted(wheelhouse.glob("*.whl"))}
        if not wheels:
            raise SiteTrouble(f"{wheelhouse} holds no wheel: fill it with `pip download --dest`")
        # One stream: many files one by one would cost a round trip each.
        await cluster.place_wheels(tar_pieces(wheels), BUILD_S)
        done.append(f"{len(wheels)} wheels sent")
    await _build(site, cluster, base or "python3", wheels=wheelhouse is not None)
    if not await _usable(cluster, site.python, runner, site.root):
        raise SiteTrouble(f"{site.python} was built and still does not run every module")
    return [*done, f"{site.python} was built and runs every module"]


async def _usable(cluster: Cluster, python: str, runner: Path, root: str) -> bool:
    code, _, _ = await cluster.run(
        [python, f"{root}/bin/{runner.name}", "--check"], deadline_s=120.0
    )
    return code == 0


async def _build(site: Site, cluster: Cluster, base: str, *, wheels: bool) -> None:
    python = Path(site.python or "")
    if python.parent.name != "bin":
        raise SiteTrouble(
            f"{python} is missing and is no venv's python (…/bin/python): build it by hand, "
            "or name a path that a venv may be made at"
        )
    venv = python.parent.parent
    source = ["--no-index", f"--find-links={site.root}/wheels"] if wheels else []
    pip = [f"{venv}/bin/python", "-m", "pip", "install", "--quiet", *source, *IMAGING]
    line = f"{shlex.join([base, '-m', 'venv', str(venv)])} && {shlex.join(pip)}"
    code, output, complaint = await cluster.run(["/bin/sh", "-c", line], deadline_s=BUILD_S)
    if code != 0:
        text = (complaint or output).strip()[-600:]
        raise SiteTrouble(f"the venv {venv} could not be built with {base}: {text}")
