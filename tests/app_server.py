"""`siamese-sig app` as a process of its own, with scratch folders that can be looked into afterwards."""
import contextlib
import http.client
import json
import os
import re
import select
import subprocess
import sys
import tempfile
from pathlib import Path


class Server:
    "A running page: `url`, `pid`, and the folders that it could write to"

    def __init__(self, scratch, options=(), seconds=600):
        self.scratch = scratch
        for name in ("home", "tmp", "cwd", "cache"):
            (scratch/name).mkdir()
        env = {**os.environ, "HOME": str(scratch/"home"), "TMPDIR": str(scratch/"tmp"), "SIAMESE_SIG_CACHE": str(scratch/"cache"),
               "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))}
        env = {k: v for k, v in env.items() if k not in ("SIAMESE_SIG_DATA", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")}
        self.log = open(scratch/"log", "wb")
        self.process = subprocess.Popen([sys.executable, "-m", "siamese_sig", "app", "--no-browser", *options], cwd=scratch/"cwd", env=env,
                                        stdout=subprocess.PIPE, stderr=self.log)
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline().decode() if ready else ""
        found = re.search(r"http://[^/ ]+", line)
        if not found:
            self.stop()
            raise SystemExit(f"the page did not start: {line}\n{self.said()}")
        self.url, self.pid = found[0], self.process.pid

    def said(self):
        "What the server wrote to stderr"
        return (self.scratch/"log").read_text(errors="replace")

    def stop(self):
        "End it as a service manager would; its exit status"
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.log.close()
            self.process.stdout.close()

    def left(self):
        "Files in the folders it could write to, but for the embedded data it unpacks and matplotlib's list of fonts"
        files = [p for name in ("home", "tmp", "cwd", "cache") for p in (self.scratch/name).rglob("*") if not p.is_dir()]
        own = [p.relative_to(self.scratch).as_posix() for p in files]
        return [n for n in own if not n.startswith("cache/synthetic-") and "matplotlib" not in n]

    def peak(self):
        "Largest memory it has held, MB"
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1])/1024

    def ask(self, method, path, body=None, headers=None, seconds=300):
        "(status, body) of one request"
        connection = http.client.HTTPConnection(self.url.split("//")[1], timeout=seconds)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def functions(self):
        "What the page can do: (elem_id or label, event) -> number of the function"
        config = json.loads(self.ask("GET", "/config")[1])
        names = {c["id"]: c["props"].get("elem_id") or c["props"].get("value") for c in config["components"]}
        return {(names[target], event): d["id"] for d in config["dependencies"] for target, event in d["targets"] if target in names}

    def act(self, number, data, session):
        "(status, what came back) of one function of the page"
        body = json.dumps({"fn_index": number, "data": data, "session_hash": session})
        status, answer = self.ask("POST", "/gradio_api/run/predict", body, {"Content-Type": "application/json"})
        return status, json.loads(answer) if answer[:1] in b"{[" else answer


@contextlib.contextmanager
def running(*options):
    "A page that is running in the block and stopped after it"
    with tempfile.TemporaryDirectory() as scratch:
        server = Server(Path(scratch), options)
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.stop()
