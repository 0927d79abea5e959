"""Faults of the link: the cable of the board is pulled out, for a while or for good."""

from __future__ import annotations

import hashlib
import time

from board_folder import tiny_model
from board_program import RUN, BoardProgram
from kept_results import assert_whole

OFF_S = 5.0
LARGE = 2800
"""Rows of a square matrix whose file takes some seconds to send, 31 MB."""
SENT_KB = 4000
ENDED = "the job has ended"


def back_before_the_end(bench: BoardProgram) -> str:
    """Pull the cable in mid-run and put it back while the board still measures."""
    bench.plan("one", latency_rounds=80)
    host = bench.start(*RUN)
    bench.until_rounds(3)
    bench.board.set_link(up=False)
    time.sleep(OFF_S)
    bench.board.set_link(up=True)
    done = bench.end_of(host)
    assert done.returncode == 0, done.stderr
    assert_whole(bench, 80)
    return "80 of 80 rounds, exit 0"


def back_after_the_end(bench: BoardProgram) -> str:
    """Pull the cable in mid-run and put it back only after the job has ended."""
    bench.plan("one", latency_rounds=20)
    host = bench.start(*RUN)
    bench.until_rounds(3)
    _tell_the_end_on_the_console(bench)
    bench.board.set_link(up=False)
    bench.until_console_says(ENDED)
    bench.board.set_link(up=True)
    done = bench.end_of(host)
    assert done.returncode == 0, done.stderr
    assert_whole(bench, 20)
    return "20 of 20 rounds, exit 0"


def upload_interrupted(bench: BoardProgram) -> str:
    """Pull the cable for some seconds while a model is on its way."""
    tiny_model(bench.folder / "large.onnx", size=LARGE)
    bench.plan("large", latency_rounds=5)
    host = bench.start(*RUN)
    _until_sending(bench)
    bench.board.set_link(up=False)
    time.sleep(OFF_S)
    bench.board.set_link(up=True)
    done = bench.end_of(host)
    assert done.returncode == 0, done.stderr
    assert_whole(bench, 5)
    return f"{_assert_whole_files(bench)} files whole on the board, exit 0"


def upload_cut_for_good(bench: BoardProgram) -> str:
    """Pull the cable while a model is on its way, until bench gives up; then run again."""
    tiny_model(bench.folder / "large.onnx", size=LARGE)
    bench.plan("large", latency_rounds=5)
    bench.write_devices(retry_s=2, connect_timeout_s=5)
    host = bench.start(*RUN)
    _until_sending(bench)
    bench.board.set_link(up=False)
    done = bench.end_of(host)
    assert done.returncode == 4, done.stderr
    assert "bench: board:" in done.stderr.splitlines()[-1], done.stderr
    bench.board.set_link(up=True)
    whole = _assert_whole_files(bench)
    bench.write_devices()
    again = bench.run(*RUN)
    assert again.returncode == 0, again.stderr
    assert_whole(bench, 5)
    return f"exit 4 in words, {whole} files on the board and all whole; the next run exit 0"


def _tell_the_end_on_the_console(bench: BoardProgram) -> None:
    """Let the board say by itself when its job has ended, since nobody can ask it."""
    script = (
        f"until grep -q finished {bench.journals_on_board}; do sleep 1; done\n"
        f"echo {ENDED} > /dev/ttyAMA0\n"
    )
    done = bench.board.way.run(
        "cat > /root/tell && (setsid sh /root/tell < /dev/null > /dev/null 2>&1 &)", script.encode()
    )
    assert done.returncode == 0, done.stderr


def _until_sending(bench: BoardProgram) -> None:
    size_kb = f"du -sk {bench.work_dir}/artifacts 2>/dev/null | cut -f1"
    bench.until(f'[ "$({size_kb})" -ge {SENT_KB} ]', "nothing was sent")


def _assert_whole_files(bench: BoardProgram) -> int:
    """Assert that each artifact on the board is the one of this host; return how many."""
    parts = f"{bench.work_dir}/artifacts/*.part"
    bench.until(f'[ -z "$(ls {parts} 2>/dev/null)" ]', "a half file is still there")
    listed = bench.on_board(f"cd {bench.work_dir}/artifacts && sha256sum -- * 2>/dev/null || true")
    found = [line.split(maxsplit=1) for line in listed.splitlines()]
    for sha256, name in found:
        here = (bench.folder / "cache" / name).read_bytes()
        assert hashlib.sha256(here).hexdigest() == sha256, f"{name} is not whole"
    return len(found)


LINK_FAULTS = {
    "link cut in mid-run, back before its end": back_before_the_end,
    "link cut in mid-run, back after its end": back_after_the_end,
    "link cut for 5 s while uploading": upload_interrupted,
    "link cut for good while uploading": upload_cut_for_good,
}
