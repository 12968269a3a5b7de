"""How far the work is, as the page shows it."""

from workstation.page.progress import MAX_NOTES, STILL_S, ShownProgress
from workstation.watching import IngestPhase


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_files_and_bytes_are_added_up_and_the_time_that_is_left_is_reckoned() -> None:
    clock = Clock()
    progress = ShownProgress(clock)
    progress.begins(IngestPhase.SEND, 3, 3000)
    for second in range(1, 11):
        clock.now = second
        progress.moves("a.tif", second * 100, 1000)
    progress.ends("a.tif")
    progress.moves("b.tif", 500, 1000)
    view = progress.view()
    assert (view.title, view.files_done, view.done_bytes) == ("Sending", 1, 1500)
    assert [(bar.name, bar.done_bytes) for bar in view.bars] == [("b.tif", 500)]
    assert view.share == 0.5
    assert view.left_s is not None and 5 <= view.left_s <= 20


def test_while_nothing_moves_no_time_is_promised() -> None:
    clock = Clock()
    progress = ShownProgress(clock)
    progress.begins(IngestPhase.SEND, 1, 1000)
    for second in (1, 2, 3):
        clock.now = second
        progress.moves("a.tif", second * 100, 1000)
    assert progress.view().left_s is not None
    clock.now += STILL_S + 1
    assert progress.view().left_s is None


def test_a_file_that_begins_again_is_not_counted_twice() -> None:
    progress = ShownProgress()
    progress.begins(IngestPhase.SEND, 1, 1000)
    progress.moves("a.tif", 900, 1000)
    progress.moves("a.tif", 100, 1000)
    assert progress.view().done_bytes == 100
    progress.ends("a.tif")
    progress.moves("a.tif", 500, 1000)
    progress.ends("a.tif")
    assert (progress.view().done_bytes, progress.view().files_done) == (1000, 1)


def test_where_nothing_is_said_of_bytes_files_count() -> None:
    progress = ShownProgress()
    progress.begins(IngestPhase.CONFIRM, 4, 4000)
    progress.ends("a.tif")
    assert progress.view().share == 0.25


def test_another_phase_begins_at_nothing_and_notes_stay_the_last_of_them() -> None:
    progress = ShownProgress()
    progress.begins(IngestPhase.SEND, 1, 10)
    progress.moves("a.tif", 10, 10)
    for i in range(MAX_NOTES + 1):
        progress.notes(f"note {i}")
    progress.begins(IngestPhase.END, 0, 0)
    view = progress.view()
    assert (view.title, view.share, view.bars) == ("Closing the session", 0.0, ())
    assert (view.notes[0], len(view.notes)) == ("note 1", MAX_NOTES)


def test_every_phase_has_a_title() -> None:
    progress = ShownProgress()
    for phase in IngestPhase:
        progress.begins(phase, 1, 1)
        assert progress.view().title != phase.value
