"""The demonstration's camera folder comes from its workstation to the N-Drive, by the client."""

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.app import create_app
from blocks.access.users import UsersFile
from demo.specimens.sessions import SpecimenEnd
from demo.workstation import send_from_workstation
from refinery.settings import Settings
from schemas.metadata.document import read_document
from tests.support.serving import free_port, serving
from tests.support.workstations import station_config


async def test_it_is_sent_as_a_digitiser_would_and_nobody_is_left_who_may_send(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    config = station_config(database, tmp_path)
    users = tmp_path / "nobody.toml"
    given = {
        "REFINERY_N_DRIVE": str(config.n_drive),
        "REFINERY_USERS_FILE": str(users),
        "REFINERY_WORKSTATIONS": ",".join(config.workstations),
    }
    settings = Settings.load(tmp_path, given)
    said: list[str] = []
    async with serving(create_app(replace(config, users_file=users)), free_port()) as url:
        addresses = SimpleNamespace(workstations=url)
        path, expected = await asyncio.to_thread(
            send_from_workstation, settings, addresses, said.append
        )
    assert path.parent == config.n_drive / config.workstations[0]
    assert {each.end for each in expected.values()} == {SpecimenEnd.FINALISED}
    documents = {each.stem: each for each in path.glob("*.json")}
    assert documents.keys() == expected.keys()
    for guid, document in documents.items():
        metadata = read_document(document.read_bytes()).metadata
        assert (metadata.asset_guid, metadata.digitiser) == (guid, "Søren Ærøskøbing")
    assert {path.suffix for path in path.iterdir()} == {".json", ".tif", ".jpg", ""}
    assert json.loads((path / ".complete").read_text())["by"] == "demonstration"
    linked = [each for each in expected.values() if each.links]
    assert [expected[each.links[0]].links for each in linked] == [(e.guid,) for e in linked]
    contents = [hashlib.sha256(each.read_bytes()).digest() for each in path.glob("*.[tj][ip][fg]")]
    assert len(set(contents)) == len(contents) == len(expected)
    assert UsersFile(users).read() == {}
    assert any("is left: nothing" in line for line in said)
