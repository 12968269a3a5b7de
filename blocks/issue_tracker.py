"""The Prefect block that says in which repository workstations' problems become issues.

It holds address and token; `blocks/issue_tracking.py` reports to it.
"""

import re
from typing import Annotated

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, StringConstraints, field_validator

from schemas.problems import REPOSITORY

GITHUB = "https://api.github.com"

PROBLEM_LABEL = "workstation-problem"
"""The label of every issue of ours, by which they are found again."""

Label = Annotated[str, StringConstraints(pattern=r"^[^,\s](?:[^,]{0,48}[^,\s])?$")]


class IssueTracker(Block):
    """The repository whose issues are the problems of workstations, and our token there."""

    _block_type_name = "Issue Tracker"
    _block_type_slug = "issue-tracker"
    _description = "The repository in which problems of workstations become issues."

    api_url: str = Field(
        default=GITHUB,
        pattern=r"^https?://",
        description="Where GitHub's API is; an Enterprise server's ends in /api/v3.",
    )
    repository: str = Field(pattern=REPOSITORY, description="Owner and name, as owner/name.")
    token: SecretStr = Field(
        description="A token that may read and write issues there, and set their labels."
    )
    labels: list[Label] = Field(
        default=[],
        max_length=20,
        description="Labels that an issue gets beside workstation-problem.",
    )

    @field_validator("token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr) -> SecretStr:
        if not re.fullmatch("[!-~]+", token.get_secret_value()):
            raise ValueError("write the token as GitHub gave it, without spaces or line ends")
        return token
