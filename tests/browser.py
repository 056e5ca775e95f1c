"""The web page in a real browser: `python tests/browser.py [--figures FOLDER] [--counts FILE]`.

Needs Playwright for Python and a Chromium: the one on the PATH, the one that CHROMIUM names, or Playwright's own.
Where there is none it says SKIPPED and ends with status 77. `--figures` keeps the screenshots that the docs show.
"""
import argparse
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from app_server import running

from siamese_sig.archive import enrol
from siamese_sig.core.layouts import embedded_data, read_images
from siamese_sig.verify import Verifier

SAYS = dict(genuine="Looks genuine", forged="Looks forged", inconclusive="Inconclusive")
done = []


def check(what, ok, more=""):
    "Count what was seen; stop at the first thing that is not as it should be"
    if not ok:
        raise SystemExit(f"FAILED: {what} {more}")
    done.append(what)


def upload(name, content):
    return dict(name=name, mimeType="application/octet-stream", buffer=content)


def find_chromium():
    "A Chromium that is installed here, or None for Playwright's own"
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def open_browser(playwright):
    try:
        return playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
    except Exception as e:  # whatever keeps it from starting, there is no browser
        print(f"SKIPPED: no Chromium can be started ({str(e).splitlines()[0]}); install one, or name it in CHROMIUM")
        sys.exit(77)


def keep(target, path, colours=96, **options):
    "A screenshot as a small PNG"
    image = Image.open(io.BytesIO(target.screenshot(**options))).convert("RGB")
    image.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)


def basics(page):
    "What every reader needs: a title, one first heading, names for pictures, buttons and fields, no sideways scrolling"
    check("title", "signature" in page.title())
    check("language", page.evaluate("document.documentElement.lang") == "en")
    check("description", page.locator("meta[name=description]").count() >= 1)
    check("one h1", page.locator("h1").count() == 1)
    nameless = page.evaluate("""() => [...document.querySelectorAll('main button, main input, main img, main canvas, main [role=img]')].filter(e => e.checkVisibility())
        .filter(e => !(e.innerText?.trim() || e.alt || e.ariaLabel || e.labels?.length || e.title)).map(e => e.outerHTML)""")
    check("everything has a name", not nameless, nameless)


def narrow(page):
    for width in (320, 390, 768):
        page.set_viewport_size(dict(width=width, height=800))
        page.wait_for_timeout(300)  # the row of tabs measures itself anew
        wide = page.evaluate("document.documentElement.scrollWidth")
        out = page.evaluate("width => [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > width).map(e => e.outerHTML.slice(0, 90))", width)
        check(f"fits {width} px", wide <= width, (wide, out[:5]))
    page.set_viewport_size(dict(width=1180, height=900))


def contrast(page):
    "Words stand out against their background: 4.5 to 1, as WCAG AA asks"
    worst = page.evaluate("""() => {
        const channels = c => (c.match(/[\\d.]+/g) || []).map(Number)
        const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b }
        const behind = e => { for (; e; e = e.parentElement) { const c = channels(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > .99) return c.slice(0, 3) } return [255, 255, 255] }
        let worst = [99, '']
        for (const e of document.querySelectorAll('main *')) {
            if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue
            const [a, b] = [light(channels(getComputedStyle(e).color).slice(0, 3)), light(behind(e))].sort((x, y) => y - x)
            const ratio = (a + .05) / (b + .05)
            if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 120)]
        }
        return worst }""")
    check("contrast", worst[0] >= 4.5, worst)
    return worst[0]


def verdict(page, expected):
    page.locator("#result h3").filter(has_text=SAYS[expected]).wait_for(timeout=60_000)


def verify(page, files, writer):
    "Upload, verify, errors, drawing, removing"
    verifier = Verifier.load()
    page.locator("#known-file").set_input_files([upload(f"../../{Path(p).name}", Path(p).read_bytes()) for p in writer["known"]])
    page.locator("#known-shelf li").nth(2).wait_for()
    check("three known ones, without folders in their names", page.locator("#known-shelf figcaption").first.inner_text() == Path(writer["known"][0]).name)
    page.get_by_role("button", name="Verify").click()
    page.locator("#result [role=alert]").filter(has_text="no questioned signature yet").wait_for()
    for questioned in (writer["genuine"], writer["forged"]):
        page.locator("#questioned-file").set_input_files(questioned)
        page.locator("#questioned-shelf li").filter(has_text=Path(questioned).name).wait_for()
        page.get_by_role("button", name="Verify").click()
        answer = verifier.verify(questioned, writer["known"])
        verdict(page, answer.verdict)
        check("the verdict and score of the verifier", f"{answer.score:.3f}; the threshold is {answer.threshold:.3f}" in page.locator("#result dl").inner_text())
        check("both overlays, in words too", page.locator("#result figure img[alt*='another hand']").count() == 2)
        reasons, shown = getattr(answer, "contributions", {}), page.locator("#result .reasons li")
        check("what spoke for and against", shown.count() == len(reasons), shown.all_inner_texts())
        check("supports an examiner", "does not replace one" in page.locator("#result").inner_text())
    page.get_by_role("button", name="Settings").first.click()
    page.get_by_label("Very strict").first.check()
    strict = verifier.verify(writer["forged"], writer["known"], "far_0.1")
    page.locator("#result dl").filter(has_text=f"the threshold is {strict.threshold:.3f}").wait_for()
    page.locator("button[aria-expanded=true]").filter(has_text="Settings").first.wait_for()  # the panel opens when the page is ready
    check("settings", page.get_by_role("button", name="Settings").first.get_attribute("aria-expanded") == "true")

    for name, content, told in (("broken.png", b"\x89PNG\r\n\x1a\nbroken", "not an image, or a damaged one"), ("note.txt", b"text", "not an image"), ("empty.png", b"", "not an image"),
                                ("blank.png", files["blank.png"], "no ink found"), ("bomb.png", files["bomb.png"], "too many pixels"), ("large.png", bytes(9_000_000), "at most 8.0 MB")):
        page.locator("#questioned-file").set_input_files(upload(name, content))
        error = page.locator("#questioned-errors .error, #questioned .message.bad").filter(has_text=f"{name}: ").filter(has_text=told)
        error.wait_for()
        check(f"{name}: one line", "\n" not in error.inner_text() and "Traceback" not in error.inner_text())
        check("the one before is still there", page.locator("#questioned-shelf li").count() == 1)

    page.locator("#questioned summary").click()
    page.get_by_role("button", name="Use this drawing").last.click()
    page.locator("#questioned .message.bad").filter(has_text="nothing is drawn").wait_for()
    paper = page.locator("#questioned canvas")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    page.mouse.move(box["x"]+30, box["y"]+60)
    page.mouse.down()
    for i in range(60):
        page.mouse.move(box["x"]+30+5*i, box["y"]+70+40*np.sin(i/4))
    page.mouse.up()
    page.get_by_role("button", name="Use this drawing").last.click()
    page.locator("#questioned-shelf li").filter(has_text="drawing.png").wait_for()
    page.get_by_role("button", name="Verify").click()
    page.locator("#result h3").wait_for()
    check("a drawing is judged", True)
    page.get_by_role("button", name="Remove drawing.png").click()
    page.locator("#questioned-shelf li").wait_for(state="detached")
    check("removing", page.locator("#known-shelf li").count() == 3)


def small_things(page, writer):
    "The same image twice, errors that go away, the way to the verdict on a phone"
    page.reload()
    page.locator("#verify").wait_for()
    page.locator("#known-file").set_input_files(upload("broken.png", b"broken"))
    page.locator("#known-errors [role=alert]").wait_for()
    page.locator("#questioned-file").set_input_files(writer["genuine"])
    page.locator("#questioned-shelf li").wait_for()
    page.locator("#known-errors [role=alert]").wait_for(state="detached")
    check("an error goes away with the next upload", True)
    page.set_viewport_size(dict(width=390, height=800))
    page.locator("#known-file").set_input_files(writer["genuine"])
    page.locator("#known-shelf li").wait_for()
    page.get_by_role("button", name="Verify").click()
    page.locator("#result h3").wait_for()
    page.wait_for_function("document.getElementById('result').getBoundingClientRect().top < innerHeight/2")
    check("on a phone the verdict comes into view", True)
    page.set_viewport_size(dict(width=1180, height=900))
    said = page.locator("#result").inner_text()
    check("the same image twice is told", "the same ink as a reference" in said, said)
    check("no place of what is not there", "0 % of the ink" not in said, said)


def identify(page, writer):
    "Whose is it? The writer comes first"
    page.get_by_role("tab", name="Whose is it?").click()
    page.locator("#asked-file").set_input_files(writer["genuine"])
    page.locator("#asked-shelf li").wait_for()
    page.get_by_role("button", name="Compare with everybody").click()
    page.locator("#ranking tbody tr").first.wait_for(timeout=60_000)
    check("the right writer first", page.locator("#ranking tbody tr").first.inner_text().startswith(writer["name"]))
    check("nothing is said of people who are not enrolled", "assumes nothing about others" in page.locator("#ranking").inner_text())


def keyboard(page):
    "An example without a mouse: Tab to it, Enter"
    page.reload()
    page.locator("#verify").wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Genuine":
            break
    check("focus can be seen", page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid")
    page.keyboard.press("Enter")
    verdict(page, "genuine")
    check("keyboard alone", True)
    check("it is said aloud", page.locator("#result").get_attribute("aria-live") == "polite")


def batch(page, files, writer):
    page.get_by_role("tab", name="Batch").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save a sample csv").click()
    check("a sample csv", Path(waiting.value.path()).read_text().startswith("query,refs\n"))
    names = [Path(p).name for p in writer["known"]]
    rows = [(Path(writer["forged"]).name, "|".join(names)), (names[2], names[0]), ("../../../etc/passwd", names[0]), ("broken.png", names[0])]
    table = pd.DataFrame(rows, columns=["query", "refs"])
    page.locator("#pairs-file").set_input_files(upload("pairs.csv", table.to_csv(index=False).encode()))
    images = [upload(Path(p).name, Path(p).read_bytes()) for p in (*writer["known"], writer["forged"])]
    page.locator("#images-file").set_input_files([*images, upload("broken.png", b"broken")])
    page.locator("#images .message").filter(has_text="5 files").wait_for()
    page.get_by_role("button", name="Score").click()
    page.locator("#scores").filter(has_text="2 rows scored, 2 with errors").wait_for(timeout=60_000)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save scores.csv").click()
    got = pd.read_csv(io.BytesIO(Path(waiting.value.path()).read_bytes()), keep_default_na=False, dtype=str)
    answer = Verifier.load().verify(writer["forged"], writer["known"])
    check("scores as the verifier's", abs(float(got.score[0])-answer.score) < 1e-5 and got.verdict[0] == answer.verdict)
    check("order kept, errors in their rows", got["query"].tolist() == table["query"].tolist() and "not among the images" in got.error[2] and "not an image" in got.error[3])
    page.locator("#pairs-file").set_input_files(upload("pairs.csv", b"a,b\n1,2\n"))
    page.get_by_role("button", name="Score").click()
    page.locator("#scores [role=alert]").filter(has_text="query and refs missing").wait_for()
    check("a csv without its columns: one line", True)


def enrol_few(images, folder, archive, n_writers=4):
    "Enrol three genuine signatures of each of the first few writers"
    for writer in images.writer.unique()[:n_writers]:
        (folder/writer).mkdir(parents=True)
        for path in images.path[(images.writer == writer) & ~images.forged][:3]:
            shutil.copy(path, folder/writer)
    enrol(folder, archive)


def pictures(page, folder):
    "The screenshots that the docs show: embedded signatures only"
    for name, scheme, width, example in (("app", "light", 1180, "Forgery"), ("app_phone", "dark", 390, "Better forgery")):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(dict(width=width, height=900))
        page.reload()
        page.get_by_role("button", name=example, exact=True).click()
        page.locator("#result h3").wait_for()
        page.mouse.move(0, 0)
        page.wait_for_timeout(600)
        check(f"contrast, {scheme}", contrast(page) >= 4.5)
        keep(page if name == "app" else page.locator("#result"), folder/f"{name}.png", **(dict(full_page=True) if name == "app" else {}))
        check(f"{name}.png", (folder/f"{name}.png").stat().st_size > 5000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, help="folder for the screenshots")
    parser.add_argument("--counts", type=Path, help="JSON file to write the counts to")
    args = parser.parse_args()
    if args.figures:
        args.figures.mkdir(parents=True, exist_ok=True)
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        print("SKIPPED: Playwright is not installed; pip install playwright")
        sys.exit(77)
    images = read_images(embedded_data()).query("split=='test'")
    own = images[images.writer == images.writer.iloc[0]]
    genuine, forged = (own.path[own.forged == f].tolist() for f in (False, True))
    writer = dict(known=genuine[:3], genuine=genuine[4], forged=forged[2], name=own.writer.iloc[0])
    files = {}
    for name, image in (("blank.png", Image.new("L", (300, 100), 255)), ("bomb.png", Image.new("1", (20000, 20000)))):
        image.save(out := io.BytesIO(), "PNG")
        files[name] = out.getvalue()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        browser = open_browser(playwright)
        archive = Path(scratch)/"refs.parquet"
        enrol_few(images, Path(scratch)/"people", archive)
        with running("--enrolled", str(archive)) as server:
            page = browser.new_page(viewport=dict(width=1180, height=900))
            asked, faults = set(), []
            page.on("request", lambda r: asked.add(r.url))
            page.on("pageerror", lambda e: faults.append(str(e)))
            page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
            page.goto(server.url)
            page.locator("#verify").wait_for(timeout=60_000)
            basics(page)
            verify(page, files, writer)
            basics(page)
            contrast(page)
            narrow(page)
            small_things(page, writer)
            keyboard(page)
            batch(page, files, writer)
            identify(page, writer)
            narrow(page)
            pictures(page, args.figures or Path(scratch))
            browser.close()
            away = [u for u in asked if not u.startswith((server.url, "data:", "blob:"))]
            check("nothing asked of another host", not away, away)
            check("no error in the browser", not faults, faults)
            check("nothing on the disk while it runs", not server.left(), server.left())
            check("ends when told to", server.stop() == 0)
            check("nothing on the disk afterwards", not server.left(), server.left())
            check("no traceback", "Traceback" not in server.said(), server.said())
    if args.counts:
        args.counts.write_text(json.dumps(dict(cases=len(done), survived=len(done), skipped=0, notes=[])))
    print(f"{len(done)} checks in {browser.browser_type.name} passed; {len(asked)} requests, all to {server.url}")


if __name__ == "__main__":
    main()
