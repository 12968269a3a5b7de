"""What a module is given and what it gives back.

A module sees one `Job`: the server's grant, a folder on the site's disk, and the means to
fetch and send files. It returns a `Result`; everything else (callbacks, retries, tokens,
signals, usage) is the runner's business.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict

from hpc.runner.errors import BadInput

IMAGES = frozenset({".tif", ".tiff", ".jpg", ".jpeg", ".png", ".webp", ".jp2", ".dng"})
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Result(TypedDict):
    """The `result` of `POST /attempts/{id}/complete`. `derivatives` None: emits none at all."""

    metadata: dict[str, Any]
    barcode: dict[str, Any] | None
    derivatives: list[dict[str, Any]] | None
    uploaded: list[dict[str, Any]] | None
    details: dict[str, Any]
    warning: str | None
    usage: dict[str, float]
    outputs: NotRequired[list[dict[str, Any]]]
    printed: NotRequired[str]


def result(
    *,
    metadata: dict[str, Any] | None = None,
    barcode: dict[str, Any] | None = None,
    derivatives: list[dict[str, Any]] | None = None,
    uploaded: list[dict[str, Any]] | None = None,
    details: dict[str, Any] | None = None,
    warnings: list[str] | None = None,
) -> Result:
    """A Result with every field, of which a module names only its own."""
    return Result(
        metadata=metadata or {},
        barcode=barcode,
        derivatives=derivatives,
        uploaded=uploaded,
        details=details or {},
        warning="; ".join(warnings) if warnings else None,
        usage={},
    )


class RemoteFile(NamedTuple):
    """A file on the share: `url` reads it (inputs) or writes it (uploads)."""

    name: str
    url: str
    crc32: int
    size_bytes: int


class GrantedChild(NamedTuple):
    """A derivative the server has named before it exists."""

    ppi: int
    guid: str


class FileTransfer(Protocol):
    """How a job moves bytes. The runner's is HTTP with the share's token."""

    def fetch(self, file: RemoteFile, to: Path) -> None:
        """Put `file` at `to`, whole and CRC-checked. Raises Transient, BadInput or Refused."""

    def send(self, path: Path, file: RemoteFile) -> None:
        """Put `path` on the share as `file`. Raises Transient, BadInput or Refused."""

    def show(self, path: Path, name: str) -> None:
        """Send a small file to the server itself, to be looked at by people."""


class GrantedCommand(NamedTuple):
    """A program's words with their placeholders, what the server knows of these, and the codes
    with which it ends well. `inputs`: the job's inputs are brought before."""

    words: tuple[str, ...]
    values: Mapping[str, str]
    expect_exit: tuple[int, ...]
    inputs: bool


class Job(NamedTuple):
    """One granted attempt. `threads` is how many a module may use, `black_accepted` whether a
    person has accepted the zeros in this very image; `command` is what runs in a module's place."""

    attempt: int
    guid: str
    stage: str
    root: Path
    files: FileTransfer
    params: Mapping[str, Any] = NOTHING
    metadata: Mapping[str, Any] = NOTHING
    inputs: tuple[RemoteFile, ...] = ()
    black_accepted: bool = False
    results: Mapping[str, Any] = NOTHING
    children: tuple[GrantedChild, ...] = ()
    parent_guid: str | None = None
    uploads: tuple[RemoteFile, ...] = ()
    outputs: tuple[str, ...] = ()
    threads: int = 1
    command: GrantedCommand | None = None

    @property
    def folder(self) -> Path:
        """`<root>/assets/<guid>`, where the inputs of this asset lie."""
        return asset_folder(self.root, self.guid)

    @property
    def command_folder(self) -> Path:
        """`<root>/assets/<guid>/<stage>`, where a command runs. Raises BadInput."""
        return inside(self.folder, self.stage)

    @property
    def output_patterns(self) -> list[str]:
        """What the stage's `outputs` are called from its asset's folder."""
        own = f"{self.command_folder.name}/" if self.command else ""
        return [f"{own}{pattern}" for pattern in self.outputs]

    @property
    def accept_black(self) -> bool:
        """Whether an image that ends in zeros is right, as the stage or a person has it."""
        return self.black_accepted or self.params.get("accept_black", False) is True

    def ensure_inputs(self) -> list[Path]:
        """Every input on this site's disk, checked; fetched only where it is missing or wrong.

        Raises BadInput for a name that is not a plain file name, else what `fetch` raises.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        paths = [inside(self.folder, file.name) for file in self.inputs]
        for file, path in zip(self.inputs, paths, strict=True):
            self.files.fetch(file, path)
        return paths

    def image(self) -> Path:
        """The image to look at, on this site's disk: the first input that is named as one.

        Raises BadInput when the grant has no input, else what `ensure_inputs` raises.
        """
        paths = self.ensure_inputs()
        if not paths:
            raise BadInput(f"asset {self.guid}: the grant names no input file to look at")
        named = [path for path in paths if path.suffix.lower() in IMAGES]
        return (named or paths)[0]


def asset_folder(root: Path, guid: str) -> Path:
    """`<root>/assets/<guid>`; raises BadInput when the guid could lead anywhere else."""
    return inside(root / "assets", guid)


def inside(folder: Path, name: str) -> Path:
    """`folder/name` where `name` is one plain, visible file name; raises BadInput otherwise."""
    plain = name == PurePosixPath(name).name and "\\" not in name and name.isprintable()
    if not plain or name.startswith(".") or not name.strip():
        raise BadInput(f"the name {name!r} is not a plain file name (no path, no leading dot)")
    return folder / name
