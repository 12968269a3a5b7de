"""What an operator may do, one flow per verb; each is a deployment `operate/<verb>`.

Every verb takes `by`, the person who asks: the history names them. Every verb may be
repeated, and answers with a table of what it did and what it left alone, and why.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.metadata.corrections import ACCEPTED
from tasks.upkeep import pushing
from tasks.upkeep.definitions import load_definitions
from tasks.upkeep.operator import do_once, do_to_jobs, do_to_pages, let_join
from tasks.upkeep.retention_rules import RuleChange, change_retention
from tasks.upkeep.run_names import named_by_verb
from track.commands import agents, operations, switches
from track.commands.selection import CannotDo, Selection, select_jobs
from track.schema.states import State as JobState

By = Annotated[str, Field(min_length=1, max_length=100)]
Guid = Annotated[str, Field(min_length=1, max_length=200)]
FieldName = Annotated[str, Field(json_schema_extra={"enum": list(ACCEPTED)})]


@flow(name="operate", flow_run_name=named_by_verb("pipeline"))
async def pipeline(by: By, path: str = "deployments/pipelines", dry_run: bool = False) -> State:
    """Load pipeline definitions, also while their work is in flight; shows its plan first.

    Args:
        by: who asks; the history names you
        path: a YAML file, or a folder of them, on the worker's host
        dry_run: yes only shows the plan: stages added, taken out, re-parented, changed, and how
            many jobs each concerns
    """
    return await load_definitions(by, Path(path), dry_run=dry_run)


@flow(
    name="operate", flow_run_name=named_by_verb("resubmit", "guid", "stage", "session", "pipeline")
)
async def resubmit(
    by: By,
    guid: Guid | None = None,
    stage: str | None = None,
    session: UUID | None = None,
    pipeline: str | None = None,
    why: str = "",
) -> State:
    """Do jobs again: one stage of one asset whatever became of it, or all that failed.

    Args:
        by: who asks; the history names you
        guid: one asset; without a stage, all that failed or was cancelled of it
        stage: one stage; without a guid, all jobs of it that failed
        session: only jobs of this session
        pipeline: only jobs of this pipeline
        why: a reason for the history
    """
    wanted = Selection(guid, stage or None, session, pipeline or None)
    if wanted.empty:
        raise CannotDo("guid, stage, session, pipeline: say what to do again")
    states = None if guid and stage else {JobState.FAILED}
    if guid and not stage:
        states = {JobState.FAILED, JobState.CANCELLED}
    chosen = partial(select_jobs, wanted=wanted, states=states)
    return await do_to_pages("resubmit", by, chosen, operations.resubmit_all, why=why)


@flow(name="operate", flow_run_name=named_by_verb("skip", "guid", "stage"))
async def skip(by: By, guid: Guid, stage: str, why: str = "") -> State:
    """Leave one stage of one asset out, so that what follows may run.

    Args:
        by: who asks; the history names you
        guid: the asset
        stage: the stage to leave out
        why: a reason for the history
    """
    chosen = partial(select_jobs, wanted=Selection(guid, stage))
    return await do_to_jobs("skip", by, chosen, operations.skip, why=why)


@flow(name="operate", flow_run_name=named_by_verb("cancel", "guid", "stage"))
async def cancel(by: By, guid: Guid, stage: str, why: str = "") -> State:
    """Stop one job: at once while nothing runs for it, else its site is asked to.

    Args:
        by: who asks; the history names you
        guid: the asset
        stage: the stage to stop
        why: a reason for the history
    """
    chosen = partial(select_jobs, wanted=Selection(guid, stage))
    return await do_to_jobs("cancel", by, chosen, operations.cancel, why=why)


@flow(name="operate", flow_run_name=named_by_verb("lost", "guid", "stage"))
async def lost(by: By, guid: Guid, stage: str, why: str = "") -> State:
    """Declare an attempt over whose end nobody saw; its job is done again, no try is used.

    Silence is no evidence for the refinery, so only a person can say this. Look at the
    cluster first: what may still run there is told to stop, and what it brings is refused.

    Args:
        by: who asks; the history names you
        guid: the asset
        stage: the stage that a site has and will never bring back
        why: a reason for the history
    """
    chosen = partial(select_jobs, wanted=Selection(guid, stage))
    return await do_to_jobs("lost", by, chosen, operations.declare_lost, why=why)


@flow(name="operate", flow_run_name=named_by_verb("outputs", "guid", "stage", "do"))
async def outputs(
    by: By,
    guid: Guid,
    stage: str,
    do: Literal["again", "without"],
    why: Annotated[str, Field(min_length=1, max_length=1000)],
) -> State:
    """Wait no longer for what a job made at its site and nobody can bring.

    Args:
        by: who asks; the history names you
        guid: the asset
        stage: the stage that came back and whose outputs are awaited
        do: again: do the stage again, no try is used; without: it is done without them, which
            is a warning on it
        why: how you know that they cannot be brought
    """
    chosen = partial(select_jobs, wanted=Selection(guid, stage))
    decide = partial(operations.decide_outputs, again=do == "again")
    return await do_to_jobs("outputs", by, chosen, decide, why=why)


@flow(name="operate", flow_run_name=named_by_verb("attention", "guid"))
async def attention(by: By, guid: Guid, text: str = "") -> State:
    """Hold an asset and its derivatives for a person, or let them go on.

    Args:
        by: who asks; the history names you
        guid: the asset
        text: what is to be looked at; empty lets it go on
    """
    return await do_once("attention", by, switches.set_attention, guid, text.strip() or None)


@flow(name="operate", flow_run_name=named_by_verb("switch", "on", "pipeline", "stage", "site"))
async def switch(
    by: By,
    on: bool,
    pipeline: str | None = None,
    stage: str | None = None,
    site: str | None = None,
) -> State:
    """Switch a pipeline, one of its stages, or a site on or off.

    Args:
        by: who asks; the history names you
        on: true lets its jobs be claimed, false holds them; what is under way goes on
        pipeline: the pipeline, alone or as the home of a stage
        stage: the stage
        site: the site; off means that no new job is given to it
    """
    if bool(site) == bool(pipeline or stage):
        raise CannotDo("pipeline, stage, site: name a pipeline, a stage or a site, and only one")
    if site:
        return await do_once("switch", by, switches.switch_site, site, on)
    if stage:
        return await do_once("switch", by, switches.switch_stage, stage, pipeline, on)
    return await do_once("switch", by, switches.switch_pipeline, pipeline, on)


@flow(name="operate", flow_run_name=named_by_verb("priority", "priority", "guid", "session"))
async def priority(
    by: By,
    priority: Annotated[int, Field(ge=-1000, le=1000)],
    guid: Guid | None = None,
    session: UUID | None = None,
) -> State:
    """Let an asset with its derivatives, or a whole session, go before or after others.

    Args:
        by: who asks; the history names you
        priority: higher goes first; 0 is usual
        guid: one asset
        session: a whole session
    """
    return await do_once(
        "priority", by, switches.set_priority, priority, guid=guid, session_id=session
    )


@flow(name="operate", flow_run_name=named_by_verb("site", "to", "guid", "stage", "leaving"))
async def site(
    by: By,
    to: str,
    guid: Guid | None = None,
    stage: str | None = None,
    leaving: str | None = None,
    why: str = "moved by an operator",
) -> State:
    """Move queued jobs to another site; none of them loses a try.

    Args:
        by: who asks; the history names you
        to: the site they go to
        guid: one asset, with a stage
        stage: the stage of that asset
        leaving: instead of an asset: everything in this site's queue
        why: a reason for the history
    """
    one = bool(guid and stage)
    if one == bool(leaving) or (leaving and (guid or stage)):
        raise CannotDo("guid, stage, leaving: name an asset and its stage, or the site to empty")

    async def chosen(tx: AsyncConnection) -> list[int]:
        await operations.open_site(tx, to)
        if leaving:
            return await operations.queued_at(tx, leaving)
        return await select_jobs(tx, Selection(guid, stage))

    return await do_to_jobs("site", by, chosen, operations.move_to, to, why=why)


@flow(name="operate", flow_run_name=named_by_verb("push", "guid", "session", "everything"))
async def push(
    by: By, guid: Guid | None = None, session: UUID | None = None, everything: bool = False
) -> State:
    """Push metadata to the archive.

    Args:
        by: who asks; the history names you
        guid: one asset
        session: every asset of a session
        everything: all that we know again, not only what the archive lacks
    """
    return await pushing.push_again(by, guid, session, everything=everything)


@flow(name="operate", flow_run_name=named_by_verb("metadata", "guid", "field"))
async def metadata(by: By, guid: Guid, field: FieldName, value: str = "", why: str = "") -> State:
    """Correct a field of an asset's metadata, also of one that is finalised.

    Its derivatives say the same where they said what it said, and the archive is told.

    Args:
        by: who asks; the history names you
        guid: the asset
        field: the field, by its name in version 3 or 2 of the metadata
        value: text as it is; a list or mapping as JSON, such as ["B1", "B2"] or, for tags,
            {"note": "text"}; empty clears the field
        why: a reason for the history
    """
    return await pushing.correct(by, guid, field, value, why)


@flow(name="operate", flow_run_name=named_by_verb("replace", "old", "new"))
async def replace(by: By, old: Guid, new: Guid | None = None, why: str = "") -> State:
    """Link a specimen that was photographed again to its old image, which is kept.

    Args:
        by: who asks; the history names you
        old: the asset whose image is replaced; it stays in the archive
        new: the asset that shows the specimen now; empty takes the link back
        why: a reason for the history
    """
    return await pushing.replace(by, old, new, why)


@flow(name="operate", flow_run_name=named_by_verb("retention", "kind", "pipeline", "reset"))
async def retention(
    by: By,
    kind: Literal["ndrive", "store", "site"] | None = None,
    days: Annotated[float, Field(ge=0, le=36_500)] | None = None,
    requires: list[str] | None = None,
    pipeline: str | None = None,
    reset: bool = False,
    dry_run: bool = False,
    why: str = "",
) -> State:
    """Show how long temporary copies stay after their asset's end, or change it from now on.

    None is removed before the archive proves that it holds what the copy holds.

    Args:
        by: who asks; the history names you
        kind: which copies: ndrive, the originals on the N-Drive; store, our own; site, inputs and
            outputs at sites; empty shows all rules
        days: how many days they stay after the end, such as 0.5; empty leaves it as it is
        requires: which copies must exist before one is removed, by the archive's name for them;
            empty leaves it as it is
        pipeline: only those of this pipeline; empty: of every pipeline without a rule of its own
        reset: yes goes back to the wider rule: that of every pipeline, or what we come with
        dry_run: yes only tells what would change
        why: a reason for the history
    """
    asked = RuleChange(kind, pipeline or None, days, tuple(requires or ()), reset)
    return await change_retention(by, asked, dry_run=dry_run, why=why)


@flow(name="operate", flow_run_name=named_by_verb("agent", "agent", "order", "join"))
async def agent(
    by: By,
    agent: Annotated[int, Field(ge=1)] | None = None,
    order: Literal["run", "drain", "stop", "rotate", "revoke", "gone"] | None = None,
    capacity: dict[str, int] | None = None,
    prefixes: dict[str, str] | None = None,
    join: str | None = None,
    machines: Annotated[int, Field(ge=1, le=1000)] = 1,
    hours: Annotated[float, Field(gt=0, le=168)] = 1.0,
    why: str = "",
) -> State:
    """Let machines join a site, or tell an agent what to do.

    Args:
        by: who asks; the history names you
        agent: the agent's number, as `refinery agents` shows it
        order: run: take work; drain: take no more; stop: end once nothing is held; rotate: change
            its token; revoke: its token counts no more; gone: it will never come back, so what it
            has is given to others at once (say in `why` how you know)
        capacity: units by launcher, such as {"process": 4, "scheduler": 100}
        prefixes: what its machine calls paths that begin so, such as {"/groups/a": "/mnt/a"}
        join: instead of an agent: make a token with which machines join this site
        machines: for how many machines that token is good
        hours: for how long
        why: the evidence, or a reason for the history
    """
    if join:
        return await let_join(by, join, machines, hours)
    if agent is None or [order, capacity, prefixes].count(None) != 2:
        raise CannotDo(
            "agent: name one, and one of order, capacity, prefixes; or name a site in join"
        )
    if capacity is not None:
        return await do_once("agent", by, agents.set_capacity, agent, capacity)
    if prefixes is not None:
        return await do_once("agent", by, agents.set_prefixes, agent, prefixes)
    if order == "gone":
        return await do_once("agent", by, agents.gone, agent, evidence=why)
    if order == "rotate" or order == "revoke":
        work = agents.rotate if order == "rotate" else agents.revoke
        return await do_once("agent", by, work, agent)
    return await do_once("agent", by, agents.set_order, agent, order)
