"""How the choices of a session come about: given, asked for, or as they were last."""

from dataclasses import dataclass

from schemas.digitisation import Values
from workstation.session.choices import Choices, why_not_offered
from workstation.session.planning import WrongChoices
from workstation.terminal.asking import Asker, NothingAnswered, plain


@dataclass(frozen=True, slots=True)
class GivenChoices:
    """What the command line says; None: it does not."""

    institution: str | None = None
    collection: str | None = None
    preparation_type: str | None = None
    pipeline: str | None = None
    funding: tuple[str, ...] | None = None
    digitiser: str | None = None
    other_digitisers: tuple[str, ...] | None = None
    payload_type: str | None = None


def choose(
    given: GivenChoices, last: Choices | None, values: Values, asker: Asker | None
) -> Choices:
    """All choices of a session; without an asker what is not given is as it was last.

    Raises NothingAnswered naming what is to be given, WrongChoices for what is not offered.
    """
    chooser = _Chooser(last, asker)
    collections = tuple(each.name for each in values.collections)
    collection = chooser.one("collection", given.collection, collections)
    offered = values.collection(collection)
    if offered is None:
        raise NothingAnswered(f"the server offers {values.workstation} no collection at all")
    return Choices(
        institution=plain(given.institution or values.institution),
        collection=collection,
        preparation_type=chooser.one(
            "preparation_type", given.preparation_type, offered.preparation_types
        ),
        pipeline=chooser.one("pipeline", given.pipeline, offered.pipelines),
        payload_type=chooser.one("payload_type", given.payload_type, values.payload_types),
        funding=chooser.several("funding", given.funding, values.funding),
        digitiser=chooser.text("digitiser", given.digitiser, values.digitisers),
        other_digitisers=chooser.several("other_digitisers", given.other_digitisers, ()),
    )


class _Chooser:
    """One choice after the other."""

    def __init__(self, last: Choices | None, asker: Asker | None) -> None:
        self._last, self._asker = last, asker

    def one(self, field: str, given: str | None, offered: tuple[str, ...]) -> str:
        """One of what is offered."""
        if given is not None:
            if problem := why_not_offered(field, plain(given), offered):
                raise WrongChoices([problem])
            return plain(given)
        last = str(getattr(self._last, field, ""))
        if self._asker is not None:
            return self._asker.choice(_shown(field), offered, last)
        if last in offered:
            return last
        if len(offered) == 1:
            return offered[0]
        named = ", ".join(offered) or "nothing"
        raise NothingAnswered(f"give {_option(field)}, one of: {named}")

    def text(self, field: str, given: str | None, suggested: tuple[str, ...]) -> str:
        """Any text."""
        if given is not None:
            return plain(given)
        last = str(getattr(self._last, field, ""))
        if self._asker is not None:
            return self._asker.text(_shown(field), last, suggested)
        if last:
            return last
        raise NothingAnswered(f"give {_option(field)}")

    def several(
        self, field: str, given: tuple[str, ...] | None, usual: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Any number of texts."""
        if given is not None:
            return tuple(map(plain, given))
        last = getattr(self._last, field, usual)
        return self._asker.texts(_shown(field), last) if self._asker is not None else last


def _shown(field: str) -> str:
    return field.replace("_", " ").capitalize()


def _option(field: str) -> str:
    return "--" + field.replace("_", "-").removesuffix("s")
