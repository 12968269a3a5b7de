"""What is true of all specimens of the session: offered, and remembered from the last one."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

from schemas.digitisation import Values
from workstation.page.context import Fields, Page, PageContext, lines_of, see, text_of, texts_of
from workstation.session.choices import ChoiceProblem, Choices, check_choices

router = APIRouter()


@router.get("/choices")
def form(page: Page) -> Response:
    """The form, with what was chosen last at this workstation."""
    page.state.needs_scan()
    return _form(page, page.state.remembered.of(page.state.workstation), [])


@router.post("/choices")
def choose(page: Page, fields: Fields) -> Response:
    """Keep what was chosen for the next time, and plan the session with it."""
    state = page.state
    _, values = state.needs_folder()
    if state.needs_scan().stops:
        return see("/look")
    chosen = _chosen(fields, values)
    if problems := check_choices(chosen, values):
        return _form(page, chosen, problems)
    state.make_plan(chosen)
    state.remembered.remember(state.workstation, chosen)
    return see("/check")


def _chosen(fields: FormData, values: Values) -> Choices:
    return Choices(
        institution=values.institution,
        collection=text_of(fields, "collection"),
        preparation_type=text_of(fields, "preparation_type"),
        pipeline=text_of(fields, "pipeline"),
        funding=(*texts_of(fields, "funding"), *lines_of(fields, "other_funding")),
        digitiser=text_of(fields, "digitiser"),
        other_digitisers=lines_of(fields, "other_digitisers"),
        payload_type=text_of(fields, "payload_type"),
    )


def _form(page: PageContext, chosen: Choices | None, problems: list[ChoiceProblem]) -> Response:
    _, values = page.state.needs_folder()
    funding = chosen.funding if chosen else values.funding[:1]
    return page.page(
        "choices.html",
        "choices",
        HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK,
        values=values,
        chosen=chosen,
        specimens=len(page.state.needs_scan().specimens),
        funding=funding,
        other_funding=[each for each in funding if each not in values.funding],
        pipelines=_by_collection(values, "pipelines"),
        preparation_types=_by_collection(values, "preparation_types"),
        problems={problem.field: problem for problem in problems},
    )


def _by_collection(values: Values, field: str) -> dict[str, list[str]]:
    """Everything that some collection offers in a field, and which collections do."""
    found: dict[str, list[str]] = {}
    for collection in values.collections:
        for each in getattr(collection, field):
            found.setdefault(each, []).append(collection.name)
    return found
