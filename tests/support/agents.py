"""Agents of a site that takes its work itself, played by hand against the clusters' application."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from schemas.sites import Site
from tests.support.callbacks import Cluster
from tests.support.world import HERE, install_sites
from track.commands.agents import allow_joining
from track.schema.database import transact

PULL = Site.model_validate({"site": "far", "kind": "pull", "callback": "https://api.test"})
OFFLINE = Site.model_validate({"site": "dark", "kind": "pull", "callback": None})

MODULES: dict[str, Any] = {
    "pipeline": "TILES",
    "stages": [
        {"key": "light", "run": "module load"},
        {"key": "heavy", "run": "module ocr", "resources": {"units": 18}},
        {
            "key": "split",
            "run": "module barcode",
            "resources": {"units": {"process": 18, "scheduler": 1}},
        },
        {"key": "marked", "run": "module crop", "resources": {"labels": ["gpu"]}},
    ],
}
"""Stages that ask for different things, and wait for nothing."""


def runner_in(folder: Path) -> Path:
    """A runner to fetch, called by its digest."""
    content = b"print('runs')\n"
    path = folder / f"runner-{hashlib.sha256(content).hexdigest()}.pyz"
    path.write_bytes(content)
    return path


async def take_pull_sites(cluster: Cluster) -> None:
    """Make the sites known whose work agents take, beside this machine."""
    await transact(cluster.engine, install_sites, [HERE, PULL, OFFLINE])


@dataclass
class AgentByHand:
    """One agent: what it shows, and what it asks."""

    cluster: Cluster
    site: str = "far"
    id: int = 0
    token: str = field(default_factory=lambda: uuid4().hex + uuid4().hex)

    @classmethod
    async def join(
        cls, cluster: Cluster, site: str = "far", name: str = "node", **more: Any
    ) -> "AgentByHand":
        """Let one join, with a join token of its own; `more` are fields of its message."""
        shown = uuid4().hex
        await transact(cluster.engine, allow_joining, site, shown, 1, 1.0, actor="test")
        made = cls(cluster, site)
        made.id = (await made.ask_to_join(shown, name=name, **more))["agent"]
        return made

    async def ask_to_join(self, shown: str, status: int = 200, **more: Any) -> Any:
        """Show a join token."""
        body = {"name": "node", "token": self.token, "capacity": {"process": 4}} | more
        headers = {"Authorization": f"Bearer {shown}"}
        answer = await self.cluster.http.post(
            f"/sites/{self.site}/join", json=body, headers=headers
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    @property
    def headers(self) -> dict[str, str]:
        """What it shows."""
        return {"Authorization": f"Bearer {self.id}.{self.token}"}

    async def post(self, verb: str, status: int = 200, /, **body: Any) -> Any:
        """Call one of the agents' paths; the answer's JSON."""
        path = f"/sites/{self.site}/{verb}"
        answer = await self.cluster.http.post(path, json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def claim(
        self, process: int = 4, scheduler: int = 0, request_id: str = "", wait_s: float = 0
    ) -> list[dict[str, Any]]:
        """Ask for work; the batches."""
        answer = await self.post(
            "claim",
            request_id=request_id or uuid4().hex,
            free={"process": process, "scheduler": scheduler},
            wait_s=wait_s,
        )
        return list(answer["batches"])

    async def heartbeat(self, *batches: dict[str, Any], **more: Any) -> Any:
        """Say that it holds these batches and all their members."""
        attempts = [
            {"attempt": each["attempt"], "fence": each["fence"]} for each in members(*batches)
        ]
        keys = [each["key"] for each in batches]
        return await self.post("heartbeat", **{"attempts": attempts, "batches": keys} | more)

    async def tell(self, member: dict[str, Any], verb: str, **body: Any) -> dict[str, Any]:
        """Tell one thing about an attempt; what became of it."""
        message = {
            "path": f"/attempts/{member['attempt']}/{verb}",
            "fence": member["fence"],
            "body": body,
        }
        (outcome,) = (await self.post("messages", messages=[message]))["outcomes"]
        return dict(outcome)

    async def complete(self, member: dict[str, Any], **result: Any) -> dict[str, Any]:
        """Bring the result of a member; what became of it."""
        return await self.tell(member, "complete", native_id="n", nonce="x", result=result)


def members(*batches: dict[str, Any]) -> list[dict[str, Any]]:
    """The members of batches, in their order."""
    return [each for batch in batches for each in batch["members"]]


def attempts(*batches: dict[str, Any]) -> list[int]:
    """Their attempts."""
    return [each["attempt"] for each in members(*batches)]
