"""Where bars and boxes lie that the server draws."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.charts import BOX_WIDTH, day_chart, nice_top, stage_graph
from track.reports.by_hour import Arrivals
from track.reports.stages import PipelineSeen, StageSeen, Upstream

DAY = date(2026, 11, 30)


def stage(number: int, *after: int) -> StageSeen:
    upstream = [Upstream(each, "P", f"s{each}", "", "") for each in after]
    return StageSeen(
        number, "P", f"s{number}", "module", "load", None, (), True, 2, upstream, {}, None, None
    )


def pipeline(stages: Sequence[StageSeen]) -> PipelineSeen:
    return PipelineSeen("P", True, {}, stages)


@given(st.integers(0, 10_000_000))
def test_the_top_of_a_chart_is_above_all_of_it_and_can_be_halved(most: int) -> None:
    top = nice_top(most)
    assert most <= top <= max(2, 2 * most) and top % 2 == 0


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=40))
def test_bars_lie_within_the_chart_beside_each_other(counts: list[tuple[int, int]]) -> None:
    chart = day_chart(
        [
            (DAY + timedelta(days=n), Arrivals(images=came, archived=archived))
            for n, (came, archived) in enumerate(counts)
        ]
    )
    for bars in chart.days:
        assert chart.left <= bars.came_x < bars.archived_x < chart.right
        assert 0 <= bars.came_y <= chart.base + 0.1 and 0 <= bars.archived_y <= chart.base + 0.1
        assert bars.came_y + bars.came_height == pytest.approx(chart.base, abs=0.2)
    for before, after in pairwise(chart.days):
        assert before.archived_x + before.width <= after.came_x
    assert chart.days[-1].labelled


def test_a_stage_stands_right_of_all_that_it_waits_for() -> None:
    graph = stage_graph(
        pipeline([stage(1), stage(2, 1), stage(3, 1), stage(4, 2, 3), stage(5, 1, 4)])
    )
    at = {box.stage.id: box for box in graph.boxes}
    for box in graph.boxes:
        for up in box.stage.upstream:
            assert at[up.stage_id].x + BOX_WIDTH < box.x
    assert len({(box.x, box.y) for box in graph.boxes}) == 5
    assert len(graph.edges) == 6
    assert max(box.x for box in graph.boxes) + BOX_WIDTH <= graph.width


def test_an_edge_from_another_pipeline_has_no_line_and_no_stages_are_no_graph() -> None:
    graph = stage_graph(pipeline([stage(2, 99)]))
    assert (len(graph.boxes), graph.edges) == (1, [])
    assert stage_graph(pipeline([])).boxes == []
