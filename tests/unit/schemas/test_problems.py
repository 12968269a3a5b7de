"""Problems of workstations: what they may hold, what makes two the same, and what is cleaned."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.problems import (
    MAX_DETAILS,
    MAX_SUMMARY,
    WorkstationProblem,
    fingerprint_of,
    without_personal_data,
)
from tests.support.problems import problem

WINDOWS, POSIX = r"C:\Users\Anna Åkær", "/home/annaåk"


def test_a_problem_comes_back_from_json_as_it_was_and_keys_of_later_clients_are_ignored() -> None:
    text = problem(workstation="").model_dump_json().replace("{", '{"later": 1, ', 1)
    assert WorkstationProblem.model_validate_json(text) == problem(workstation="")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workstation", "../other"),
        ("step", "dance"),
        ("code", "Drive away"),
        ("summary", "x" * (MAX_SUMMARY + 1)),
        ("summary", "  "),
        ("details", "x" * (MAX_DETAILS + 1)),
        ("details", "nul \0"),
        ("system", "x" * 101),
        ("occurred_at", "2026-11-30T12:00:00"),
        ("fingerprint", "a" * 63),
        ("times", 0),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        problem(**{field: value})


def test_a_fingerprint_tells_apart_where_the_same_letters_end_in_another_fact() -> None:
    facts = ("upload", "drive_away", "OSError", "workstation.ingest.sending:send")
    assert fingerprint_of(*facts) == fingerprint_of(*facts)
    others = {fingerprint_of("a", "b", "cd", ""), fingerprint_of("a", "b", "c", "d")}
    assert len(others) == 2


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (r"C:\Users\Anna Åkær\Pictures\a b.tif", r"~\Pictures\a b.tif"),
        (r"'C:\\Users\\Anna Åkær\\a.tif'", r"'~\\a.tif'"),
        (r"\\?\C:\Users\anna åkær\a.tif", r"\\?\~\a.tif"),
        ("c:/users/Anna Åkær/a.tif", "~/a.tif"),
        ("file:///C:/Users/Anna%20%C3%85k%C3%A6r/a.tif", "~/a.tif"),
        ("x?p=C%3A%5CUsers%5CAnna%20%c3%85k%c3%a6r%5Ca.tif", "x?p=~%5Ca.tif"),
        ("C:\\Users\\Anna A\u030akær\\a.tif", r"~\a.tif"),
        (r"C:\\Users\\Anna \xc5k\xe6r\\a.tif", r"~\\a.tif"),
        (r"C:\Users\ANNAAK~1\AppData\Local\Temp", r"~\AppData\Local\Temp"),
        (r"C:\Users\Bo Bosen\a.tif and D:\photos\b.tif", r"~\a.tif and D:\photos\b.tif"),
        ("/home/bo was not found", "~ was not found"),
        (r"\\nas\photos\WORKHERB0001\new_1\a.tif", r"\\nas\photos\WORKHERB0001\new_1\a.tif"),
    ],
)
def test_a_home_folder_becomes_a_tilde_however_it_is_written(text: str, cleaned: str) -> None:
    assert without_personal_data(text, WINDOWS, "") == cleaned


def test_the_home_folder_of_another_system_and_one_that_begins_like_it() -> None:
    text = "/home/annaåk/a /home/annaåk-old/b /var/lib/c"
    assert without_personal_data(text, POSIX, "annaåk") == "~/a ~/b /var/lib/c"
    assert without_personal_data("C:\\x and /x", "C:\\", "") == "C:\\x and /x"
    assert without_personal_data("/opt/people/anna/x", "/opt/people/anna", "") == "~/x"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("annaåk, AnnaÅk2 and work_annaåk_3", "user, user2 and work_user_3"),
        ("%2Fanna%C3%A5k%2F", "%2Fuser%2F"),
        ("annaåker and hannaåk", "annaåker and hannaåk"),
    ],
)
def test_a_users_name_becomes_user_where_it_is_a_word(text: str, cleaned: str) -> None:
    assert without_personal_data(text, "", "annaåk") == cleaned


def test_a_name_of_two_letters_is_no_part_of_a_number() -> None:
    assert without_personal_data("ab of 1ab2 and 7-ab-9", "", "ab") == "user of 1ab2 and 7-user-9"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("write to anna.b+c@snm.ku.dk.", "write to <e-mail>."),
        ("?to=anna%40snm.ku.dk", "?to=<e-mail>"),
        ("https://anna:p@ss@host.dk:8100/x", "https://host.dk:8100/x"),
        ("GET /x?access_token=abc.d-e&y=1", "GET /x?access_token=<removed>&y=1"),
        ("Authorization: Basic YW5uYTp4", "Authorization: <removed>"),
        ("{'Authorization': 'Bearer abc.def'}", "{'Authorization': '<removed>'}"),
        ("bearer abc.def-ghi", "bearer <removed>"),
        ("{'password': 'a \\' b', 'n': 1}", "{'password': <removed>, 'n': 1}"),
        ('{"csrf_token": "abc"}', '{"csrf_token": <removed>}'),
        ('password="a b" c', "password=<removed> c"),
        ("sent eyJhbGciOi.eyJzdWIi.c2ln there", "sent <removed> there"),
        ("ghp_" + "x" * 36, "<removed>"),
        ("github_pat_" + "x" * 50, "<removed>"),
        ("Wrong password: try again", "Wrong password: try again"),
        ("ssh anna@host", "ssh anna@host"),
    ],
)
def test_addresses_of_mail_passwords_and_tokens_are_removed(text: str, cleaned: str) -> None:
    assert without_personal_data(text, "", "") == cleaned


WORDS = st.text(max_size=20)


@given(WORDS, WORDS)
@example("%", "%")
def test_whatever_stands_around_it_no_secret_remains_and_once_cleaned_is_clean(
    before: str, after: str
) -> None:
    for secret in ("hunter2", "anna.b", "Åkær"):
        text = (
            f"{before} https://x:hunter2@host/ mail anna.b@ku.dk {before}"
            f" {WINDOWS}\\x Åkær {after} password='hunter2' token=hunter2&{after}"
        )
        cleaned = without_personal_data(text, WINDOWS, "Åkær")
        assert secret not in cleaned.replace(before, "").replace(after, "")
