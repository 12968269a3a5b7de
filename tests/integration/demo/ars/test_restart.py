"""Stand-ins of their own: restarts, the job's own clock, the older contract, a locked door."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from refinery.local.postgres import EmbeddedPostgres
from tests.integration.demo.ars.stand_in import Archive, asset, configure, enrol, serving


def database(postgres: EmbeddedPostgres, name: str) -> str:
    postgres.ensure_database(name)
    return postgres.url(name)


def wait_until_closed(archive: Archive, guid: str) -> None:
    deadline = time.monotonic() + 60
    while archive.status(guid) != ("ERDA_SYNCHRONISED", None):
        assert time.monotonic() < deadline, archive.status(guid)


def test_everything_but_locks_and_faults_survives_a_restart(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    config, port = configure(tmp_path, database(postgres, "ars_restart"))
    with serving(config, port) as archive:
        guid = archive.create()
        archive.upload(guid, "leaf.tif", b"leaf")
        archive.synchronise(guid)
        archive.fault("erda_unreachable", count=None)
        archive.tick()
        archive.open_share(guid)
        token = archive.token()
    with serving(config, port) as archive:
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/ars/api/v1/assets/status/{guid}"
        assert archive.http.get(path, headers=headers).json()["status"] == "ASSET_RECEIVED"
        assert archive.tick()["synchronised"] == 1
        assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)
        path = f"/file_proxy/api/files/assets/NHMD/Vascular plants/{guid}/leaf.tif"
        assert archive.call("GET", path).content == b"leaf"
        params = {"guid": guid, "method": "POST", "path_regex": "assetmetadata$"}
        assert len(archive.sim("GET", "/requests", params=params).json()) == 1


def test_the_job_ticks_by_itself(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    url = database(postgres, "ars_ticking")
    config, port = configure(tmp_path, url, tick_seconds=0.05, gap_ms=20)
    with serving(config, port) as archive:
        guids = [archive.create() for _ in range(6)]
        for guid in guids:
            archive.upload(guid, "leaf.tif", guid.encode())
            archive.synchronise(guid)
        for guid in guids:
            wait_until_closed(archive, guid)
            assert (archive.erda_folder(guid) / "leaf.tif").read_bytes() == guid.encode()


def test_reset_is_the_first_day_again(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    config, port = configure(tmp_path, database(postgres, "ars_reset"))
    with serving(config, port) as archive:
        guid = archive.archived()
        archive.sim("POST", "/reset")
        assert archive.ars("GET", f"/assets/status/{guid}").status_code == 404
        assert not archive.erda_folder(guid).exists()
        assert len(archive.sim("GET", "/requests").json()) == 1
        archive.create(asset_guid=guid)


def test_the_older_contract_differs_where_it_did(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    config, port = configure(tmp_path, database(postgres, "ars_v2_6"), profile="v2_6")
    with serving(config, port) as archive:
        enrol(archive)
        body = {
            "institution": "NHMD",
            "collection": "Entomology",
            "barcode": "7",
            "preparation_types": ["pinned"],
        }
        made = archive.ars("PUT", "/specimens/pid-7", json=body)
        assert (made.status_code, made.json()["specimen_pid"]) == (200, "pid-7")
        assert archive.ars("GET", "/specimens/pid-7").json()["barcode"] == "7"
        path = "/institutions/NHMD/collections/Entomology/specimen/7"
        assert archive.ars("GET", path).status_code == 404
        guid = archive.create()
        assert archive.ars("POST", f"/assetmetadata/{guid}/complete", json={}).status_code == 204
        archive.upload(guid, "leaf.tif", b"leaf")
        leaf = f"/assetfiles/NHMD/Vascular plants/{guid}/leaf.tif"
        assert archive.proxy("DELETE", leaf).status_code == 204


def test_statuses_can_go_by_the_names_they_had_before(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    url = database(postgres, "ars_legacy_names")
    config, port = configure(tmp_path, url, legacy_status_names=True)
    with serving(config, port) as archive:
        good, bad = archive.archived(), archive.create()
        assert archive.status(good) == ("COMPLETED", None)
        assert archive.ars("GET", f"/assetmetadata/{good}").json()["internal_status"] == "COMPLETED"
        archive.fault("erda_put_fails", count=3)
        archive.synchronise(bad)
        for _ in range(3):
            archive.tick()
        assert archive.status(bad) == ("ERDA_ERROR", 10)


def test_control_is_not_there_unless_asked_for(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    config, port = configure(tmp_path, database(postgres, "ars_closed"), control=False)
    with serving(config, port) as archive:
        for path in ("/__sim/requests", "/__sim/faults"):
            assert archive.http.get(path).status_code == 404
        assert archive.http.post("/__sim/reset").status_code == 404
        archive.create()


def test_twelve_creations_at_once_make_twelve_assets_and_one_guid_only_one(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    config, port = configure(tmp_path, database(postgres, "ars_crowd"), disk_mb=12)
    with serving(config, port) as archive:
        archive.token()
        same = asset()
        bodies = [same, same, *(asset() for _ in range(13))]

        def create(body: dict[str, object]) -> httpx.Response:
            return archive.ars("POST", "/assetmetadata?allocation_mb=1", json=body)

        with ThreadPoolExecutor(15) as crowd:
            codes = sorted(answer.status_code for answer in crowd.map(create, bodies))
        assert codes.count(200) == 12
        assert set(codes) <= {200, 400, 403}
        shares = config.share_dir / "assetfiles" / "NHMD" / "Vascular plants"
        assert len(list(shares.iterdir())) == 12
