"""The data behind the pictures is right, and the style can be told apart in grey."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from recsys_kit import plots


@pytest.fixture
def ax():
    with mpl.rc_context():
        mpl.use("agg")
        plots.style()
        figure, axes = plt.subplots()
        yield axes
        plt.close(figure)


def lightness(colour):
    """CIE L* of a colour, 0 black to 100 white."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour))
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def test_neighbouring_lines_differ_on_grey_paper_and_all_lines_differ_in_colour_and_dash(ax):
    shades = [lightness(colour) for colour in plots.COLOURS]
    assert min(abs(np.diff(shades))) >= 10
    assert max(shades) < 75  # on white
    drawn = [ax.plot([0, 1], [0, n])[0] for n in range(7)]
    assert len({line.get_color() for line in drawn}) == 7
    assert len(set(map(str, plots.LINES))) == len(plots.LINES) == 7


def test_a_figure_has_the_size_that_stored_outputs_show_and_a_title_on_the_left(ax):
    assert repr(ax.figure) == "<Figure size 800x450 with 1 Axes>"
    assert plots.finding(ax, "Few items draw most events", "rank", "events") is ax
    assert ax.get_title(loc="left") == "Few items draw most events" and ax.get_title(loc="center") == ""
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("rank", "events")


def test_rank_frequency_draws_counts_from_the_most_frequent_down_without_zeros(ax):
    ranks, counts = plots.rank_frequency(ax, [1, 0, 5, 2], label="items")
    assert ranks.tolist() == [1, 2, 3] and counts.tolist() == [5, 2, 1]
    assert ax.lines[0].get_xydata().tolist() == [[1, 5], [2, 2], [3, 1]]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_concentration_draws_the_share_that_the_busiest_hold(ax):
    items, events = plots.concentration(ax, [1, 0, 5, 2])
    assert items.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert events.tolist() == [0, 5 / 8, 7 / 8, 1, 1]
    assert ax.lines[0].get_xydata()[1].tolist() == [0.25, 5 / 8]
    with pytest.raises(ValueError, match="no events"):
        plots.concentration(ax, [0, 0])


def test_a_funnel_shows_each_step_with_its_share_of_the_first(ax):
    plots.funnel(ax, {"view": 2000, "cart": 100, "purchase": 30})
    assert [bar.get_width() for bar in ax.patches] == [2000, 100, 30]
    assert [text.get_text() for text in ax.texts] == ["2,000 (100.0%)", "100 (5.0%)", "30 (1.5%)"]
    assert ax.yaxis_inverted()
    with pytest.raises(ValueError, match="'view'"):
        plots.funnel(ax, {"view": 0, "cart": 0})
