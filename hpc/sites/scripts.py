"""The command line of a script of a site's own, and what its stage asks of the scheduler.

The same at every kind of site. `sbatch` reads what is asked for from its environment, where
it overrides the script's own `#SBATCH` lines, and not what is written after `sbatch`.
"""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline.model import Resources
from schemas.pipeline.run import Run
from track.commands.grants import file_url
from track.commands.legacy import file_names
from track.jobs.batches import Member
from track.jobs.scripts import script_values
from track.records.documents import read_document


@dataclass(frozen=True)
class ScriptCommand:
    """A script's command line, filled in; each word is quoted where it becomes a shell's."""

    words: tuple[str, ...]
    environment: dict[str, str]

    @property
    def with_environment(self) -> list[str]:
        """One command line that sets its environment itself."""
        given = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", *given, *self.words] if given else [*self.words]

    def ended(self, code: str, output: str) -> str:
        """That it ended with a code other than 0, in words."""
        return f"{self.words[0]} {self.words[-1]} ended with code {code}: {output[-400:]}".strip()


async def script_command(tx: AsyncConnection, member: Member, file_proxy: str) -> ScriptCommand:
    """The command of an attempt; `file_proxy` is the base of the links it may be given."""
    values, resources = await script_values(tx, member.attempt)
    if "{link}" in member.run:
        values["link"] = await _link(tx, member.guid, file_proxy)
    words = Run.model_validate(member.run).words(values)
    return ScriptCommand(tuple(words), sbatch_environment(resources))


def sbatch_environment(asked: Resources) -> dict[str, str]:
    """What a stage asks for, as `sbatch` reads it from its environment."""
    found = {
        "SBATCH_TIMELIMIT": asked.time_s and f"{-(-asked.time_s // 60)}",
        "SBATCH_MEM_PER_NODE": asked.mem_mb and f"{asked.mem_mb}M",
        "SBATCH_GRES": asked.gpus and f"gpu:{asked.gpus}",
        "SBATCH_PARTITION": asked.partition,
        "SBATCH_ACCOUNT": asked.account,
        "SBATCH_QOS": asked.qos,
    }
    return {name: value for name, value in found.items() if value}


async def _link(tx: AsyncConnection, guid: str, file_proxy: str) -> str:
    names = await file_names(tx, guid)
    return file_url(file_proxy, await read_document(tx, guid), names[0]) if names else ""
