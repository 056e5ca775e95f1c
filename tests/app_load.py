"""The web page under load and under attack: `python tests/app_load.py [--clients 50] [--counts FILE]`.

Many sessions at once must all get the verifier's own answer; hostile requests must get a short answer; afterwards the
page still works, nothing lies on the disk, and memory has stayed bounded. Prints one row of a table for each kind.
"""
import argparse
import base64
import html
import io
import json
import secrets
import socket
import statistics
import struct
import tempfile
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from app_server import running

from siamese_sig.archive import Archive, enrol, rank_writers
from siamese_sig.core.layouts import embedded_data, read_images
from siamese_sig.verify import Verifier

MEMORY = 2500  # MB that the server may hold at its peak


def pack(*files):
    return json.dumps([[name, base64.b64encode(data).decode()] for name, data in files])


def png(w, h):
    "A small file that says it is a PNG of w×h pixels"
    chunk = lambda kind, data: struct.pack(">I", len(data))+kind+data+struct.pack(">I", zlib.crc32(kind+data))
    return b"\x89PNG\r\n\x1a\n"+chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))+chunk(b"IDAT", zlib.compress(bytes(999)))+chunk(b"IEND", b"")


def encoded(image, kind, **options):
    image.save(out := io.BytesIO(), kind, **options)
    return out.getvalue()


def archive(*entries, link=None):
    with zipfile.ZipFile(out := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in entries:
            z.writestr(name, data)
        if link:
            info = zipfile.ZipInfo(link[0])
            info.external_attr = 0o120777 << 16
            z.writestr(info, link[1])
    return out.getvalue()


class Page:
    "The functions of a running page, as its own scripts call them"

    def __init__(self, server):
        self.server, f = server, server.functions()
        self.known, self.questioned, self.asked = (f[name, "upload"] for name in ("known", "questioned", "asked"))
        self.verify, self.score, self.identify = (f[name, "click"] for name in ("verify", "score", "identify"))

    def act(self, number, *data, session="attack"):
        return self.server.act(number, list(data), session)

    def whole(self, session, known, questioned):
        "Upload, upload, verify: what the page then shows"
        shown = [self.act(self.known, pack(*known), None, session=session), self.act(self.questioned, pack(questioned), None, session=session)]
        status, answer = self.act(self.verify, None, None, "balanced", .1, session=session)
        return answer["data"][0] if status == 200 and all(s == 200 for s, _ in shown) else f"{status} {answer}"

    def whose(self, session, questioned):
        "Upload, ask: what the page then shows"
        uploaded, _ = self.act(self.asked, pack(questioned), None, session=session)
        status, answer = self.act(self.identify, None, session=session)
        return answer["data"][0] if (uploaded, status) == (200, 200) else f"{status} {answer}"


def upload(path):
    return Path(path).name, Path(path).read_bytes()


def at_once(clients, ask):
    "ask(i, session) of each client, all at the same time; how many were answered rightly, and how long it took"
    start, waited = threading.Barrier(clients), [0.]*clients

    def one(i):
        start.wait()
        began = time.time()
        right = ask(i, secrets.token_hex(8))
        waited[i] = time.time()-began
        return right

    began = time.time()
    with ThreadPoolExecutor(clients) as pool:
        right = sum(pool.map(one, range(clients)))
    seconds = time.time()-began
    return clients, right, f"{seconds:.1f} s in all, median wait {statistics.median(waited):.1f} s, longest {max(waited):.1f} s"


def load(page, clients, known, questions):
    "Sessions that verify, each its own question: the verifier's own score, and all it notes about the ink"
    verifier, content = Verifier.load(), [upload(path) for path in known]
    expected = [verifier.verify(q, known) for q in questions]
    assert any("few pixels" in note for verdict in expected for note in verdict.notes)

    def ask(i, session):
        verdict = expected[i % len(questions)]
        shown = page.whole(session, content, upload(questions[i % len(questions)]))
        told = all(html.escape(note) in shown or note in shown for note in verdict.notes)
        return told and f"{verdict.score:.3f}; the threshold is {verdict.threshold:.3f}" in shown
    return at_once(clients, ask)


def whose(page, clients, enrolled, questions):
    "Sessions that ask whose a signature is: the writer and the score that the library gives first"
    verifier = Verifier.load()
    expected = [rank_writers(verifier, verifier.matcher.one(q), Archive(enrolled, verifier)).candidates[0] for q in questions]

    def ask(i, session):
        likeliest = expected[i % len(questions)]
        shown = page.whose(session, upload(questions[i % len(questions)]))
        first = shown[shown.index("<tbody>"):shown.index("</tr>", shown.index("<tbody>"))] if "<tbody>" in shown else ""
        return likeliest.writer in first and f"{likeliest.verdict.score:.3f}" in first
    return at_once(clients, ask)


def small(path, folder):
    "The same signature with few pixels, about which the verifier has a note"
    Image.open(path).convert("L").resize((110, 40), Image.Resampling.BICUBIC).save(folder/"small.png")
    return str(folder/"small.png")


def enrolled_people(images, folder):
    "An archive of three genuine signatures each of eight people, and a fourth one of each to ask about"
    asked = []
    for writer, files in list(images[~images.forged].groupby("writer").path)[:8]:
        (folder/"people"/writer).mkdir(parents=True)
        for path in list(files)[:3]:
            (folder/"people"/writer/Path(path).name).write_bytes(Path(path).read_bytes())
        asked.append(list(files)[3])
    enrol(folder/"people", folder/"refs.parquet")
    return folder/"refs.parquet", asked


def told(answer, *words):
    "Is the answer of a function a short line (or the page's own markup) with one of the words, and no traceback?"
    status, body = answer
    text = json.dumps(body) if not isinstance(body, bytes) else body.decode(errors="replace")
    return status == 200 and "Traceback" not in text and "/tmp" not in text and any(w in text for w in words)


def count(cases):
    "How many are as they should be; the others are printed"
    cases = list(cases)
    wrong = [case for case, ok in cases if not ok]
    if wrong:
        print("  not as it should be:", *wrong, sep="\n    ")
    return len(cases)-len(wrong)


def names(page, good):
    cases = ["../../x.png", "/etc/passwd", "C:\\windows\\x.png", "..\\..\\x.png", "..", ".", "", "/", "a\0b.png", "a\nb.png", "x"*5000, "x"*201, "{{constructor}}.png", "${1+1}.png",
             "<script>alert(1)</script>.png", "\" onload=\"x", "con.png", "\u202egnp.exe", "\U0001f58b.png", "a b'c.png", "%2e%2e%2fx.png", "~/.ssh/id_rsa", "|id", "-rf", "x.png/"]
    ok = 0
    for name in cases:
        status, answer = page.act(page.known, pack((name, good)), None)
        shown = json.dumps(answer)
        ok += status == 200 and "<script>" not in shown and "{{" not in shown and "${" not in shown and '" onload' not in shown and "Traceback" not in shown
        page.act(page.known, "[]", None)
    return len(cases), ok, "shown without folders and escaped, or refused in one line"


def types(page, good):
    cases = {"text": b"text", "empty": b"", "html": b"<html><script>1</script>", "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "pdf": b"%PDF-1.7\n1 0 obj\n",
             "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "elf": b"\x7fELF"+bytes(200), "zip": archive(("a.png", good)), "gif": encoded(Image.new("L", (50, 50)), "GIF"), "ico": encoded(Image.new("L", (32, 32)), "ICO"),
             "cut": good[:len(good)//3], "noise": bytes(range(256))*40, "pickle": b"\x80\x04cos\nsystem\n.", "1x1": encoded(Image.new("L", (1, 1)), "PNG"), "blank": encoded(Image.new("L", (300, 99), 255), "PNG"),
             "black": encoded(Image.new("L", (300, 99), 0), "PNG"), "tall": encoded(Image.new("L", (1, 60000), 255), "PNG"), "cmyk": encoded(Image.new("CMYK", (90, 90)), "JPEG"), "huge": bytes(8_000_001)}
    ok = sum(told(page.act(page.questioned, pack((f"{name}.png", data)), None), 'role=\\"alert\\"') for name, data in cases.items())
    return len(cases), ok, "one line each"


def bombs(page, good):
    tiff = encoded(Image.new("1", (30000, 30000)), "TIFF", compression="group4")
    cases = [png(20000, 20000), png(2**31-1, 2**31-1), png(2**31-1, 1), encoded(Image.new("1", (20000, 20000)), "PNG"), tiff, png(65535, 65535),
             encoded(Image.new("L", (30000, 3000), 255), "JPEG")]
    ok = sum(told(page.act(page.questioned, pack((f"bomb{i}.png", data)), None), 'role=\\"alert\\"') for i, data in enumerate(cases))
    ask = b"query,refs\na.png,b.png\n"
    zips = [archive(("a.png", bytes(300_000_000))), archive(*((f"{i}.png", bytes(9_000_000)) for i in range(30))), archive(*((f"{i}.png", b"") for i in range(20000)))]
    ok += sum(told(page.act(page.score, pack(("p.csv", ask)), pack(("z.zip", z)), "balanced", .1), "unpacks to", "expected at most") for z in zips)
    return len(cases)+len(zips), ok, "refused before they were decoded or unpacked"


def largest(page, good):
    "The largest images that are taken, four at a time"
    paper = Image.new("L", (7300, 5400), 255)
    paper.paste(Image.open(io.BytesIO(good)).convert("L").resize((4000, 1500)), (900, 900))
    data = encoded(paper, "JPEG", quality=80)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: told(page.act(page.questioned, pack((f"{i}.jpg", data)), None, session=f"large{i}"), "as the verifier sees it"), range(8)))
    return len(answers), sum(answers), f"39 megapixels each ({len(data)/1e6:.1f} MB), eight at once"


def oversized(page, good):
    "Bodies over the limit: announced, and sent in pieces without announcing; then one that never comes"
    body = json.dumps(dict(fn_index=page.known, data=["x"*40_000_000, None], session_hash="large"))
    url, headers = "/gradio_api/run/predict", {"Content-Type": "application/json"}

    def announced(_):
        try:
            return page.server.ask("POST", url, body, headers)[0] == 413
        except OSError:  # refused while it was still being sent
            return True

    def pieces(_):
        try:
            return page.server.ask("POST", url, (b"x"*1_000_000 for _ in range(50)), headers)[0] == 413
        except OSError:
            return True

    with ThreadPoolExecutor(10) as pool:
        ok = sum(pool.map(announced, range(10)))+sum(pool.map(pieces, range(10)))
    host, port = page.server.url.split("//")[1].split(":")
    stalled = [socket.create_connection((host, int(port))) for _ in range(3)]
    for s in stalled:
        s.sendall(b"POST /gradio_api/run/predict HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\n{" % f"{host}:{port}".encode())
    ok += told(page.act(page.questioned, pack(("a.png", good)), None), "as the verifier sees it")
    for s in stalled:
        s.close()
    return 21, ok, "20 bodies of 40 to 50 MB refused; three stalled senders do not stop the others"


def doors(page, good):
    "What Gradio has beside the page"
    gets = ["/gradio_api/file=/etc/passwd", "/file=/etc/passwd", "/gradio_api/file/etc/passwd", "/gradio_api/info", "/gradio_api/openapi.json", "/openapi.json", "/docs", "/monitoring", "/monitoring/summary", "/gradio_api/runs",
            "/gradio_api/proxy=http://example.org", "/gradio_api/queue/data?session_hash=s0", "/gradio_api/queue/status", "/gradio_api/app_id", "/gradio_api/deep_link", "/gradio_api/token", "/gradio_api/user",
            "/gradio_api/run-history/records", "/gradio_api/vibe-code", "/gradio_api/stream/a/b/1/playlist.m3u8", "/gradio_api/custom_component/1/2/3/4", "/../../etc/passwd", "/%2e%2e/etc/passwd"]
    posts = ["/gradio_api/upload", "/upload", "/gradio_api/queue/join", "/gradio_api/call/verify", "/gradio_api/api/verify", "/gradio_api/component_server", "/gradio_api/reset", "/gradio_api/cancel", "/login", "/gradio_api/vibe-edit",
             "/gradio_api/process_recording", "/gradio_api/run-history/connect", "/gradio_api/stream/1"]
    ok = count((p, page.server.ask("GET", p)[0] == 404) for p in gets)+count((p, page.server.ask("POST", p, b"{}", {"Content-Type": "application/json"})[0] == 404) for p in posts)
    static = ["/assets/../../../../../../../etc/passwd", "/static/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "/assets//etc/passwd", "/svelte/../../../../etc/passwd"]
    ok += count((p, b"root:" not in page.server.ask("GET", p)[1]) for p in static)
    others = [page.server.ask("GET", "/", headers={"Host": "evil.example"})[0] == 421,
              page.server.ask("POST", "/gradio_api/run/predict", b"{}", {"Origin": "http://evil.example", "Content-Type": "text/plain"})[0] == 403,
              page.server.ask("PUT", "/", b"")[0] == 404, page.server.ask("DELETE", "/gradio_api/run/predict")[0] == 404]
    return len(gets+posts+static+others), ok+count(enumerate(others)), "not there, or not for that name and origin"


def nonsense(page, good):
    "Requests that the page never sends"
    bodies = [b"", b"{", b"[]", b"null", b"1", b"\xff\xfe", b"{}", b'{"data": 1}', b'{"fn_index": 9999, "data": []}', b'{"fn_index": -1, "data": []}', b'{"fn_index": "x", "data": []}', b"["*100_000,
              b'{"fn_index": %d, "data": [], "session_hash": "a"}' % page.verify, b'{"fn_index": %d, "data": [1,2,3,4,5,6,7,8], "session_hash": "a"}' % page.verify]
    ok = 0
    for body in bodies:
        status, answer = page.server.ask("POST", "/gradio_api/run/predict", body, {"Content-Type": "application/json"})
        ok += count([((body[:80], status, answer[:200]), status == 400 and len(answer) < 100)])
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}
    for value in (file, [file], 7, [1, 2], {"a": 1}, "text", '[["a.png", 1]]', '{"path": "/etc/passwd"}', "["*100_000, None, True):
        status, answer = page.act(page.questioned, value, None)
        ok += count([((value, status, str(answer)[:200]), "root:" not in str(answer) and "Traceback" not in str(answer) and "/site-packages" not in str(answer))])
    state = [["name", "scan", "seen", [[0]], [0]]]
    for known, questioned, point, band in ((state, state, "balanced", .1), (None, None, "lenient", .1), (None, None, "balanced", "x"), (None, None, "balanced", None), (None, None, "balanced", 1e999), (None, None, {}, [])):
        status, answer = page.act(page.verify, known, questioned, point, band, session="nobody")
        ok += count([((point, band, status, str(answer)[:200]), status == 400 or "no known signature yet" in str(answer))])
    return len(bodies)+17, ok, "a short answer each"


def tables(page, good):
    "What a batch may not do"
    refs = b"query,refs\n"
    sends = [(refs+b"../../../etc/passwd,a.png\n/etc/passwd,a.png\n", [("a.png", good)], "not among the images"), (refs+b"a.png,a.png\n"*501, [("a.png", good)], "501 rows"), (b"\x00\xff\xfe"*99, [("a.png", good)], "alert"),
             (b"", [("a.png", good)], "found nothing"), (refs+b"a.png,\n,a.png\n", [("a.png", good)], "is empty"), (refs+b"a.png,a.png\n", [("z.zip", archive(("../../a.png", good)))], "not a plain path"),
             (refs+b"a.png,a.png\n", [("z.zip", archive(("/etc/a.png", good)))], "not a plain path"), (refs+b"l.png,l.png\n", [("z.zip", archive(link=("l.png", "/etc/passwd")))], "is a link"),
             (refs+b"a.png,a.png\n", [("z.zip", archive(("a.png", good))[:-30])], "not among the images"), (refs+b"a.png,a.png\n", [(f"{i}.png", b"") for i in range(501)], "501 files"),
             (refs+b'"a.png","'+b"a.png|"*5000+b'a.png"\n', [("a.png", good)], "5001 references"), (refs+b"=cmd|x,a.png\n", [("a.png", good)], "rows scored"),
             (refs+b"a.png,b.png\n", [("a.png", good), ("b.png", png(20000, 20000))], "rows scored, 1 with errors")]
    ok = count(((csv[:60], words), told(page.act(page.score, pack(("p.csv", csv)), pack(*images), "balanced", .1), words)) for csv, images, words in sends)
    return len(sends), ok, "told, in a line or in its row"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50, help="sessions at once")
    parser.add_argument("--counts", type=Path, help="JSON file to write the counts to")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        attack(args, Path(folder))


def attack(args, folder):
    "Every kind of case, one after the other, on one running page"
    images = read_images(embedded_data()).query("split=='test'")
    own = images[images.writer == images.writer.iloc[0]]
    genuine, forged = (own.path[own.forged == f].tolist() for f in (False, True))
    good, rows = Path(genuine[0]).read_bytes(), []
    questions = [*genuine[3:8], *forged, small(genuine[3], folder)]
    enrolled, asked = enrolled_people(images, folder)
    with running("--enrolled", enrolled) as server:
        page, start = Page(server), server.peak()

        def row(what, case, *more):
            tried, survived, note = case(page, *more)
            rows.append((what, tried, survived, round(server.peak()), note))
            print(f"{what}: {survived} of {tried}; peak {server.peak():.0f} MB; {note}", flush=True)

        row(f"verifications at once ({args.clients} sessions)", load, args.clients, genuine[:3], questions)
        row(f"questions whose it is, at once ({args.clients} sessions)", whose, args.clients, enrolled, asked)
        for what, case in (("file names", names), ("wrong, damaged or useless files", types), ("decompression bombs", bombs), ("largest images", largest), ("oversized and stalled bodies", oversized),
                           ("other doors of the server", doors), ("malformed requests", nonsense), ("batch tables and archives", tables)):
            row(what, case, good)
        row("verifications at once, afterwards", load, min(10, args.clients), genuine[:3], questions)
        peak, left_running, alive = server.peak(), server.left(), server.process.poll() is None
        status, left = server.stop(), server.left()
        said = server.said()
        tracebacks = said.count("Traceback")
    print(f"memory at start {start:.0f} MB, peak {peak:.0f} MB (limit {MEMORY}); files left while running {len(left_running)}, afterwards {len(left)}; tracebacks in the log {tracebacks}; exit status {status}")
    total, survived = (sum(row[k] for row in rows) for k in (1, 2))
    if args.counts:
        notes = [f"{row[1]} {row[0]}" for row in rows if "at once" in row[0]]+[f"peak {peak:.0f} MB, {len(left)} files left, {tracebacks} tracebacks"]
        args.counts.write_text(json.dumps(dict(cases=total, survived=survived, skipped=0, notes=notes)))
    if any(tried != survived for _, tried, survived, *_ in rows) or left_running or left or not alive or status or peak > MEMORY or tracebacks:
        raise SystemExit(f"FAILED: files left {left_running+left}; the log:\n{said[-3000:]}")
    print(f"{total} cases in {len(rows)} kinds, all survived")


if __name__ == "__main__":
    main()
