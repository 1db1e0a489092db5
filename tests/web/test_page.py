"""The page in a real browser: what a person does with it, on a desk and on a phone, when it works or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("selenium", reason='the tests of the page need the extra "dev"')

from fast_neural_style.web import server, studio
from fast_neural_style.web.infer import is_ready
from fast_neural_style.web.pictures import MAX_BYTES
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.harness.browser import CHROMIUM, DRIVER, MISSING, Browser, browser
from tests.web.conftest import serving

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason=MISSING)

DESK, PHONE = (1280, 800), (390, 844)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def tab(downloads: Path) -> Iterator[Browser]:
    with browser(downloads) as opened:
        yield opened


@pytest.fixture
def page(tab: Browser, port: int) -> Iterator[Browser]:
    """The page, freshly opened on a desk; it must not have written errors when the test is over."""
    tab.size(*DESK)
    tab.open(f"http://127.0.0.1:{port}/")
    tab.wait(lambda: tab.find("#painter-text").text == "Painter ready", "the painter is ready")
    tab.errors()
    yield tab
    assert tab.errors() == []


def paint_the_cat(page: Browser, style: int = 5) -> None:
    page.click("#example")
    page.wait_for_state("chosen")
    page.click(f"input[name=style][value='{style}']")
    page.click("#paint")
    page.wait_for_state("done")


def split(page: Browser) -> int:
    """Where the divider is, in percent, which the slider and the picture must agree on."""
    shown = page.script("return document.getElementById('compare').style.getPropertyValue('--split')")
    value = int(str(page.find("#split").get_property("value")))
    assert shown == f"{value}%" or abs(float(str(shown).rstrip("%")) - value) < 2
    return value


def choose(page: Browser, path: Path) -> None:
    page.find("#file").send_keys(str(path))


def test_all_styles_are_shown_as_they_paint(page: Browser) -> None:
    loaded = "return [...document.querySelectorAll('.tile img')].filter(i => i.naturalWidth === 240).length"
    page.wait(lambda: page.script(loaded) == 26, "26 thumbnails")
    assert not page.find("#paint").is_enabled()


def test_a_chosen_picture_is_painted_compared_and_downloaded(
    page: Browser, cat: Path, downloads: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "my <b>cat.jpg"
    photo.write_bytes(cat.read_bytes())
    choose(page, photo)
    page.wait_for_state("chosen")
    page.click("input[name=style][value='8']")
    page.find("#paint").click()
    page.wait_for_state("done")
    page.find("#download").click()
    page.wait(lambda: list(downloads.glob("*-style-8.jpg")), "the painting is saved")
    (found,) = downloads.glob("*-style-8.jpg")
    with Image.open(found) as painting, Image.open(cat) as original:
        assert painting.size == (1024, 681)
        small = np.asarray(painting.resize(original.size), float)
        assert np.abs(small - np.asarray(original, float)).mean() > 10


def test_progress_is_told_to_everybody(page: Browser) -> None:
    page.script(
        "window.seen = []; const told = document.getElementById('stage-text');"
        "new MutationObserver(() => window.seen.push(told.textContent)).observe(told, {childList: true})"
    )
    paint_the_cat(page)
    seen = page.script("return window.seen")
    assert isinstance(seen, list)
    assert seen[0] == "Sending the picture"
    assert seen[-1] in ("Waiting for the painter", "Painting")


def test_the_divider_follows_mouse_and_arrow_keys(page: Browser) -> None:
    paint_the_cat(page)
    assert split(page) == 50
    compare, slider = page.find("#compare"), page.find("#split")
    width = compare.size["width"]
    ActionChains(page.driver).move_to_element(compare).click_and_hold().move_by_offset(
        width // 4, 0
    ).release().perform()
    assert 72 <= split(page) <= 78
    slider.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert 68 <= split(page) <= 74
    slider.send_keys(Keys.HOME)
    assert split(page) == 0
    slider.send_keys(Keys.END)
    assert split(page) == 100


def test_the_divider_follows_a_finger(page: Browser) -> None:
    page.size(*PHONE, phone=True)
    paint_the_cat(page)
    box = page.find("#compare").rect
    top = page.script("return document.getElementById('compare').getBoundingClientRect().top")
    assert isinstance(top, int | float)
    for kind, part in (("touchStart", 0.5), ("touchMove", 0.35), ("touchMove", 0.2), ("touchEnd", None)):
        points = [] if part is None else [{"x": box["x"] + box["width"] * part, "y": top + box["height"] / 2}]
        page.command("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    page.wait(lambda: 17 <= split(page) <= 23, "the divider is at a fifth")


def test_it_can_be_used_with_the_keyboard_alone(page: Browser) -> None:
    page.find("#example").send_keys(Keys.ENTER)
    page.wait_for_state("chosen")
    page.find("input[name=style]:checked").send_keys(Keys.ARROW_RIGHT)
    assert page.find("#chosen-style").text == "6"
    page.find("#paint").send_keys(Keys.SPACE)
    page.wait_for_state("done")
    assert page.script("return document.activeElement.id") == "download"


def test_another_style_is_painted_without_choosing_the_picture_again(page: Browser) -> None:
    paint_the_cat(page, 1)
    first = page.find("#after").get_attribute("src")
    page.click("input[name=style][value='2']")
    assert page.find("#download").is_displayed()
    page.click("#paint")
    page.wait(lambda: page.find("#after").get_attribute("src") != first, "a second painting")
    page.wait_for_state("done")
    assert "style-2" in str(page.find("#download").get_attribute("download"))
    page.click("#fresh")
    page.wait_for_state("empty")


def test_a_dropped_picture_is_taken(page: Browser) -> None:
    page.script(
        "const canvas = Object.assign(document.createElement('canvas'), {width: 80, height: 60});"
        "canvas.toBlob((blob) => { const dataTransfer = new DataTransfer();"
        "dataTransfer.items.add(new File([blob], 'a.png', {type: 'image/png'}));"
        "const how = {dataTransfer, bubbles: true, cancelable: true};"
        "for (const kind of ['dragenter', 'dragover', 'drop'])"
        " document.body.dispatchEvent(new DragEvent(kind, how)); });"
    )
    page.wait_for_state("chosen")
    assert "dragging" not in str(page.find("body").get_attribute("class"))


def test_the_camera_of_a_desk_takes_a_photo(page: Browser) -> None:
    page.click("#camera")
    page.wait(
        lambda: page.script("return document.getElementById('viewfinder').videoWidth > 0"), "a moving picture"
    )
    page.click("#shutter")
    page.wait_for_state("chosen")
    assert not page.find("#camera-dialog").is_displayed()
    page.wait(
        lambda: page.script("return document.getElementById('viewfinder').srcObject === null"),
        "the camera is off",
    )


def test_the_camera_of_a_phone_is_its_own(page: Browser) -> None:
    assert page.find("#snapshot").get_attribute("capture") == "environment"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    "size", [DESK, PHONE, (320, 568), (844, 390)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_it_fits_every_screen(page: Browser, size: tuple[int, int], dark: bool) -> None:
    page.size(*size, dark=dark, phone=size != DESK)
    width = "return [document.documentElement.scrollWidth, innerWidth]"
    assert page.script(width) == [size[0], size[0]]
    page.click("#example")
    page.wait_for_state("chosen")
    assert page.script(width) == [size[0], size[0]]
    page.wait(lambda: page.find("#before").size["height"] > 100, "the picture is large enough to see")
    background = page.script("return getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 19, 17)" if dark else "rgb(250, 248, 245)")
    small = (
        "return [...document.querySelectorAll('button, a.button')].filter(b => b.offsetParent && "
        "(b.offsetHeight < 40 || b.offsetWidth < 40)).map(b => b.id)"
    )
    assert page.script(small) == []


def test_what_is_being_painted_can_be_stopped(page: Browser) -> None:
    page.click("#example")
    page.wait_for_state("chosen")
    page.script("document.getElementById('paint').click(); document.getElementById('fresh').click()")
    page.wait_for_state("chosen")
    assert not page.find("#alert").is_displayed()
    page.click("#paint")
    page.wait_for_state("done")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(bytes(MAX_BYTES + 1))
    choose(page, tmp_path / "huge.png")
    assert page.complaint() == "That picture is too large"
    assert page.find("#alert-retry").text == "Choose another"


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "photo.jpg"])
def test_what_is_not_a_picture_is_refused(page: Browser, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<script>alert(1)</script>")
    choose(page, tmp_path / name)
    assert page.complaint() == "That picture cannot be read"


def test_a_picture_that_was_cut_off_is_refused_by_the_server(
    tab: Browser, port: int, cat: Path, tmp_path: Path
) -> None:
    tab.size(*DESK)
    tab.open(f"http://127.0.0.1:{port}/")
    (tmp_path / "cut.jpg").write_bytes(cat.read_bytes()[:20_000])
    choose(tab, tmp_path / "cut.jpg")
    tab.wait_for_state("chosen")
    tab.click("#paint")
    assert tab.complaint() == "That picture cannot be read"
    assert "415" in tab.errors()[0]  # the browser's own note of the refusal, and nothing else


def test_forty_megapixels_are_refused_by_the_server(tab: Browser, port: int, tmp_path: Path) -> None:
    tab.size(*DESK)
    tab.open(f"http://127.0.0.1:{port}/")
    Image.new("1", (8000, 5000)).save(tmp_path / "large.png")
    choose(tab, tmp_path / "large.png")
    tab.wait_for_state("chosen")
    tab.click("#paint")
    assert tab.complaint() == "That picture is too large"
    assert "40 megapixels" in tab.find("#alert-text").text
    tab.errors()


def test_a_full_studio_says_so_and_can_be_asked_again(
    tab: Browser, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab.size(*DESK)
    tab.open(f"http://127.0.0.1:{port}/")
    tab.click("#example")
    tab.wait_for_state("chosen")
    monkeypatch.setattr(studio, "MAX_IN_WORK", 0)
    tab.click("#paint")
    assert tab.complaint() == "The studio is full right now"
    monkeypatch.undo()
    tab.click("#alert-retry")
    tab.wait_for_state("done")
    assert not tab.find("#alert").is_displayed()
    tab.errors()


def test_a_painter_that_is_away_is_told_and_noticed_when_it_is_back(
    tab: Browser, nobody: str, painter_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab.size(*DESK)
    with serving(nobody) as port:
        tab.open(f"http://127.0.0.1:{port}/")
        assert tab.complaint() == "The painter is away"
        assert tab.find("#painter-text").text == "Painter away"
        tab.click("#example")
        tab.wait_for_state("chosen")
        tab.click("#paint")
        tab.wait_for_state("chosen")
        assert tab.complaint() == "The painter is away"
        monkeypatch.setattr(server, "is_ready", lambda url: is_ready(painter_url))
        tab.wait(lambda: tab.find("#painter-text").text == "Painter ready", "the painter is noticed")
        tab.wait(lambda: not tab.find("#alert").is_displayed(), "the message is gone")
    tab.errors()


def test_a_page_whose_server_is_gone_says_so(tab: Browser, painter_url: str) -> None:
    tab.size(*DESK)
    with serving(painter_url) as port:
        tab.open(f"http://127.0.0.1:{port}/")
        tab.click("#example")
        tab.wait_for_state("chosen")
    tab.click("#paint")
    assert tab.complaint() == "The connection is gone"
    tab.errors()
