"""The report in a real browser: it loads nothing, fits the window, and its buttons work."""

import shutil

import numpy as np
import pytest
import random_maps
from scene import scene

from panoptic_eval import evaluate
from panoptic_eval.checkup import check
from panoptic_eval.evaluation import load, rescore
from panoptic_eval.outputs import html
from panoptic_eval.outputs.html import checkup

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to drive")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt install chromium")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    rng = np.random.default_rng(3)
    categories = random_maps.catalogue(rng)
    gt, pred = random_maps.write(folder / "data", categories, random_maps.pairs(rng, categories, images=8))
    evaluate(pred, gt, out=folder / "first")
    evaluate(gt, gt, out=folder / "second")
    tables = load(folder / "first")
    report = rescore(tables, resamples=20)
    content = html.page(report, tables, name="first", against=("second", load(folder / "second")), resamples=20)
    (folder / "report.html").write_text(content)
    return folder / "report.html"


@pytest.fixture
def opened(browser, file):
    """The page, and what it asked for or complained about."""
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    trouble = []
    page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(("data:", file.as_uri())) else None)
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(file.as_uri())
    yield page, trouble
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100, 1920])
def test_it_fits_the_window_and_asks_for_nothing(opened, width, scheme):
    page, trouble = opened
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert trouble == []


@pytest.mark.parametrize("width", [360, 1920])
def test_a_checkup_fits_the_window_and_asks_for_nothing(browser, tmp_path, width):
    data = scene(tmp_path)
    for segment in data.gt.segments():
        segment["area"] = 1
    data.gt.json["annotations"][0]["segments_info"].pop()
    data.write()
    (tmp_path / "check.html").write_text(checkup.page(check(data.gt_json, data.pred_json)))
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests = []
    page.on("request", lambda r: requests.append(r.url) if not r.url.startswith(("data:", "file:")) else None)
    page.goto((tmp_path / "check.html").as_uri())
    assert page.locator("img").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert requests == []
    page.close()


def test_a_click_on_a_head_sorts_and_a_second_one_turns_the_order(opened):
    page, trouble = opened
    column = [head.inner_text() for head in page.query_selector_all("table.sortable th")].index("PQ")

    def values():
        cells = page.query_selector_all(f"table.sortable tbody tr td:nth-child({column + 1})")
        return [float(v) for cell in cells if (v := cell.get_attribute("data-v"))]

    button = page.locator("table.sortable th button").nth(column)
    button.click()
    assert values() == sorted(values(), reverse=True)
    button.click()
    assert values() == sorted(values())
    assert trouble == []


@pytest.mark.parametrize("title", ["category", "FN"])
def test_names_and_counts_are_sorted_as_shown(opened, title):
    page, _ = opened
    column = [head.inner_text() for head in page.query_selector_all("table.sortable th")].index(title)
    page.locator("table.sortable th button").nth(column).click()
    shown = [cell.inner_text() for cell in page.query_selector_all(f"table.sortable tbody td:nth-child({column + 1})")]
    assert len(set(shown)) > 1
    assert shown == sorted(shown, key=str if title == "category" else int, reverse=True)


def test_layers_are_shown_one_at_a_time(opened):
    page, _ = opened
    figure = page.locator("figure").first
    shown = figure.locator(".layers img.shown")
    names = [button.inner_text() for button in figure.locator("button").all()]
    assert names == ["first", "second", "truth", "photograph"]
    for name, expected in (("truth", "segments: truth"), ("second", "segments: second")):
        figure.get_by_role("button", name=name).click()
        assert [image.get_attribute("alt") for image in shown.all()] == [expected]
    figure.get_by_role("button", name="photograph").click()
    assert shown.count() == 0


def test_a_category_leaves_the_images_where_it_costs_something(opened):
    page, _ = opened
    figures, button = page.locator(".gallery figure"), page.locator(".pick button").last
    wanted = button.get_attribute("data-category")
    button.click()
    for figure in figures.all():
        assert figure.is_visible() == (wanted in figure.get_attribute("data-categories").split())
    button.click()
    assert all(figure.is_visible() for figure in figures.all())
