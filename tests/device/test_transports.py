"""What both transports promise, checked on both."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sshd import LOGIN_HOME

from bench.device.local import LocalTransport
from bench.device.transport import Push, Transport
from bench.errors import DeviceError, TransportError

TIMEOUT_S = 20.0
ODD_NAME = 'it\'s a $HOME `id` "b" ; \\ *-é.bin'
ARGUMENT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def python(transport: Transport, code: str, *arguments: str, stdin: bytes = b"") -> bytes:
    argv = [sys.executable, "-ISc", code, *arguments]
    completed = transport.run(argv, timeout_s=TIMEOUT_S, stdin=stdin)
    assert completed.status == 0, completed.stderr
    return completed.stdout


def push_of(local: Path, remote: str, content: bytes) -> Push:
    local.write_bytes(content)
    return Push(local, remote, hashlib.sha256(content).hexdigest())


def home_of(transport: Transport) -> Path:
    """The folder that programs start in."""
    return Path.home() if isinstance(transport, LocalTransport) else LOGIN_HOME


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_program_gives_its_status_and_raw_output(transport: Transport) -> None:
    code = r"import os; os.write(1, b'\x00out\n\xff'); os.write(2, b'err'); os._exit(7)"
    completed = transport.run([sys.executable, "-ISc", code], timeout_s=TIMEOUT_S)
    assert (completed.status, completed.stdout, completed.stderr) == (7, b"\x00out\n\xff", b"err")


def test_input_larger_than_any_buffer_comes_back(transport: Transport) -> None:
    data = os.urandom(5 * 2**20)
    assert transport.run(["cat"], timeout_s=60, stdin=data).stdout == data


def test_a_program_that_reads_no_input_still_answers(transport: Transport) -> None:
    completed = transport.run(["echo", "done"], timeout_s=TIMEOUT_S, stdin=b"x" * 2**20)
    assert completed.stdout == b"done\n"


def test_much_on_both_outputs_does_not_block(transport: Transport) -> None:
    code = "import os\nfor _ in range(300): os.write(2, b'e'*9999); os.write(1, b'o'*9999)"
    completed = transport.run([sys.executable, "-ISc", code], timeout_s=60)
    assert (len(completed.stdout), len(completed.stderr)) == (2999700, 2999700)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(["", " ", "a  b", "'", '"', "$HOME", "`id`", "$(id)", "a\nb", "\n", ";", "&&", "|"])
@example(["-n", "--", "-", "\\", "\\'", "!!", "~", "*", "?", "#", "{a,b}", "é ü 漢 🙂", "\t\r"])
@given(st.lists(ARGUMENT, min_size=1, max_size=5))
def test_arguments_arrive_exactly(transport: Transport, arguments: list[str]) -> None:
    completed = transport.run(["printf", r"%s\0", *arguments], timeout_s=TIMEOUT_S)
    assert completed.stdout == b"".join(text.encode() + b"\0" for text in arguments)


def test_an_argument_that_is_not_unicode_arrives(transport: Transport) -> None:
    argument = os.fsdecode(b"\xff\xfe")
    completed = transport.run(["printf", "%s", argument], timeout_s=TIMEOUT_S)
    assert completed.stdout == b"\xff\xfe"


def test_programs_start_in_the_home_folder(transport: Transport) -> None:
    found = transport.run(["pwd", "-P"], timeout_s=TIMEOUT_S).stdout.decode().strip()
    assert found == str(home_of(transport))


@pytest.fixture
def _hangup_as_usual() -> Iterator[None]:
    """Whatever these tests run under: a program inherits that nohup ignores SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_program_that_does_not_exist_is_status_127(transport: Transport) -> None:
    completed = transport.run(["no-such-program"], timeout_s=TIMEOUT_S)
    assert completed.status == 127
    assert b"no-such-program" in completed.stderr


def test_a_file_that_is_no_program_is_status_126(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "data").touch(mode=0o600)
    assert transport.run([str(tmp_path / "data")], timeout_s=TIMEOUT_S).status == 126


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP])
@pytest.mark.usefixtures("_hangup_as_usual")
def test_a_signal_is_a_negative_status(transport: Transport, number: int) -> None:
    argv = ["sh", "-c", 'kill -s "$1" $$', "sh", signal.Signals(number).name[3:]]
    assert transport.run(argv, timeout_s=TIMEOUT_S).status == -number


def test_a_program_that_takes_too_long_is_ended_with_its_children(
    transport: Transport, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    argv = ["sh", "-c", 'sleep 60 & echo $! $$ > "$1"; wait', "sh", str(pids)]
    with pytest.raises(DeviceError, match=r"sh .*took longer than 1 s and was ended") as e:
        transport.run(argv, timeout_s=1.0)
    assert not isinstance(e.value, TransportError)
    for pid in pids.read_text().split():
        assert has_ended(int(pid))
    assert transport.run(["echo", "alive"], timeout_s=TIMEOUT_S).stdout == b"alive\n"


def has_ended(pid: int) -> bool:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_pushed_files_are_whole_and_private(transport: Transport, tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20 + 17)
    board = tmp_path / "board"
    files = [
        push_of(tmp_path / "a", f"{board}/deep/er/a-1234", content),
        push_of(tmp_path / "b", f"{board}/{ODD_NAME}", b""),
    ]
    assert transport.push(files) == 2
    assert (board / "deep/er/a-1234").read_bytes() == content
    assert (board / ODD_NAME).read_bytes() == b""
    assert everything_below(board) == {"deep", "deep/er", "deep/er/a-1234", ODD_NAME}
    for folder in (board, board / "deep", board / "deep/er"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((board / "deep/er/a-1234").stat().st_mode) == 0o600


def test_only_what_is_missing_is_sent(transport: Transport, tmp_path: Path) -> None:
    board = tmp_path / "board"
    first = push_of(tmp_path / "a", f"{board}/{ODD_NAME}", b"first")
    second = push_of(tmp_path / "b", f"{board}/b-5678", b"second")
    assert transport.push([first]) == 1
    before = (board / ODD_NAME).stat()
    assert transport.push([first, second, second]) == 1
    assert transport.push([first, second]) == 0
    assert transport.push([]) == 0
    assert (board / ODD_NAME).stat().st_mtime_ns == before.st_mtime_ns
    # A file of another size is what an older, unsafe way of copying may have left.
    (board / "b-5678").write_bytes(b"sec")
    assert transport.push([first, second]) == 1
    assert (board / "b-5678").read_bytes() == b"second"


def test_a_damaged_file_leaves_nothing(transport: Transport, tmp_path: Path) -> None:
    board = tmp_path / "board"
    file = push_of(tmp_path / "a", f"{board}/a-1234", b"as hashed")
    file.local.write_bytes(b"changed since")
    with pytest.raises(DeviceError, match="a-1234 arrived damaged"):
        transport.push([file])
    assert everything_below(board) == set()


def test_a_folder_that_cannot_be_made_is_one_clear_line(
    transport: Transport, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    file = push_of(tmp_path / "a", f"{tmp_path}/file/below/a-1234", b"a" * 2**20)
    with pytest.raises(DeviceError, match=r"cannot write .*a-1234.*[Nn]ot a directory|exists") as e:
        transport.push([file])
    assert not isinstance(e.value, TransportError)
    assert "\n" not in str(e.value)


def test_write_replaces_and_read_gives_the_rest(transport: Transport, tmp_path: Path) -> None:
    remote = f"{tmp_path}/board/-x y"
    transport.write(remote, b"old and longer")
    transport.write(remote, b"0123456789")
    assert transport.read(remote) == b"0123456789"
    assert transport.read(remote, 4) == b"456789"
    assert transport.read(remote, 10) == b""
    assert everything_below(tmp_path / "board") == {"-x y"}


def test_a_relative_path_may_begin_with_a_dash(transport: Transport) -> None:
    folder = f"-bench-test-{os.getpid()}"
    try:
        transport.write(f"{folder}/-f", b"here")
        assert transport.read(f"{folder}/-f") == b"here"
        assert (home_of(transport) / folder / "-f").read_bytes() == b"here"
    finally:
        transport.run(["rm", "-r", f"./{folder}"], timeout_s=TIMEOUT_S)


def test_reading_what_is_not_there_is_one_clear_line(transport: Transport, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"cannot read .*absent.*No such file") as e:
        transport.read(f"{tmp_path}/absent")
    assert not isinstance(e.value, TransportError)
    assert "\n" not in str(e.value)


def test_it_works_quietly_and_closes_twice(transport: Transport) -> None:
    transport.quiet(True)
    assert python(transport, "print('quiet')") == b"quiet\n"
    transport.quiet(False)
    assert python(transport, "print('loud')") == b"loud\n"
    transport.close()
    transport.close()
