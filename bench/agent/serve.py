"""The child's side of child.py: answers requests line by line until stdin ends."""

import json
import os
import sys

from bench.agent import failure

OOM_SCORE_ADJ = "/proc/self/oom_score_adj"


def private_pipes():
    """``(requests, answers)``: binary streams that nothing else in this process can touch.

    From here on fd 0 is empty and fd 1 is stderr, so an engine that prints spoils no answer.
    """
    requests = os.fdopen(os.dup(0), "rb", 0)
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def keep_to_itself(lock_fd):
    """Do not pass the lease's open file on to programs that an engine may start."""
    os.set_inheritable(int(lock_fd), False)


def be_first_to_go():
    """Have the kernel, where memory runs out, end this process and not the conductor."""
    try:
        with open(OOM_SCORE_ADJ, "w") as stream:
            stream.write("1000")
    except OSError:
        pass  # not everywhere permitted


def reply(answers, document):
    """Write one answer."""
    answers.write(json.dumps(document, separators=(",", ":"), allow_nan=False).encode("utf-8"))
    answers.write(b"\n")
    answers.flush()


def wait_idle():
    """Nothing to do until the next request comes: reading it blocks."""


def serve(requests, answers, handlers, reasons, wait=wait_idle):
    """Answer each request with ``handlers[request["do"]](request)`` until stdin ends or nobody
    takes the answers any more.

    ``wait`` is called before each request is read and may work until one is there. An exception
    becomes a failure with the reason ``reasons[request["do"]]``.
    """
    while True:
        wait()
        line = requests.readline()
        if not line:
            return
        request = json.loads(line.decode("utf-8"))
        try:
            document = handlers[request["do"]](request)
        except Exception as error:
            problem = failure.from_exception(error, reasons[request["do"]])
            document = {
                "failure": {
                    "reason": problem.reason,
                    "text": problem.text,
                    "detail": problem.detail,
                }
            }
        try:
            reply(answers, document)
        except BrokenPipeError:
            # The conductor is gone, and nobody is left to answer or to tell.
            _discard(answers)
            return


def _discard(stream):
    """Let what is left in a stream whose reader is gone go nowhere, now and when it is closed."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
