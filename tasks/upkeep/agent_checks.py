"""What the doctor finds at a site whose work agents take: all that can be seen from here."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.sites.slurm.doctor import SiteFinding
from schemas.sites import Site
from track.jobs.agents import SILENT_S
from track.reports.agents import AgentSeen, agents_seen, site_queues

JOINS = "let a machine join: operate/agent with join={site}, then `refinery-agent join` over there"


async def examine_agents(tx: AsyncConnection, site: Site) -> list[SiteFinding]:
    """Whether somebody takes a site's work, can take all of it, and is heard of."""
    agents = await agents_seen(tx, site.name)
    (queue,) = [row for row in await site_queues(tx) if row.site == site.name]
    waits = f"{queue.jobs} jobs wait, the oldest for {queue.oldest_s / 60:.0f} min"
    takes = [each for each in agents if each.order == "run" and _is_well(each)]
    joins = JOINS.format(site=site.name)
    found = [
        SiteFinding("agents", bool(agents), f"{len(agents)} have joined", joins),
        SiteFinding("switch", queue.open, "on" if queue.open else "off", "operate/switch"),
        SiteFinding("queue", bool(takes) or not queue.jobs, waits, "no agent takes work now"),
    ]
    return found + [_of_agent(each) for each in agents]


def _is_well(of: AgentSeen) -> bool:
    return of.silent_s < SILENT_S and not of.trouble


def _of_agent(of: AgentSeen) -> SiteFinding:
    heard = f"{of.state}, heard of {of.silent_s:.0f} s ago, order {of.order}, units {of.units}"
    remedy = "look at its machine: `refinery-agent run --status`"
    if of.trouble:
        heard += f"; it takes no work: {of.trouble}"
    if of.overdue:
        heard += f", {of.overdue} attempts overdue"
        remedy += "; who knows that it will never come back says operate/agent order=gone"
    return SiteFinding(f"agent {of.id} ({of.name})", _is_well(of), heard, remedy)
