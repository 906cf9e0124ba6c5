import numpy as np

from panoptic_eval.outputs import csv, plots


def test_the_figure_shows_the_bins(scored, tmp_path):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    csv.write(scored, tmp_path)
    rows = csv.read(tmp_path / "size_percentiles.csv")
    _, ax = pyplot.subplots()
    plots.ap_by_size_percentile(rows, ax=ax, label="ours")
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), 100 * rows["AP_mask"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0–25", "25–50", "50–75", "75–99", "99–100"]
    pyplot.close()
