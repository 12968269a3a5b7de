"""Settings: who wins, where a second system lives, and how a mistake is told."""

from pathlib import Path

import pytest

from refinery.connections import issue_tracker
from refinery.settings import Settings, SettingsError


def load(folder: Path, **environment: str) -> Settings:
    return Settings.load(folder, environment)


def test_without_any_setting_everything_lies_in_the_state_folder(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.state == tmp_path / ".refinery"
    assert settings.n_drive == tmp_path / ".refinery" / "ndrive"
    assert settings.records == tmp_path / ".refinery" / "records"
    assert settings.embedded_database and settings.stand_in_ars
    assert settings.settle_seconds == 10


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "refinery.toml").write_text("settle_seconds = 5\nprefect_port = 4300\n")
    settings = load(tmp_path, REFINERY_SETTLE_SECONDS="2")
    assert (settings.settle_seconds, settings.prefect_port) == (2, 4300)


def test_relative_paths_are_taken_from_the_project(tmp_path: Path) -> None:
    (tmp_path / "refinery.toml").write_text('n_drive = "N drive æ"\nrecords = "old"\n')
    settings = load(tmp_path)
    assert (settings.n_drive, settings.records) == (tmp_path / "N drive æ", tmp_path / "old")


def test_a_list_in_a_variable_is_separated_by_commas(tmp_path: Path) -> None:
    settings = load(tmp_path, REFINERY_WORKSTATIONS="WORKHERB0001, WORKPIOF0001")
    assert settings.workstations == ("WORKHERB0001", "WORKPIOF0001")


def test_a_second_project_has_its_own_folder_and_work_pool(tmp_path: Path) -> None:
    second = load(tmp_path, REFINERY_PROJECT="trial")
    assert second.state == tmp_path / ".refinery" / "projects" / "trial"
    assert second.work_pool == "refinery-trial"
    assert second.work_pool != load(tmp_path).work_pool
    assert second.housekeeping_pool == "refinery-trial-housekeeping"


def test_a_project_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="REFINERY_PROJECT"):
        load(tmp_path, REFINERY_PROJECT="../other")


def test_a_mistyped_key_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "refinery.toml").write_text("settle_second = 5\n")
    with pytest.raises(SettingsError, match=r"refinery\.toml.*did you mean settle_seconds"):
        load(tmp_path)


def test_a_mistyped_variable_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean REFINERY_PREFECT_PORT"):
        load(tmp_path, REFINERY_PREFECT_PROT="1")


def test_a_variable_that_is_nothing_like_ours_is_left_to_whoever_set_it(tmp_path: Path) -> None:
    assert load(tmp_path, REFINERY_SPECIMENS="/photographs").settle_seconds == 10


def test_a_wrong_value_names_its_variable_and_not_its_content(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"REFINERY_PREFECT_PORT: .*integer") as caught:
        load(tmp_path, REFINERY_PREFECT_PORT="hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "refinery.toml").write_text("settle_seconds: 5")
    with pytest.raises(SettingsError, match=r"refinery\.toml is not valid TOML"):
        load(tmp_path)


def test_secrets_do_not_show(tmp_path: Path) -> None:
    settings = load(tmp_path, REFINERY_ARS_CLIENT_SECRET="hunter2")
    assert "hunter2" not in repr(settings)


def test_an_address_loses_its_last_slash_and_must_be_one(tmp_path: Path) -> None:
    assert load(tmp_path, REFINERY_ARS_BASE_URL="https://ars.example/").ars_base_url == (
        "https://ars.example"
    )
    with pytest.raises(SettingsError, match="REFINERY_ARS_BASE_URL"):
        load(tmp_path, REFINERY_ARS_BASE_URL="ars.example")


def test_the_stand_ins_roles_and_profile_are_chosen_by_name(tmp_path: Path) -> None:
    settings = load(
        tmp_path, REFINERY_ARS_PROFILE="v2_6", REFINERY_ARS_ROLES="dassco-admin, WRITE_rare"
    )
    assert (settings.ars_profile, settings.ars_roles) == ("v2_6", ("dassco-admin", "WRITE_rare"))
    with pytest.raises(SettingsError, match=r"REFINERY_ARS_ROLES: .*write dassco-admin"):
        load(tmp_path, REFINERY_ARS_ROLES="admin")
    with pytest.raises(SettingsError, match=r"REFINERY_ARS_PROFILE: .*'v2_11' or 'v2_6'"):
        load(tmp_path, REFINERY_ARS_PROFILE="v3")


def test_the_bound_of_the_archive_is_a_table_in_the_file_and_json_in_a_variable(
    tmp_path: Path,
) -> None:
    (tmp_path / "refinery.toml").write_text("archive_throttle = {synchronising = 12}\n")
    assert load(tmp_path).archive_throttle.synchronising == 12
    given = {"REFINERY_ARCHIVE_THROTTLE": '{"open_shares_mb": 60000}'}
    assert load(tmp_path, **given).archive_throttle.open_shares_mb == 60000
    for wrong in ('{"synchronizing": 12}', "12 at once"):
        with pytest.raises(SettingsError, match="REFINERY_ARCHIVE_THROTTLE"):
            load(tmp_path, REFINERY_ARCHIVE_THROTTLE=wrong)


OIDC = {
    "REFINERY_OIDC_ISSUER": "https://login.example/realms/museum/",
    "REFINERY_OIDC_CLIENT_ID": "board",
    "REFINERY_BOARD_URL": "https://board.example",
    "REFINERY_OIDC_OPERATORS": "curators, leads",
}


def test_a_login_provider_is_set_as_a_whole(tmp_path: Path) -> None:
    settings = load(tmp_path, **OIDC)
    assert settings.oidc_issuer == "https://login.example/realms/museum"
    assert settings.oidc_operators == ("curators", "leads")
    for name in ("CLIENT_ID", "OPERATORS"):
        with pytest.raises(SettingsError, match=f"oidc_issuer is set, so set oidc_{name.lower()}"):
            load(tmp_path, **OIDC | {f"REFINERY_OIDC_{name}": ""})
    with pytest.raises(SettingsError, match="so set board_url too"):
        load(tmp_path, **OIDC | {"REFINERY_BOARD_URL": ""})


def test_a_login_provider_is_asked_over_https_and_makes_nobody_operator_by_a_star(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsError, match="oidc_issuer: write an https address"):
        load(tmp_path, **OIDC | {"REFINERY_OIDC_ISSUER": "http://login.example"})
    assert load(tmp_path, **OIDC | {"REFINERY_OIDC_ISSUER": "http://127.0.0.1:8080"}).oidc_issuer
    with pytest.raises(SettingsError, match="oidc_operators: name the values"):
        load(tmp_path, **OIDC | {"REFINERY_OIDC_OPERATORS": "*"})


def test_access_tokens_are_meant_for_the_client_unless_another_audience_is_set(
    tmp_path: Path,
) -> None:
    settings = load(tmp_path, **OIDC)
    assert (settings.oidc_audience, settings.oidc_workstation_claim) == ("", "workstations")
    given = {"REFINERY_OIDC_AUDIENCE": "uploads", "REFINERY_OIDC_WORKSTATION_CLAIM": "a.b"}
    settings = load(tmp_path, **OIDC | given)
    assert (settings.oidc_audience, settings.oidc_workstation_claim) == ("uploads", "a.b")
    with pytest.raises(SettingsError, match="REFINERY_OIDC_WORKSTATION_CLAIM"):
        load(tmp_path, REFINERY_OIDC_WORKSTATION_CLAIM="")


def test_what_workstations_choose_from_stands_with_the_deployments_or_where_it_is_set(
    tmp_path: Path,
) -> None:
    usual = tmp_path / "deployments" / "workstations.yaml"
    assert load(tmp_path, REFINERY_PROJECT="trial").workstations_file == usual
    (tmp_path / "refinery.toml").write_text('workstations_file = "ours/values.yaml"\n')
    assert load(tmp_path).workstations_file == tmp_path / "ours" / "values.yaml"


def test_users_stand_in_the_state_folder_or_where_it_is_set(tmp_path: Path) -> None:
    assert load(tmp_path).users_file == tmp_path / ".refinery" / "users.toml"
    assert load(tmp_path, REFINERY_USERS_FILE="u.toml").users_file == tmp_path / "u.toml"


TRACKER = {
    "REFINERY_ISSUE_TRACKER_REPOSITORY": "snm/work.stations",
    "REFINERY_ISSUE_TRACKER_TOKEN": "ghp_hunter2",
}


def test_without_a_repository_there_is_no_issue_tracker(tmp_path: Path) -> None:
    assert issue_tracker(load(tmp_path)) is None
    tracker = issue_tracker(load(tmp_path, **TRACKER))
    assert tracker is not None and tracker.repository == "snm/work.stations"
    assert tracker.api_url == "https://api.github.com" and tracker.labels == []
    assert tracker.token.get_secret_value() == "ghp_hunter2"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("REPOSITORY", "snm", "ISSUE_TRACKER_REPOSITORY"),
        ("REPOSITORY", "https://github.com/snm/x", "ISSUE_TRACKER_REPOSITORY"),
        ("REPOSITORY", "snm/..", "ISSUE_TRACKER_REPOSITORY"),
        ("TOKEN", "", "set issue_tracker_token too"),
        ("TOKEN", "ghp_hunter2\n", "as GitHub gave it"),
        ("API_URL", "http://github.museum.example/api/v3", "write an https address"),
    ],
)
def test_an_issue_tracker_that_cannot_be_meant_is_refused(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        load(tmp_path, **TRACKER | {f"REFINERY_ISSUE_TRACKER_{name}": value})
    assert "hunter2" not in str(refused.value)
