"""Prefect's REST API as its UI uses it: lists read to their end, events, deployments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

PAGE = 200
MAX_SECONDS = 60.0


@dataclass(frozen=True)
class PrefectApi:
    """A server's API at `url`, which ends in `/api`; `headers` say who asks."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def all(self, kind: str, **filters: Any) -> list[dict[str, Any]]:
        """Every object of a kind (`flow_runs`, `deployments`, …) that the filters let through."""
        found: list[dict[str, Any]] = []
        while True:
            body = {**filters, "limit": PAGE, "offset": len(found)}
            page = self._call("POST", f"{kind}/filter", body)
            found += page
            if len(page) < PAGE:
                return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """Every stored event of that name."""
        answer = self._call("POST", "events/filter", {"filter": {"event": {"name": [name]}}})
        found = list(answer["events"])
        while answer["next_page"]:
            page = httpx.get(answer["next_page"], headers=self.headers, timeout=MAX_SECONDS)
            answer = page.raise_for_status().json()
            found += answer["events"]
        return found

    def runs_of(self, deployment: str, session: object) -> list[dict[str, Any]]:
        """A deployment's runs for one session, oldest first."""
        runs = self.all("flow_runs", deployments={"name": {"any_": [deployment]}})
        mine = [run for run in runs if run["parameters"].get("session") == str(session)]
        return sorted(mine, key=lambda run: str(run["created"]))

    def subflows_of(self, run_id: str) -> list[dict[str, Any]]:
        """The runs that a flow run has called in its own process."""
        return self.all("flow_runs", flow_runs={"parent_flow_run_id": {"any_": [run_id]}})

    def start(self, deployment: str, **parameters: Any) -> None:
        """Run a deployment now, unless a run of it is waiting or at work."""
        found = self.deployment(deployment)
        busy = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}
        mine = {"id": {"any_": [found["id"]]}}
        if not self.all("flow_runs", deployments=mine, flow_runs={"state": busy}):
            body = {"parameters": parameters}
            self._call("POST", f"deployments/{found['id']}/create_flow_run", body)

    def run(self, deployment: str, **parameters: Any) -> str:
        """Have a deployment run now, beside whatever its schedule has; the run's id."""
        path = f"deployments/{self.deployment(deployment)['id']}/create_flow_run"
        return str(self._call("POST", path, {"parameters": parameters})["id"])

    def is_over(self, run_id: str) -> bool:
        """Whether a flow run has come to its end."""
        state = self._call("GET", f"flow_runs/{run_id}")["state_type"]
        return state not in ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")

    def set_state(self, run_id: str, state: str) -> None:
        """Ask for another state of a flow run, as the UI's buttons do."""
        self._call("POST", f"flow_runs/{run_id}/set_state", {"state": {"type": state}})

    def deployment(self, name: str) -> dict[str, Any]:
        """`<flow>/<deployment>` as the server knows it."""
        return dict(self._call("GET", f"deployments/name/{name}"))

    def change_deployment(self, name: str, **fields: Any) -> None:
        """Change some of a deployment's own settings, as a person may in the UI."""
        self._call("PATCH", f"deployments/{self.deployment(name)['id']}", fields)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(
            method, f"{self.url}/{path}", json=body, headers=self.headers, timeout=MAX_SECONDS
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None
