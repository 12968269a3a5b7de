"""What an operator does about a cluster: look at it, and make it ready."""

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from tasks.upkeep.run_names import named_by_verb
from tasks.upkeep.site_checks import examine_site, prepare_site, show_findings

By = Annotated[str, Field(min_length=1, max_length=100)]
SiteName = Annotated[str, Field(min_length=1, max_length=64)]


@flow(name="operate", flow_run_name=named_by_verb("prepare", "site"))
async def prepare(by: By, site: SiteName, wheelhouse: str = "", base: str = "python3") -> State:
    """Make a Slurm site ready: folders, the runner, a Python with the imaging libraries.

    Args:
        by: who asks; the history names you
        site: the site, as sites.yaml names it
        wheelhouse: a folder of wheels on the worker's host, for a cluster without a way to PyPI
        base: the interpreter over there that the venv is made with, Python 3.11 or newer
    """
    done = await prepare_site(site, wheelhouse, base, by)
    return Completed(message="; ".join(done))


@flow(name="operate", flow_run_name=named_by_verb("doctor", "site"))
async def doctor(by: By, site: SiteName) -> State:
    """Look at a site: a cluster's speed, clock, limits, folder, Python, and the way back to us.

    Submits one job as the driver does, to see whether a node runs the modules and reaches us. Of a
    site that agents work, it looks at its queue and at them.

    Args:
        by: who asks
        site: the site, as sites.yaml names it
    """
    found = await show_findings(site, await examine_site(site))
    return Completed(message=found) if found == "well" else Failed(message=found)
