"""The messages between an agent and the server: what docs/agents.md says, as models.

Durations in seconds; capacities and costs in units.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StringConstraints

from schemas.attempts import NativeId, PrintedText, WireModel
from schemas.files import Size
from schemas.launchers import Units
from schemas.storable import Json, Text

Order: TypeAlias = Literal["run", "drain", "stop"]
"""What an agent is told: take work; take no more; and end once nothing is held."""

MAX_WAIT_S = 25.0
MAX_ITEMS = 10_000

AgentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
AgentLabel = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
OwnToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43,128}$")]
BatchKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,15}$")]
AttemptNumber = Annotated[int, Field(ge=1, lt=2**63)]


class AgentState(WireModel):
    """What an agent says of itself with every message that brings it.

    `facts` are of its machine, and shown; `load` what it uses now.
    """

    version: Annotated[str, StringConstraints(max_length=100)] = ""
    facts: Json = Field(default_factory=dict)


class Join(AgentState):
    """A machine becomes an agent of a site, with a token that it drew itself."""

    name: AgentName
    token: OwnToken = Field(repr=False)
    capacity: Units = Units()
    labels: tuple[AgentLabel, ...] = ()


class Joined(WireModel):
    """The answer: the agent's number, which is the first part of what it shows as bearer."""

    agent: int
    name: str


class NewToken(WireModel):
    """The token that an agent will show from now on."""

    token: OwnToken = Field(repr=False)


class WorkClaim(WireModel):
    """An agent asks for work, as much as it has free units for."""

    request_id: Annotated[str, StringConstraints(min_length=8, max_length=100)]
    free: Units = Units()
    wait_s: Annotated[float, Field(ge=0)] = 0.0


class ClaimedMember(WireModel):
    """One attempt of a batch: its line of each of the batch's files."""

    attempt: int
    fence: int
    token: str = Field(repr=False)
    line: dict[str, Any]
    grant: dict[str, Any] | None = None


class ClaimedBatch(WireModel):
    """What goes together: a runner's members one after another, or the tasks of an array."""

    key: str
    launcher: str
    stage: str
    units: int
    lease_s: float
    resources: dict[str, Any]
    runner: str
    members: tuple[ClaimedMember, ...]


class ClaimAnswer(WireModel):
    """The answer to a claim."""

    batches: tuple[ClaimedBatch, ...] = ()
    order: Order
    again_s: float


class SubmittedBatch(WireModel):
    """The scheduler's id of a batch."""

    key: BatchKey
    native_id: NativeId


class SubmittedBatches(WireModel):
    """The scheduler's ids of batches."""

    batches: Annotated[tuple[SubmittedBatch, ...], Field(max_length=MAX_ITEMS)]


class HeldAttempt(WireModel):
    """An attempt that an agent holds."""

    attempt: AttemptNumber
    fence: AttemptNumber


class Heartbeat(AgentState):
    """All that an agent holds, and how it does."""

    load: Json = Field(default_factory=dict)
    attempts: Annotated[tuple[HeldAttempt, ...], Field(max_length=MAX_ITEMS)] = ()
    batches: Annotated[tuple[BatchKey, ...], Field(max_length=MAX_ITEMS)] = ()


class HeartbeatReply(WireModel):
    """What an agent is to do: with itself, and with each thing that it holds."""

    order: Order
    again_s: float
    lease_s: float
    rotate: bool
    capacity: Units
    runner: str
    attempts: dict[int, Literal["ok", "cancel", "lost"]]
    batches: dict[str, Literal["keep", "remove"]]


class Message(WireModel):
    """A call about an attempt, which its agent makes for it: `path` is `/attempts/<id>/<verb>`."""

    path: Annotated[
        str,
        StringConstraints(
            pattern=r"^/attempts/[1-9][0-9]{0,17}/(start|complete|fail|ended|missing)$"
        ),
    ]
    fence: AttemptNumber
    body: dict[str, Any]

    @property
    def attempt(self) -> int:
        """The attempt's id."""
        return int(self.path.split("/")[2])

    @property
    def verb(self) -> str:
        """What is said of it."""
        return self.path.rpartition("/")[2]


class Messages(WireModel):
    """Calls about attempts, in the order in which things happened."""

    messages: Annotated[tuple[Message, ...], Field(max_length=1000)]


class MessageStatus(WireModel):
    """What became of one of them: 200 and how, else why it was not taken."""

    attempt: int
    status: int
    applied: str | None = None
    error: str | None = None


class MessageStatuses(WireModel):
    """The same of each, in the order of the messages."""

    outcomes: tuple[MessageStatus, ...]


class NativeEnd(WireModel):
    """A native job ended and left no result. `started`: whether it was at work on its specimen;
    `why`: what its scheduler said, if that explains it; `printed`: the end of what its work
    printed, empty for nothing, null where nobody can tell."""

    native_id: NativeId = "?"
    state: Annotated[str, StringConstraints(max_length=40)] = "unknown"
    exit_code: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    started: bool | None = None
    why: Annotated[Text, Field(max_length=2000)] = ""
    printed: Annotated[PrintedText | None, Field(exclude=True, repr=False)] = None


class MissingOutputs(WireModel):
    """Why files that a result listed will never come."""

    why: Text


class OutputsLeft(WireModel):
    """How many of an attempt's outputs are still to be sent."""

    left: Size
