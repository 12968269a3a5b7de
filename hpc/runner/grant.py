"""The answer to `start`, read once and strictly, so that no module meets a missing field."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from hpc.runner.batch import ManifestLine
from hpc.runner.errors import BadInput
from hpc.runner.job import FileTransfer, GrantedChild, GrantedCommand, Job, RemoteFile


class ArsToken(NamedTuple):
    """A bearer token of the archive and the seconds it lives. It is never shown."""

    token: str
    expires_in: float

    def __repr__(self) -> str:
        return f"ArsToken(expires_in={self.expires_in})"


def ars_token(body: Mapping[str, Any]) -> ArsToken:
    """The token in `body`; raises BadInput naming the field."""
    return ArsToken(_field(body, "token", str), float(_field(body, "expires_in", (int, float))))


def job_of(line: ManifestLine, grant: Mapping[str, Any], files: FileTransfer, threads: int) -> Job:
    """The job a grant describes; raises BadInput naming the field that is missing or wrong."""
    if _field(grant, "guid", str) != line.guid or _field(grant, "attempt", int) != line.attempt:
        raise BadInput(
            f"the grant is for attempt {grant['attempt']} of {grant['guid']}, the manifest "
            f"says attempt {line.attempt} of {line.guid}"
        )
    return Job(
        attempt=line.attempt,
        guid=line.guid,
        stage=line.stage,
        root=line.root,
        files=files,
        params=_field(grant, "params", dict),
        metadata=_field(grant, "metadata", dict),
        inputs=_remote_files(grant, "inputs"),
        black_accepted=_optional(grant, "accept_black", bool, False),
        results=_optional(grant, "results", dict, {}),
        children=tuple(
            GrantedChild(_field(child, "ppi", int), _field(child, "guid", str))
            for child in _optional(grant, "children", list, [])
        ),
        parent_guid=_optional(grant, "parent_guid", str, None),
        uploads=_remote_files(grant, "uploads"),
        outputs=tuple(_optional(grant, "outputs", list, [])),
        threads=threads,
        command=_command(_optional(grant, "command", dict, None)),
    )


def _command(body: Mapping[str, Any] | None) -> GrantedCommand | None:
    if body is None:
        return None
    return GrantedCommand(
        words=tuple(_field(body, "words", list)),
        values=_field(body, "values", dict),
        expect_exit=tuple(_field(body, "expect_exit", list)),
        inputs=_field(body, "inputs", bool),
    )


def _remote_files(grant: Mapping[str, Any], name: str) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(
            name=_field(file, "name", str),
            url=_field(file, "url", str),
            crc32=_field(file, "crc32", int),
            size_bytes=_field(file, "size_bytes", int),
        )
        for file in _optional(grant, name, list, [])
    )


def _field(body: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    value = body.get(name) if isinstance(body, Mapping) else None
    if not isinstance(value, kind):
        raise BadInput(f"the server's answer, field {name!r}: is missing or of the wrong kind")
    return value


def _optional(body: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    return default if body.get(name) is None else _field(body, name, kind)
