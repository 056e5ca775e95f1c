"""Build the site without Quarto and check it: pages, headings, figures, links and anchors, colours, the sidebar, written files, and
that every number in the prose is the measured one (scripts/numbers_in_prose.py).

The notebooks are processed as nbdev does for Quarto, then written to _docs as HTML that looks much like Quarto's: the same pages
under the same names, sidebar, previous and next, light and dark. Needs `pip install -e '.[dev]'`. Open _docs/index.html.
"""
import base64
import html
import json
import os
import re
import shutil
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import mistune
import yaml
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

import colab_check
import numbers_in_prose
import readme

ROOT = Path(__file__).parents[1]
NBS, OUT = ROOT/"nbs", ROOT/"_docs"
CONFIG, SHIM = (yaml.safe_load((ROOT/p).read_text(encoding="utf-8")) for p in ("_quarto.yml", "nbs/_quarto.yml"))
SITE = CONFIG["website"]


def process():
    "nbdev's processing of nbs/ into _proc/: its folder, and the address that its links begin with"
    from nbdev.config import get_config
    from nbdev.doclinks import _build_modidx
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs

    warnings.filterwarnings("error", "Found cells containing imports and other code")  # nbdev runs no such cell, or all of it
    _build_modidx()
    refresh_quarto_yml()
    cfg = get_config()
    return proc_nbs(force=True, n_workers=0), cfg.doc_host + cfg.doc_baseurl + "/"


# ---- markdown and cells to HTML ------------------------------------------------------------------------------------------------

def identifier(text):
    "The id that pandoc gives a heading"
    text = re.sub(r"[^\w\s.-]", "", html.unescape(re.sub("<[^>]+>", "", text)))
    return re.sub(r"^[^a-z]+", "", re.sub(r"\s+", "-", text.strip()).lower()) or "section"


class Markdown(mistune.HTMLRenderer):
    "Headings with pandoc's ids, coloured code, pandoc's attributes left out"

    def __init__(self):
        super().__init__(escape=False)
        self.seen = {}

    def heading(self, text, level, **attrs):
        name = identifier(text)
        n = self.seen[name] = self.seen.get(name, -1) + 1
        return f'<h{level} id="{name}{f"-{n}" if n else ""}">{text}</h{level}>\n'

    def block_code(self, code, info=None):
        return colour(code, (info or "").strip("{}. "))


def colour(code, language):
    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return highlight(code.rstrip(), lexer, HtmlFormatter(wrapcode=True, nowrap=False))


def options(source):
    "The cell options (`#| fig-cap: ...`) at the top of a cell, and the rest of it"
    lines = source.splitlines()
    n = next((i for i, line in enumerate(lines) if not line.startswith("#|")), len(lines))
    return yaml.safe_load("\n".join(line[2:].strip() for line in lines[:n] if ":" in line)) or {}, "\n".join(lines[n:]).strip()


def output(out, cell_options, md):
    "One stored output"
    data = {k: "".join(v) if isinstance(v, list) else v for k, v in out.get("data", {}).items()}
    if "image/png" in data:
        alt, cap = (html.escape(str(cell_options.get(k, "")), quote=True) for k in ("fig-alt", "fig-cap"))
        caption = f"<figcaption>{cap}</figcaption>" if cap else ""
        width = out.get("metadata", {}).get("image/png", {}).get("width")
        size = f' width="{width}"' if width else ""
        picture = f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{alt}"{size}>'
        return f'<figure class="cell-output-display">{picture}{caption}</figure>'
    if "text/markdown" in data:
        return md(re.sub(r"\)\{[^}]*\}", ")", data["text/markdown"]))
    if "text/html" in data:
        return f'<div class="cell-output-display">{data["text/html"]}</div>'
    text = data.get("text/plain") or "".join(out.get("text", ""))
    return f'<div class="cell-output-stdout cell-output"><pre>{html.escape(text)}</pre></div>' if text.strip() else ""


def body(cells):
    "The cells of a processed notebook as HTML"
    md = mistune.create_markdown(renderer=Markdown(), plugins=["table", "strikethrough"])
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and source.strip():
            parts.append(md(source))
        elif cell["cell_type"] == "code" and source.strip():
            asked, code = options(source)
            if asked.get("echo", True) and code:
                parts.append(f'<div class="cell-code">{colour(code, cell["metadata"].get("language", "python"))}</div>')
            parts += [output(o, asked, md) for o in cell.get("outputs", []) if o.get("name") != "stderr"]
    return "\n".join(parts)


# ---- pages ---------------------------------------------------------------------------------------------------------------------

LAYOUT = """
*, *::before { box-sizing: border-box } body { margin: 0; font: 17px/1.6 "Source Sans Pro", system-ui, sans-serif }
nav.navbar { display: flex; gap: 1.2rem; padding: .6rem 1rem; flex-wrap: wrap; align-items: center } nav.navbar a { color: #ffffff; text-decoration: none }
nav.navbar a:first-child { font-weight: bold } .page { display: grid; grid-template-columns: 15rem minmax(0, 46rem) 13rem; gap: 2rem; padding: 1rem; justify-content: center }
.sidebar ul, .toc ul { list-style: none; padding-left: .6rem; margin: .2rem 0 .8rem } .sidebar, .toc { font-size: .9rem } [aria-current] { font-weight: bold }
.toc nav, .sidebar nav { position: sticky; top: 1rem; max-height: 95vh; overflow-y: auto } pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem; border-radius: 4px; margin: .6rem 0 }
.highlight pre { background-color: #f6f8fa } .description { font-size: 1.15rem; color: #495057; background-color: #ffffff } figure { margin: 1rem 0 } p img { max-width: 100% }
.page-navigation { display: flex; justify-content: space-between; gap: 1rem; margin: 3rem 0 1rem } footer { padding: 1rem; text-align: center; font-size: .9rem }
button { font: inherit; color: #ffffff; background-color: #1f3a5f; border: 1px solid #ffffff; border-radius: 4px } h2 { margin-top: 2.2rem } summary { cursor: pointer }
body.quarto-dark .highlight pre { background-color: #26292d } body.quarto-dark .description { color: #ced4da; background-color: #1b1e21 }
@media (max-width: 1000px) { .page { display: block; max-width: 46rem; margin: auto } .toc { display: none } }
"""
PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><meta name="description" content="{description}"><link rel="icon" href="{up}{favicon}">
<meta property="og:title" content="{title}"><meta property="og:description" content="{description}"><meta property="og:image" content="{image}">
<meta name="twitter:card" content="{card}"><meta name="twitter:image" content="{image}">
<style>{layout}</style><link rel="stylesheet" href="{up}highlight.css"><link rel="stylesheet" href="{up}styles.css"></head><body class="quarto-light">
<nav class="navbar" aria-label="Site"><a href="{up}index.html">{site}</a>{navbar}<button type="button" id="theme" aria-pressed="false">Dark</button></nav>
<div class="page"><aside class="sidebar"><details {open}><summary>Contents</summary><nav aria-label="Pages">{sidebar}</nav></details></aside>
<main><h1>{title}</h1><p class="description">{description}</p>{body}<nav class="page-navigation" aria-label="Previous and next">{around}</nav></main>
<aside class="toc"><nav aria-label="On this page">{toc}</nav></aside></div><footer>{footer}</footer>
<script>const t=document.getElementById('theme'),d=document.body;function s(on){{d.classList.toggle('quarto-dark',on);t.setAttribute('aria-pressed',on)}}
if(innerWidth<1000)document.querySelector('details').open=false;
s(matchMedia('(prefers-color-scheme: dark)').matches||location.hash=='#dark');t.onclick=()=>s(!d.classList.contains('quarto-dark'))</script></body></html>
"""


def entries(items):
    "(file, text) that a Quarto sidebar or navbar names, at any depth, in order"
    for item in items:
        if isinstance(item, str):
            yield item, item
        else:
            if "href" in item:
                yield item["href"], item.get("text", item.get("aria-label", item["href"]))
            yield from entries(item.get("contents", []))


def front_matter(nb):
    cell = nb["cells"][0]
    return yaml.safe_load("".join(cell["source"]).strip().strip("-")) or {} if cell["cell_type"] == "raw" else {}


def read_pages(proc):
    "{source file: (title, description, page, HTML)} of all processed notebooks"
    pages = {}
    for path in sorted(proc.rglob("*.ipynb")):
        nb = json.loads(path.read_text(encoding="utf-8"))
        front, name = front_matter(nb), path.relative_to(proc)
        page = name.with_name(front.get("output-file", name.with_suffix(".html").name))
        pages[name.as_posix()] = front.get("title", ""), front.get("description", ""), page.as_posix(), body(nb["cells"])
    return pages


def relink(text, source, pages, base):
    "Links to notebooks, and nbdev's absolute links to this site, as links between pages"
    def change(match):
        target, _, anchor = html.unescape(match[1]).partition("#")
        here = Path(pages[source][2]).parent
        if target.startswith(base):
            target = os.path.relpath(target[len(base):] or "index.html", here)
        elif target.endswith(".ipynb") and not urlparse(target).scheme:
            file = os.path.normpath(Path(source).parent/target)
            target = os.path.relpath(pages[file][2], here) if file in pages else target
        return f'href="{target}{"#" + anchor if anchor else ""}"'
    return re.sub(r'href="([^"]*)"', change, text)


def menu(items, here, pages):
    "The sidebar as nested lists"
    up, rows = "../"*here.count("/"), []
    for item in items:
        if "section" in item:
            rows.append(f"<li>{html.escape(item['section'])}{menu(item['contents'], here, pages)}</li>")
        elif item["href"] in pages:
            page = pages[item["href"]][2]
            rows.append(f'<li><a href="{up}{page}"{" aria-current=page" if page == here else ""}>{html.escape(item["text"])}</a></li>')
    return f"<ul>{''.join(rows)}</ul>"


def write_site(pages, base):
    "All pages, with the pictures and style sheets"
    shutil.rmtree(OUT, ignore_errors=True)
    for folder in ("images", "figures"):
        shutil.copytree(NBS/folder, OUT/folder)
    shutil.copy(NBS/"styles.css", OUT)
    dark = HtmlFormatter(style="github-dark").get_style_defs("body.quarto-dark .highlight")
    (OUT/"highlight.css").write_text(HtmlFormatter(style="xcode").get_style_defs(".highlight") + "\n" + re.sub(r"(?m)^(pre|td|span)\b.*$", "", dark))
    order = [(e, text) for e, text in entries(SITE["sidebar"]["contents"]) if e in pages]
    for source, (title, description, page, text) in pages.items():
        up, place = "../"*page.count("/"), [e for e, _ in order].index(source) if source in dict(order) else None
        before, after = ("", "") if place is None else (order[place-1] if place else "", order[place+1] if place+1 < len(order) else "")
        around = [f'<a href="{up}{pages[e[0]][2]}">{html.escape(sign.format(e[1]))}</a>' if e else "<span></span>" for e, sign in ((before, "← {}"), (after, "{} →"))]
        toc = "".join(f'<li><a href="#{i}">{t}</a></li>' for i, t in re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', text))
        navbar = "".join(f'<a href="{up}{pages[e][2] if e in pages else e}">{html.escape(t)}</a>' for e, t in entries(SITE["navbar"]["left"]))
        values = dict(lang=CONFIG["lang"], title=html.escape(title), description=html.escape(description, quote=True), favicon=SITE["favicon"], up=up,
                      image=base + SITE["open-graph"]["image"], card=SITE["twitter-card"]["card-style"], layout=LAYOUT, site=SITE["title"], navbar=navbar,
                      sidebar=menu(SITE["sidebar"]["contents"], page, pages), around="".join(around), toc=f"<ul>{toc}</ul>",
                      body=relink(text, source, pages, base), footer=html.escape(SITE["page-footer"]["left"]), open="open")
        (OUT/page).parent.mkdir(parents=True, exist_ok=True)
        (OUT/page).write_text(PAGE.format(**values), encoding="utf-8")


# Pixels an inch of stored figures, twice those of a screen; inches of the text column and a margin; words of the shortest page
DPI, WIDEST, LEAST_WORDS = 200, 7.25, 60


# ---- checks --------------------------------------------------------------------------------------------------------------------

class Page(HTMLParser):
    "What a page links to and fetches, its ids, images, headings, title, description and text"

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.images, self.headings, self.meta, self.repeated = [], set(), [], [], {}, []
        self.fetched, self.text, self.in_main = [], "", False
        self.feed(text)

    def handle_endtag(self, tag):
        if tag == "main":
            self.in_main = False

    def handle_data(self, data):
        if self.in_main:
            self.text += data

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get("id"):
            if attrs["id"] in self.ids:
                self.repeated.append(attrs["id"])
            self.ids.add(attrs["id"])
        if tag in ("a", "link") and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag == "main":
            self.in_main = True
        source = attrs.get("src") or (attrs.get("href") if tag == "link" else None) or ""
        if re.match("(https?:)?//", source):
            self.fetched.append(source)
        if tag == "img":
            self.images.append(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "meta":
            self.meta[attrs.get("name", attrs.get("property"))] = attrs.get("content", "")


def check_config():
    "Faults of the two Quarto files and of what they name"
    named = [*entries(SITE["sidebar"]["contents"]), *entries(SITE["navbar"]["left"]), *entries(SITE["page-footer"]["right"])]
    faults = [f"_quarto.yml names {e}, which is not in nbs/" for e, _ in named if not e.startswith("http") and not (NBS/e).exists()]
    listed = [e for e, _ in entries(SITE["sidebar"]["contents"])]
    faults += [f"{e} stands twice in the sidebar" for e in set(listed) if listed.count(e) > 1]
    files = [p.relative_to(NBS) for p in NBS.rglob("[!.]*.ipynb") if ".ipynb_checkpoints" not in p.parts]
    faults += [f"nbs/{p} is not in the sidebar of _quarto.yml" for p in files if p.as_posix() not in listed]
    faults += [f"nbs/{p} is not rendered by _quarto.yml" for p in files if not any(Path("/", p).match(r) for r in CONFIG["project"]["render"])]
    faults += [f"_quarto.yml names {p}, which is not there" for p in (SITE["favicon"], SITE["open-graph"]["image"], SITE["twitter-card"]["image"], CONFIG["format"]["html"]["css"])
               if not (NBS/p).is_file()]
    if "../_quarto.yml" not in SHIM["metadata-files"]:
        faults.append("nbs/_quarto.yml does not include ../_quarto.yml")
    return faults


def check_page(path, pages):
    "Faults of one page: nameless, badly ordered headings, broken links and anchors, figures without a picture or a text"
    page, faults = pages[path], []
    if not page.meta.get("og:title") or len(page.meta.get("description", "")) < 20:
        faults.append("no title or no description: its first cell should hold `# Title` and `> what it is`")
    if page.headings.count(1) != 1:
        faults.append(f"{page.headings.count(1)} headings of the first level")
    faults += [f"a heading of level {b} after one of level {a}" for a, b in zip(page.headings, page.headings[1:]) if b > a+1]
    faults += [f"id {i} twice" for i in page.repeated]
    for link in page.links:
        target, _, anchor = unquote(link).partition("#")
        if re.match(r"(https?|mailto|data):", link):
            continue
        there = (path.parent/target).resolve() if target else path
        if there not in pages and not there.is_file():
            faults.append(f"link to {link}")
        elif anchor and there in pages and anchor not in pages[there].ids:
            faults.append(f"anchor {link}")
    if len(page.text.split()) < LEAST_WORDS:
        faults.append(f"only {len(page.text.split())} words: did nbdev drop a part of its first cell?")
    faults += [f"asks another host for {source}" for source in page.fetched]
    for image in page.images:
        src = image.get("src", "")
        head, _, content = src.partition("base64,")
        if not image.get("alt"):
            faults.append(f"a picture without alt text ({src[:40]}): give the cell #| fig-alt")
        if head.startswith("data:image/png") and not base64.b64decode(content).startswith(b"\x89PNG"):
            faults.append("an image that is no PNG")
        elif not re.match("data:|https?:", src) and not (path.parent/src).is_file():
            faults.append(f"image {src}")
    return [f"{path.relative_to(OUT)}: {f}" for f in faults]


def stored_figures(cells):
    "(cell, width in pixels) of each stored figure"
    for cell in cells:
        for out in cell.get("outputs", []):
            if "image/png" in out.get("data", {}):
                png = base64.b64decode("".join(out["data"]["image/png"]))
                yield cell, int.from_bytes(png[16:20], "big")


def check_outputs(path):
    "Faults of a notebook: more in its first cell than nbdev keeps, stored errors, figures never drawn, too wide or without caption"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    faults = []
    first = [line for line in "".join(cells[0]["source"]).splitlines() if line.strip()]
    if not first[0].startswith("# ") or not all(line.startswith((">", "-")) for line in first[1:]):
        faults.append("its first cell holds more than `# Title` and `> what it is`, which nbdev drops")
    faults += [f"a figure of {width/DPI:.1f} in, at most {WIDEST} in: {''.join(cell['source'])[:60]!r}"
               for cell, width in stored_figures(cells) if width > WIDEST*DPI]
    outputs = [o for c in cells for o in c.get("outputs", [])]
    if any(o["output_type"] == "error" for o in outputs):
        faults.append("holds an error")
    texts = ["".join(text) for o in outputs for kind, text in {"text": o.get("text", ""), **o.get("data", {})}.items() if not kind.startswith("image/")]
    faults += [f"a folder of somebody's machine: {found[0]}" for found in map(re.compile(r"(/root|/home/\w+|/Users/\w+)/\S{0,60}").search, texts) if found]
    written = [c for c in cells if c["cell_type"] == "code" and not re.match(r"#\| *(export|hide|default_exp)", "".join(c["source"]))]
    if written and not any(c["outputs"] for c in written):
        faults.append("has no outputs: python scripts/run_notebooks.py")
    faults += [f"a figure without #| fig-cap: {''.join(c['source'])[:60]!r}" for c in written
               if any("image/png" in o.get("data", {}) for o in c["outputs"]) and "#| fig-cap:" not in "".join(c["source"])]
    return [f"{path.relative_to(NBS)}: {f}" for f in faults]


def contrast(a, b):
    "Contrast ratio of two colours #rrggbb (WCAG 2.1)"
    def luminance(c):
        v = [int(c[i:i+2], 16)/255 for i in (1, 3, 5)]
        return sum(w*(x/12.92 if x <= .04045 else ((x+.055)/1.055)**2.4) for w, x in zip((.2126, .7152, .0722), v))
    dark, light = sorted((luminance(a), luminance(b)))
    return (light+.05)/(dark+.05)


def check_contrast(css, least=4.5):
    "Rules of our style sheet whose text cannot be read on its background: the rule's own, else that of the body it stands in"
    rules = [(s.strip(), dict(re.findall(r"([\w-]+)\s*:\s*(#[0-9a-f]{6})", b))) for s, b in re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", css, flags=re.S))]
    ground = {s: colours["background-color"] for s, colours in rules if s in ("body", "body.quarto-dark") and "background-color" in colours}
    faults, seen = [], 0
    for selector, colours in rules:
        if "color" in colours:
            seen += 1
            behind = colours.get("background-color", ground["body.quarto-dark" if "quarto-dark" in selector else "body"])
            if contrast(colours["color"], behind) < least:
                faults.append(f"styles.css: {selector}: {colours['color']} on {behind} has a contrast of {contrast(colours['color'], behind):.1f}, expected {least}")
    return faults, seen


def main():
    proc, base = process()
    sources = read_pages(proc)
    write_site(sources, base)
    pages = {p.resolve(): Page(p.read_text(encoding="utf-8")) for p in OUT.rglob("*.html")}
    colours, pairs = check_contrast((NBS/"styles.css").read_text(encoding="utf-8"))
    faults = check_config() + readme.faults() + colab_check.faults() + numbers_in_prose.faults() + colours
    faults += [f for p in pages for f in check_page(p, pages)]
    faults += [f for p in sorted(NBS.rglob("[!.]*.ipynb")) for f in check_outputs(p)]
    if len(pages) != len(sources):
        faults.append(f"{len(sources)} notebooks make {len(pages)} pages: two have one name")
    links, images = (sum(len(getattr(p, what)) for p in pages.values()) for what in ("links", "images"))
    print(f"{len(pages)} pages, {links} links, {images} figures, {pairs} colours, {len(faults)} faults")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
