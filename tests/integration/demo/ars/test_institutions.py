"""Master data and vocabularies."""

import pytest

from tests.integration.demo.ars.stand_in import Archive

SEEDED = {
    "collections": {"Vascular plants", "NHMD Vascular Plants", "Entomology", "test-collection"},
    "pipelines": {"PIPEHERB0001", "PIPEPIOF0002", "PIPECONTROL", "DERIVATIVE", "ti-p1"},
    "workstations": {"WORKHERB0001", "WORKPIOF0003", "ti-ws-01", "test-workstation"},
}


@pytest.mark.parametrize("institution", ["NHMD", "NHMA", "AU", "test-institution"])
@pytest.mark.parametrize("members", SEEDED)
def test_the_seed_is_in_every_institution(archive: Archive, institution: str, members: str) -> None:
    listed = archive.ars("GET", f"/institutions/{institution}/{members}").json()
    assert SEEDED[members] <= {member["name"] for member in listed}


def test_an_administrator_adds_an_institution_with_members_once(archive: Archive) -> None:
    assert archive.ars("GET", "/institutions/ZMUC").status_code == 204
    body = {"name": "ZMUC"}
    assert archive.ars("POST", "/institutions", json=body, by="administrator").status_code == 200
    assert archive.ars("POST", "/institutions", json=body, by="administrator").status_code == 400
    assert archive.ars("GET", "/institutions/ZMUC").json()["name"] == "ZMUC"
    for members in SEEDED:
        path = f"/institutions/ZMUC/{members}"
        for code in (200, 400):
            answer = archive.ars("POST", path, json={"name": "new one"}, by="administrator")
            assert answer.status_code == code
        assert [m["name"] for m in archive.ars("GET", path).json()] == ["new one"]
        unknown = f"/institutions/Atlantis/{members}"
        answer = archive.ars("POST", unknown, json={"name": "x"}, by="administrator")
        assert answer.status_code == 400


def test_a_name_that_would_leave_the_folders_is_refused(archive: Archive) -> None:
    for name in ("..", "a/b", ""):
        answer = archive.ars("POST", "/institutions", json={"name": name}, by="administrator")
        assert answer.status_code == 400


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("fileformats", "TIF"),
        ("statuses", "WORKING_COPY"),
        ("preparationtypes", "pinned"),
        ("issuecategories", "barcode"),
    ],
)
def test_lists_are_read_and_extended(archive: Archive, word: str, name: str) -> None:
    assert {"name": name} in archive.ars("GET", f"/lists/{word}").json()
    posted = "status" if word == "statuses" else word
    new = {"name": f"new {word}"}
    assert archive.ars("POST", f"/lists/{posted}", json=new, by="administrator").status_code == 403
    assert archive.ars("POST", f"/lists/{posted}", json=new).status_code == 200
    assert new in archive.ars("GET", f"/lists/{word}").json()


@pytest.mark.parametrize(
    ("path", "name"),
    [("statusList", "ARCHIVE"), ("subjectList", "device target"), ("restricted_access", "USER")],
)
def test_the_open_lists_need_no_token(archive: Archive, path: str, name: str) -> None:
    assert name in archive.http.get(f"/ars/api/v1/assets/{path}").json()


def test_digitisers_and_payload_types_are_learnt_from_assets(archive: Archive) -> None:
    archive.create(digitiser="Niels Steensen", payload_type="ct scan")
    assert "Niels Steensen" in archive.http.get("/ars/api/v1/assets/digitiserList").json()
    assert "ct scan" in archive.http.get("/ars/api/v1/assets/payloadTypeList").json()
