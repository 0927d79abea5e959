"""Logging in to an ssh server with keys: from files and from the ssh agent. Never a password."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    PasswordRequiredException,
    SSHException,
)

from bench.device.ssh_config import DEFAULT_IDENTITIES, Hop
from bench.device.ssh_connection import Connection
from bench.errors import TransportError, TrustError


@dataclass(slots=True)
class _Attempts:
    """What was tried and what could not be, for the message when nothing worked."""

    refused: list[str] = field(default_factory=list)
    refused_files: list[Path] = field(default_factory=list)
    locked: list[Path] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)


def authenticate(transport: Connection, hop: Hop, deadline: float) -> None:
    """Log in as ``hop.user``; ``deadline`` is on ``time.monotonic``.

    Raises:
        TrustError: no key was accepted, or there is none that can be used.
        TransportError: the link was lost, or the server did not answer before the deadline.
    """
    attempts = _Attempts()
    try:
        agent = paramiko.Agent()
    except (SSHException, OSError) as error:
        raise TrustError(
            f"the ssh agent does not answer ({error}); unset SSH_AUTH_SOCK or restart it"
        ) from error
    try:
        for path, label, key in _candidates(hop, agent, attempts):
            transport.auth_timeout = max(0.1, deadline - time.monotonic())
            if _accepted(transport, hop, key, deadline):
                return
            attempts.refused.append(label)
            attempts.refused_files += [] if path is None else [path]
            if not transport.is_active():
                break
    finally:
        agent.close()
    raise _refusal(hop, attempts, transport.is_active())


def _accepted(transport: Connection, hop: Hop, key: paramiko.PKey, deadline: float) -> bool:
    try:
        missing = transport.auth_publickey(hop.user, key)
    except BadAuthenticationType as error:
        ways = ", ".join(error.allowed_types)
        raise TrustError(
            f"{hop.address} takes no keys for user {hop.user}, only {ways}; allow publickey there"
        ) from error
    except (AuthenticationException, SSHException, EOFError, OSError) as error:
        if time.monotonic() >= deadline:
            raise TransportError(f"{hop.address} did not answer the login in time") from error
        if not transport.is_active() and transport.farewell is None:
            # A server that has had enough of wrong keys says so before it hangs up.
            raise TransportError(f"the link to {hop.address} was lost during the login") from error
        return False
    if missing:
        raise TrustError(
            f"{hop.address} wants more than a key from user {hop.user} ({', '.join(missing)}); "
            f"allow the key alone there"
        )
    return True


def _candidates(
    hop: Hop, agent: paramiko.Agent, attempts: _Attempts
) -> Iterator[tuple[Path | None, str, paramiko.PKey]]:
    """Yield the keys to offer, each with its file (the agent's: none) and a label: files first,
    because they were chosen for this host."""
    offered: set[bytes] = set()
    for path in hop.identity_files:
        key = _load(path, attempts)
        if key is not None:
            offered.add(key.asbytes())
            yield path, str(path), key
    held = agent.get_keys()
    chosen = {blob for path in hop.identity_files if (blob := _public_blob(path)) is not None}
    # Keys chosen for this host come first: servers hang up after a few wrong ones.
    for key in sorted(held, key=lambda key: key.asbytes() not in chosen):
        blob = key.asbytes()
        attempts.locked = [path for path in attempts.locked if _public_blob(path) != blob]
        if blob not in offered and (blob in chosen or not hop.identities_only):
            yield None, f"the agent's {key.comment or key.get_name()}", key


def _load(path: Path, attempts: _Attempts) -> paramiko.PKey | None:
    """Return the private key of a file, or note why there is none."""
    try:
        return paramiko.PKey.from_path(path)
    except (PasswordRequiredException, TypeError):
        # cryptography says TypeError when a key needs a passphrase.
        attempts.locked.append(path)
    except FileNotFoundError:
        attempts.unusable.append(f"{path} does not exist")
    except PermissionError:
        attempts.unusable.append(f"{path} may not be read")
    except (ValueError, UnsupportedAlgorithm, SSHException, OSError):
        attempts.unusable.append(f"{path} is no private key that can be used")
    return None


def _public_blob(path: Path) -> bytes | None:
    """Return the public key that lies beside a private key file, as the agent would show it."""
    try:
        return base64.b64decode(path.with_name(path.name + ".pub").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _refusal(hop: Hop, attempts: _Attempts, still_connected: bool) -> TrustError:
    who = f"user {hop.user} on {hop.address}"
    notes = list(attempts.unusable)
    for path in attempts.locked:
        notes.append(
            f"{path} is encrypted and no ssh agent holds it (unlock it with `ssh-add {path}`)"
        )
    also = "; " + "; ".join(notes) if notes else ""
    if attempts.refused:
        ending = "" if still_connected else " and hung up"
        fix = hop.command_to_authorize(next(iter(attempts.refused_files), None))
        return TrustError(
            f"{who}: the server refused {', '.join(attempts.refused)}{ending}{also}; bring the "
            f"public key there with `{fix}`, or name another identity_file",
            fix=fix,
        )
    if notes:
        return TrustError(f"{who}: no key to log in with: {'; '.join(notes)}")
    fix = hop.command_to_authorize(DEFAULT_IDENTITIES[0].expanduser())
    return TrustError(
        f"{who}: no key to log in with: no ssh agent holds one and ~/.ssh has no id_* file; make "
        f"one with `ssh-keygen -t ed25519` and bring it there with `{fix}`",
        fix=f"ssh-keygen -t ed25519 && {fix}",
    )
