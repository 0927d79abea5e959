"""Where an ssh connection goes: settings and ``~/.ssh/config`` turned into a list of hops.

Understood from the configuration file: Host and Match blocks, Include, HostName, Port, User,
IdentityFile, IdentitiesOnly, ProxyJump, ProxyCommand, HostKeyAlias and UserKnownHostsFile.
What would weaken the check of host keys (StrictHostKeyChecking) is not.
"""

from __future__ import annotations

import getpass
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from paramiko.config import SSHConfig, SSHConfigDict
from paramiko.ssh_exception import SSHException

from bench.errors import TransportError

DEFAULT_CONFIG = Path("~/.ssh/config")
DEFAULT_KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("~/.ssh/known_hosts2"))
SYSTEM_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
DEFAULT_IDENTITIES = tuple(Path("~/.ssh") / f"id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:/@]+))(?::(?P<port>\d+))?/?"
)
LONGEST_ROUTE = 8
DEEPEST_INCLUDE = 16


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How to reach a board. What is ``None`` comes from the ssh configuration file or ssh's
    defaults; what is given wins over that file.

    ``host`` may be a name from the configuration file. ``connect_timeout_s`` covers everything up
    to the accepted key, over all hops; ``command_timeout_s`` is how long a file transfer may stand
    still; ``retry_s`` is how long a lost connection is tried again. ``jump`` is a server to pass
    through (ProxyJump), in place of what the file says.
    """

    host: str
    port: int | None = None
    user: str | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    config_file: Path | None = None
    connect_timeout_s: float = 10.0
    command_timeout_s: float = 60.0
    retry_s: float = 0.0
    jump: str | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """One ssh server on the way; the last one is the board.

    ``name`` is what the user calls it, ``options`` what ``ssh`` and its like must be told to get
    there by hand, ``target`` whom they are told to reach, ``key_names`` the names under which
    known_hosts may have its key (best first).
    """

    name: str
    host: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    identities_only: bool
    proxy_command: str | None
    key_names: tuple[str, ...]
    known_hosts: tuple[Path, ...]
    options: tuple[str, ...]
    target: str

    @property
    def address(self) -> str:
        """``host:port`` for messages, with the user's own name for it when that differs."""
        place = f"{self.host}:{self.port}"
        return place if self.name == self.host else f"{self.name} ({place})"

    @property
    def command(self) -> str:
        """The command line that logs in by hand."""
        return shlex.join(["ssh", *self.options, self.target])

    def command_to_authorize(self, key: Path | None) -> str:
        """Return the command line that has a public key accepted there, as far as another login
        (a password) is. ``None``: the keys that the ssh agent holds."""
        named = () if key is None else ("-i", f"{key}.pub")
        return shlex.join(["ssh-copy-id", *named, *self.options, f"{self.user}@{self.name}"])


def resolve(settings: SshSettings) -> tuple[Hop, ...]:
    """Return the servers to pass through, in order; the last one is the board.

    Raises:
        TransportError: the configuration file cannot be read or understood.
    """
    path = (settings.config_file or DEFAULT_CONFIG).expanduser()
    if settings.config_file is not None and not path.is_file():
        raise TransportError(f"{settings.host}: there is no ssh configuration file {path}")
    try:
        text = "\n".join(_lines(path, path.parent)) if path.is_file() else ""
        return _Resolver(text, settings).route(settings.host, settings.user, settings.port)
    except (SSHException, ImportError, ValueError, KeyError, OSError) as error:
        raise TransportError(f"{settings.host}: cannot use {path}: {error}") from error


def way_to(settings: SshSettings) -> tuple[tuple[str, int, str | None], ...]:
    """Return host, port and ProxyCommand of each server on the way: the same for the same board,
    whatever it is called. Two hosts may each have a board of one address behind them.

    Raises:
        TransportError: the configuration file cannot be read or understood.
    """
    return tuple((hop.host.lower(), hop.port, hop.proxy_command) for hop in resolve(settings))


class _Resolver:
    """Looks hosts up in the text of one configuration file."""

    def __init__(self, text: str, settings: SshSettings) -> None:
        self._text = text
        self._settings = settings

    def route(
        self, name: str, user: str | None, port: int | None, *, depth: int = 0
    ) -> tuple[Hop, ...]:
        """Return the hops to ``name``, jump hosts first."""
        if depth > LONGEST_ROUTE:
            raise ValueError(f"ProxyJump of {name} goes round in circles")
        options = self._lookup(name, user, port)
        hop = self._hop(name, user, port, options, is_board=depth == 0)
        # The first of the two that is set counts, and that is the order the options come in.
        proxy = next((key for key in options if key in ("proxyjump", "proxycommand")), None)
        value = options.get(proxy) if proxy else None
        if depth == 0 and self._settings.jump is not None:
            proxy, value = "proxyjump", self._settings.jump
        if value is None or value.lower() == "none":
            return (hop,)
        if proxy == "proxycommand":
            return (replace(hop, proxy_command=value),)
        jumps = [parse_address(text) for text in value.split(",")]
        hops = self.route(*jumps[0], depth=depth + 1)
        for jump in jumps[1:]:
            hops += (self._hop(*jump, self._lookup(*jump), is_board=False),)
        return (*hops, hop)

    def _lookup(self, name: str, user: str | None, port: int | None) -> SSHConfigDict:
        # In ssh's configuration the first value wins, so what is given stands before the file.
        given = (f"User {user}\n" if user else "") + (f"Port {port}\n" if port else "")
        return SSHConfig.from_text(given + self._text).lookup(name)

    def _hop(
        self,
        name: str,
        user: str | None,
        port: int | None,
        options: SSHConfigDict,
        *,
        is_board: bool,
    ) -> Hop:
        host = options["hostname"]
        used_port = int(options.get("port", 22))
        used_user = options.get("user") or getpass.getuser()
        alias = options.get("hostkeyalias")
        return Hop(
            name=name,
            host=host,
            port=used_port,
            user=used_user,
            identity_files=self._identities(options, is_board=is_board),
            identities_only=options.get("identitiesonly", "no").lower() == "yes",
            proxy_command=None,
            key_names=(alias,) if alias else _key_names(host, used_port),
            known_hosts=self._known_hosts(options),
            options=self._options(port, self._settings.jump if is_board else None),
            target=f"{user}@{name}" if user else name,
        )

    def _identities(self, options: SSHConfigDict, *, is_board: bool) -> tuple[Path, ...]:
        if is_board and self._settings.identity_file is not None:
            return (self._settings.identity_file.expanduser(),)
        listed: list[str] = list(options.get("identityfile", ()))
        paths = [Path(text) for text in listed] or list(DEFAULT_IDENTITIES)
        return tuple(path for path in (path.expanduser() for path in paths) if path.is_file())

    def _known_hosts(self, options: SSHConfigDict) -> tuple[Path, ...]:
        own: tuple[Path, ...] = DEFAULT_KNOWN_HOSTS
        if self._settings.known_hosts is not None:
            own = (self._settings.known_hosts,)
        elif "userknownhostsfile" in options:
            own = tuple(Path(text) for text in shlex.split(options["userknownhostsfile"]))
        return tuple(path.expanduser() for path in own) + SYSTEM_KNOWN_HOSTS

    def _options(self, port: int | None, jump: str | None) -> tuple[str, ...]:
        words: list[str] = []
        if self._settings.config_file is not None:
            words += ["-F", str(self._settings.config_file)]
        if self._settings.known_hosts is not None:
            words += ["-o", f"UserKnownHostsFile={self._settings.known_hosts}"]
        if jump is not None:
            words += ["-o", f"ProxyJump={jump}"]  # ssh-copy-id has no -J
        if port is not None:
            words += ["-p", str(port)]
        return tuple(words)


def _key_names(host: str, port: int) -> tuple[str, ...]:
    """Names of a server in known_hosts: like ssh, a plain entry also serves another port."""
    plain = host.lower()
    return (plain,) if port == 22 else (f"[{plain}]:{port}", plain)


def parse_address(text: str) -> tuple[str, str | None, int | None]:
    """Return ``(host, user, port)`` of one ``[user@]host[:port]`` or ``ssh://`` address.

    Raises:
        ValueError: it is none.
    """
    match = JUMP.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"cannot understand the address {text!r}")
    port = match["port"]
    return match["six"] or match["host"], match["user"], int(port) if port else None


def _lines(path: Path, folder: Path, depth: int = 0) -> Iterator[str]:
    """Yield the lines of a configuration file with its Include lines replaced by the files."""
    if depth > DEEPEST_INCLUDE:
        raise ValueError(f"Include of {path} goes round in circles")
    block = "Host *"
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if word.lower() in ("host", "match"):
            block = line
        if word.lower() != "include":
            yield line
            continue
        for pattern in shlex.split(rest):
            # Path.glob wants a relative pattern, hence the detour over the anchor.
            wanted = folder / Path(pattern).expanduser()
            found = Path(wanted.anchor).glob(str(wanted.relative_to(wanted.anchor)))
            for included in sorted(path for path in found if path.is_file()):
                yield from _lines(included, folder, depth + 1)
                # Whatever block the included file ended in, here its includer's block goes on.
                yield block
