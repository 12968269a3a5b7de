"""What this machine's user gave last: the server, the name and the workstation."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from workstation.files import write_whole
from workstation.places import private_folder
from workstation.problems import translated


class LastUsed(BaseModel):
    """The address of the server, who logged in, and for which workstation; empty: not known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    server: str = ""
    user: str = ""
    workstation: str = ""

    @classmethod
    def read(cls, path: Path) -> "LastUsed":
        """What is written in a file; one that cannot be understood counts as nothing.

        Raises WorkstationError when it cannot be read.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return cls()
        except OSError as error:
            raise translated(error, path) from error

    def write(self, path: Path) -> None:
        """Keep it for the next time. Raises WorkstationError."""
        private_folder(path.parent)
        write_whole(path, self.model_dump_json(indent=2).encode())
