"""Build the site without Quarto and check it: every page, figure, link and sidebar entry.

The notebooks are processed as nbdev does for Quarto, then rendered to _docs by nbconvert. Needs `pip install -e '.[dev]'`.
"""
import base64
import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import yaml

ROOT = Path(__file__).parents[1]


class Page(HTMLParser):
    "Collect what a page links to, its anchors, and its images"

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.images = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get("id"):
            self.ids.add(attrs["id"])
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag == "img":
            self.images.append(attrs)


def process():
    "nbdev's processing of nbs/ into _proc/"
    from nbdev.doclinks import _build_modidx
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs

    _build_modidx()
    refresh_quarto_yml()
    return proc_nbs(force=True, n_workers=0)


def render(proc, out):
    "Each processed notebook as one HTML page"
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    for path in sorted(proc.rglob("*.ipynb")):
        nb = nbformat.read(path, as_version=4)
        for cell in nb.cells:  # links between notebooks are links between pages
            if cell.cell_type == "markdown":
                cell.source = re.sub(r"\]\(([\w/-]+)\.ipynb(#[\w-]+)?\)", r"](\1.html\2)", cell.source)
        target = (out/path.relative_to(proc)).with_suffix(".html")
        target.parent.mkdir(parents=True, exist_ok=True)
        for figure in (path.parent/"figures").glob("*"):  # pictures that are files; most are outputs
            (target.parent/"figures").mkdir(exist_ok=True)
            shutil.copy(figure, target.parent/"figures")
        target.write_text(exporter.from_notebook_node(nb)[0], encoding="utf-8")


def sidebar_entries(items):
    "The files that a Quarto sidebar or navbar names, at any depth"
    for item in items:
        if isinstance(item, str):
            yield item
        else:
            if "href" in item:
                yield item["href"]
            yield from sidebar_entries(item.get("contents", []))


def check_config():
    "Faults of the two Quarto files"
    root, shim = (yaml.safe_load((ROOT/p).read_text()) for p in ("_quarto.yml", "nbs/_quarto.yml"))
    site = root["website"]
    entries = [*sidebar_entries(site["sidebar"]["contents"]), *sidebar_entries(site["navbar"]["left"])]
    faults = [f"_quarto.yml names {e}, which is not in nbs/" for e in entries if not e.startswith("http") and not (ROOT/"nbs"/e).exists()]
    listed = {e for e in entries if e.endswith(".ipynb")}
    faults += [f"nbs/{p.relative_to(ROOT/'nbs')} is not in the sidebar of _quarto.yml" for p in (ROOT/"nbs").rglob("[!.]*.ipynb")
               if ".ipynb_checkpoints" not in p.parts and p.relative_to(ROOT/"nbs").as_posix() not in listed]
    if "../_quarto.yml" not in shim["metadata-files"]:
        faults.append("nbs/_quarto.yml does not include ../_quarto.yml")
    return faults


def check_page(path, pages):
    "Faults of one page: empty, errors, broken links, broken or nameless figures"
    page, faults = pages[path], []
    for link in page.links:
        target, _, anchor = unquote(link).partition("#")
        if re.match(r"(https?|mailto|data):", link):
            continue
        there = (path.parent/target).resolve() if target else path
        if there not in pages and not there.is_file():
            faults.append(f"link to {link}")
        elif anchor and there in pages and anchor not in pages[there].ids:
            faults.append(f"anchor {link}")
    for image in page.images:
        head, _, body = image.get("src", "").partition("base64,")
        if head.startswith("data:image/png") and not base64.b64decode(body).startswith(b"\x89PNG"):
            faults.append("an image that is no PNG")
        elif not head.startswith("data:") and not (path.parent/image.get("src", "")).is_file():
            faults.append(f"image {image.get('src')}")
    return [f"{path.name}: {f}" for f in faults]


def check_outputs(path):
    "Faults of a notebook's stored outputs: errors, or figures that were never drawn"
    cells = json.loads(path.read_text())["cells"]
    outputs = [o for c in cells for o in c.get("outputs", [])]
    faults = ["holds an error"] if any(o["output_type"] == "error" for o in outputs) else []
    if any(c["cell_type"] == "code" and "#| export" not in "".join(c["source"]) for c in cells[1:-1]) and not outputs:
        faults.append("has no outputs: python scripts/run_notebooks.py")
    return [f"{path.name}: {f}" for f in faults]


def main():
    out = ROOT/"_docs"
    render(process(), out)
    pages = {p.resolve(): Page(p.read_text(encoding="utf-8")) for p in out.rglob("*.html")}
    faults = check_config() + [f for p in pages for f in check_page(p, pages)]
    faults += [f for p in sorted((ROOT/"nbs").rglob("[!.]*.ipynb")) for f in check_outputs(p)]
    links, images = (sum(len(getattr(p, what)) for p in pages.values()) for what in ("links", "images"))
    print(f"{len(pages)} pages, {links} links, {images} figures, {len(faults)} faults")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
