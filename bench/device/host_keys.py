"""Host keys: reading known_hosts, and judging the key that a server shows.

paramiko's own reader stops at marker lines (``@revoked``, ``@cert-authority``), so the format of
sshd(8), section "SSH_KNOWN_HOSTS FILE FORMAT", is read here. Keys are compared as bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.device.ssh_config import Hop
from bench.errors import HostKeyError, TrustError

RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line of known_hosts. ``marker`` is ``""``, ``@revoked`` or ``@cert-authority``."""

    path: Path
    line: int
    marker: str
    hosts: str
    kind: str
    blob: bytes

    def names(self, name: str) -> bool:
        """Say whether this line is about the host ``name`` (``host`` or ``[host]:port``)."""
        if self.hosts.startswith("|"):
            return _hash_matches(self.hosts, name)
        hit = False
        for pattern in self.hosts.lower().split(","):
            if _glob(pattern.lstrip("!")).fullmatch(name):
                if pattern.startswith("!"):
                    return False
                hit = True
        return hit


def read_known_hosts(paths: Sequence[Path]) -> list[KnownKey]:
    """Return the entries of the files that exist; lines that make no sense are left out."""
    return [
        entry
        for path in paths
        if path.is_file()
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if (entry := _parse(path, number, line.decode("utf-8", "replace"))) is not None
    ]


def entries_for(hop: Hop, known: Sequence[KnownKey]) -> list[KnownKey]:
    """Return the trusted keys of a server: those of its best name that has any."""
    for name in hop.key_names:
        found = [entry for entry in known if not entry.marker and entry.names(name)]
        if found:
            return found
    return []


def preferred_algorithms(entries: Sequence[KnownKey], offered: Sequence[str]) -> list[str]:
    """Return the host key algorithms of ``offered``, those whose keys are known first.

    Without this a server with several keys could show one that known_hosts does not have.
    """
    known: list[str] = []
    for entry in entries:
        known += RSA_ALGORITHMS if entry.kind == "ssh-rsa" else (entry.kind,)
    first = [name for name in dict.fromkeys(known) if name in offered]
    return first + [name for name in offered if name not in first]


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ``ssh-keygen -l`` prints it (``SHA256:...``)."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def check_host_key(hop: Hop, known: Sequence[KnownKey], kind: str, blob: bytes) -> None:
    """Accept the key that ``hop`` shows, or raise.

    Raises:
        TrustError: the key is revoked.
        HostKeyError: it is unknown or another one than before; the message has its fingerprint
            and the command that trusts it.
    """
    for entry in known:
        if entry.marker == "@revoked" and entry.blob == blob and _names_any(entry, hop):
            raise TrustError(
                f"{hop.address} shows a host key that {entry.path} line {entry.line} marks as "
                f"revoked ({fingerprint(blob)}); do not connect until the board has a new key"
            )
    entries = entries_for(hop, known)
    if any(entry.blob == blob for entry in entries):
        return
    shown = f"{hop.address} shows the {kind} host key {fingerprint(blob)}"
    own = f"/etc/ssh/ssh_host_{kind.removeprefix('ssh-').split('-')[0]}_key.pub"
    compare = f"compare it with the board's own (on it: `ssh-keygen -lf {own}`)"
    # A plain entry that serves another port is only a hint, so it can't make a key "changed".
    if entries and entries[0].names(hop.key_names[0]):
        raise _refused(
            hop,
            kind,
            blob,
            f"{shown}, but {_listing(entries)} has another one: the board was set up anew, or "
            f"somebody is in between; {compare}, and only if they are equal forget the old one "
            f"with `{_forget(hop, entries)}` and trust this one with `{hop.command}` (answer yes)",
            entries,
        )
    raise _refused(
        hop,
        kind,
        blob,
        f"{shown}, which is not in {hop.known_hosts[0]}{_authorities(hop, known)}; {compare}, "
        f"then trust it with `{hop.command}` (answer yes)",
    )


def _refused(
    hop: Hop, kind: str, blob: bytes, message: str, others: Sequence[KnownKey] = ()
) -> HostKeyError:
    return HostKeyError(
        message,
        address=hop.address,
        kind=kind,
        blob=blob,
        fingerprint=fingerprint(blob),
        name=hop.key_names[0],
        path=hop.known_hosts[0],
        others=tuple((entry.path, entry.line) for entry in others),
    )


def _authorities(hop: Hop, known: Sequence[KnownKey]) -> str:
    """Name the certificate authorities that ssh itself would use for this server."""
    own = [entry for entry in known if entry.marker == "@cert-authority" and _names_any(entry, hop)]
    if not own:
        return ""
    return f" (certificates are not understood, so {_listing(own)} does not count)"


def _names_any(entry: KnownKey, hop: Hop) -> bool:
    return any(entry.names(name) for name in hop.key_names)


def _listing(entries: Sequence[KnownKey]) -> str:
    return ", ".join(f"{entry.path} line {entry.line}" for entry in entries)


def _forget(hop: Hop, entries: Sequence[KnownKey]) -> str:
    paths = dict.fromkeys(entry.path for entry in entries)
    commands = [
        shlex.join(["ssh-keygen", "-R", hop.key_names[0], "-f", str(path)]) for path in paths
    ]
    return " && ".join(commands)


def _parse(path: Path, number: int, line: str) -> KnownKey | None:
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#"):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except binascii.Error:
        return None
    return KnownKey(path, number, marker, words[0], words[1], blob)


def _hash_matches(hashed: str, name: str) -> bool:
    """Compare with a ``|1|salt|hash`` entry: HMAC-SHA1 of the name, keyed with the salt."""
    try:
        _, version, salt, digest = hashed.split("|")
        expected = base64.b64decode(digest)
        key = base64.b64decode(salt)
    except (ValueError, binascii.Error):
        return False
    return version == "1" and hmac.compare_digest(hmac.digest(key, name.encode(), "sha1"), expected)


def _glob(pattern: str) -> re.Pattern[str]:
    """Compile a host pattern; only ``*`` and ``?`` are special (``[`` starts ``[host]:port``)."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."))
