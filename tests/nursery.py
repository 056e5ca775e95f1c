"""A process that has imported everything and forks a child for each command: a training starts in a tenth of a second.

Started by `Nursery`; speaks lines of JSON on stdin and stdout. A child can be told to kill itself (SIGKILL) at its
n-th step on the file system: the moments at which a kill could do harm.
"""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STEPS = "replace", "rename", "fsync", "unlink", "rmdir", "mkdir", "open"


def kill_at(n):
    "SIGKILL this process at its n-th step (0: only count them); the counter"
    count = [0]

    def step(name, real):
        def wrapped(*args, **kw):
            if name != "open" or len(args) > 1 and args[1] & (os.O_WRONLY | os.O_RDWR):
                count[0] += 1
                if count[0] == n:
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kw)
        return wrapped
    for name in STEPS:
        setattr(os, name, step(name, getattr(os, name)))
    return count


def child(job):
    "Run one command, never to return"
    os.setsid()
    out = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for fd in (1, 2):
        os.dup2(out, fd)
    from siamese_sig.cli import main
    sys.argv, count, status = ["siamese-sig", *job["args"]], kill_at(job["step"]), 0
    try:
        main()
    except SystemExit as e:
        status = e.code or 0
    sys.stdout.flush()
    if job["count"]:
        Path(job["count"]).write_text(str(count[0]))
    os._exit(status)


def serve():
    import h5py  # noqa: F401
    import keras  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import onnxruntime  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import tf2onnx  # noqa: F401

    import siamese_sig.cli  # noqa: F401
    import siamese_sig.synth  # noqa: F401
    import siamese_sig.train  # noqa: F401
    import siamese_sig.verify  # noqa: F401
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            child(job)
        print(pid, flush=True)
        status = os.waitpid(pid, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)


class Nursery:
    "The same from outside"
    def __init__(self, folder):
        self.log, self.count = folder/"child.log", folder/"count"
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path[1:]])})
        assert self.process.stdout.readline().strip() == "ready"

    def run(self, *args, after=None, step=0):
        "Exit status of a command, -9 if killed; killed `after` seconds, or at its n-th step"
        self.log.unlink(missing_ok=True)
        job = dict(args=list(map(str, args)), log=str(self.log), step=step, count=str(self.count))
        self.process.stdin.write(json.dumps(job)+"\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        if after is not None:
            time.sleep(after)
            for kill in (os.killpg, os.kill):  # with its workers, if it has begun a session of its own
                try:
                    kill(pid, signal.SIGKILL)
                    break
                except (ProcessLookupError, PermissionError):
                    pass
        status = int(self.process.stdout.readline())
        said = self.log.read_text(errors="replace") if self.log.exists() else ""
        assert "Traceback" not in said, said
        return status

    def steps(self):
        "How many steps the last whole command took"
        return int(self.count.read_text())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    serve()
