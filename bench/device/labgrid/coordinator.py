"""A session with a labgrid coordinator: which places there are, who has them, and taking one.

labgrid's own messages and stubs are used (extra ``[labgrid]``), its ``ClientSession`` is not: that
one prints to stdout, logs through the root logger, and wants an event loop per thread. What is
done here is what it does: a client says who it is (``host/user``), subscribes, and asks for a sync,
after which it has seen everything.
"""

from __future__ import annotations

import getpass
import os
import queue
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, metadata
from types import TracebackType
from typing import Any

from bench.background import in_background
from bench.errors import PlaceError
from bench.extras import install_command

ANSWER_S = 10.0
TAKING_S = 60.0
"""The coordinator gives an exporter ten seconds for each resource that is handed over."""

# Sessions of one process would share a connection, and the coordinator tells clients by that.
_CHANNEL = (("grpc.use_local_subchannel_pool", 1),)

ResourcePath = tuple[str, str, str, str]
"""Exporter, group, class and name of a resource."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """``place`` is what it was given, ``None`` while it waits; ``is_over``: it will get none."""

    token: str
    place: str | None
    is_over: bool


class Coordinator:
    """A session, from ``with`` to its end.

    ``places`` (labgrid's ``Place`` by name) and ``resources`` (its ``ResourceEntry`` by path) are
    what the coordinator had at the last :meth:`refresh`. ``owner`` is what labgrid-client of this
    login calls itself, so that it and we can return each other's places.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.owner = own_name()
        self.places: dict[str, Any] = {}
        self.resources: dict[ResourcePath, Any] = {}
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._syncs = 0
        self._grpc, self._common, self._messages, stubs = _labgrid()
        self._channel = self._grpc.insecure_channel(address, options=_CHANNEL)
        self._stub = stubs.CoordinatorStub(self._channel)

    def __enter__(self) -> Coordinator:
        """Say who we are, and see what there is.

        Raises:
            PlaceError: the coordinator does not answer, or not as one.
        """
        try:
            # The stream does not tell why it ends; a call with an answer of its own does.
            self._call("GetPlaces")
            in_background(self._receive)
            startup = self._messages.StartupDone(
                version=metadata.version("labgrid"), name=self.owner
            )
            self._say(startup=startup)
            self._say(subscribe=self._messages.Subscribe(all_places=True))
            self._say(subscribe=self._messages.Subscribe(all_resources=True))
            self.refresh()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session. What was taken stays taken: the coordinator does not mind."""
        self._outbox.put(None)
        self._channel.close()

    def refresh(self) -> None:
        """See everything that happened until now.

        Raises:
            PlaceError: the coordinator does not answer.
        """
        self._syncs += 1
        self._say(sync=self._messages.Sync(id=self._syncs))
        deadline_s = time.monotonic() + ANSWER_S
        while True:
            try:
                message = self._inbox.get(timeout=max(deadline_s - time.monotonic(), 0))
            except queue.Empty:
                raise self._problem("DEADLINE_EXCEEDED", "") from None
            if isinstance(message, Exception):
                with self._explained():
                    raise message
            for update in message.updates:
                self._take_in(update)
            if message.HasField("sync") and message.sync.id == self._syncs:
                return

    def acquire(self, name: str) -> None:
        """Take a place that is free.

        Raises:
            Refused: the coordinator does not give it; the message says why in its words.
            PlaceError: it does not answer.
        """
        self._call("AcquirePlace", TAKING_S, placename=name)
        self.refresh()

    def release(self, name: str) -> None:
        """Return a place; nothing happens if it is not (any longer) taken by :attr:`owner`.

        Raises:
            PlaceError: the coordinator does not answer.
        """
        self._call("ReleasePlace", TAKING_S, placename=name, fromuser=self.owner)

    def reserve(self, filters: Mapping[str, str]) -> Reservation:
        """Ask for any place with these tags; it has to be polled, or it expires after a minute.

        Raises:
            PlaceError: the coordinator does not answer.
        """
        wanted = {"main": self._messages.Reservation.Filter(filter=filters)}
        return self._reservation(self._call("CreateReservation", filters=wanted))

    def poll(self, token: str) -> Reservation:
        """Return how a reservation stands.

        Raises:
            Refused: there is none (any longer).
            PlaceError: the coordinator does not answer.
        """
        return self._reservation(self._call("PollReservation", token=token))

    def cancel(self, token: str) -> None:
        """Give a reservation up, which need not exist any more.

        Raises:
            PlaceError: the coordinator does not answer.
        """
        try:
            self._call("CancelReservation", token=token)
        except Refused:
            return

    def owner_of(self, token: str) -> str:
        """Return who made a reservation, ``somebody`` if it is gone."""
        listing = self._call("GetReservations").reservations
        return next((str(entry.owner) for entry in listing if entry.token == token), "somebody")

    def _reservation(self, answer: Any) -> Reservation:
        found = self._common.Reservation.from_pb2(answer.reservation)
        states = self._common.ReservationState
        names = found.allocations.get("main") or [None]
        return Reservation(found.token, names[0], found.state in (states.expired, states.invalid))

    def _say(self, **kind: Any) -> None:
        self._outbox.put(self._messages.ClientInMessage(**kind))

    def _receive(self) -> None:
        """Pass on what the coordinator sends, and in the end why nothing more comes."""
        try:
            for message in self._stub.ClientStream(iter(self._outbox.get, None)):
                self._inbox.put(message)
        except self._grpc.RpcError as error:
            self._inbox.put(error)
        else:
            self._inbox.put(self._problem("UNAVAILABLE", "it ended the session"))

    def _take_in(self, update: Any) -> None:
        kind = update.WhichOneof("kind")
        if kind == "place":
            self.places[update.place.name] = self._common.Place.from_pb2(update.place)
        elif kind == "del_place":
            self.places.pop(update.del_place, None)
        elif kind == "resource":
            entry = self._common.ResourceEntry(
                self._common.ResourceEntry.data_from_pb2(update.resource)
            )
            path = update.resource.path
            key = (path.exporter_name, path.group_name, entry.cls, path.resource_name)
            self.resources[key] = entry
        elif kind == "del_resource":
            path = update.del_resource
            gone = (path.exporter_name, path.group_name, path.resource_name)
            for key in [key for key in self.resources if (key[0], key[1], key[3]) == gone]:
                del self.resources[key]

    def _call(self, method: str, timeout_s: float = ANSWER_S, **fields: Any) -> Any:
        request = getattr(self._messages, f"{method}Request")(**fields)
        with self._explained():
            return getattr(self._stub, method)(request, timeout=timeout_s)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._grpc.RpcError as error:
            raise self._problem(error.code().name, error.details() or "") from None

    def _problem(self, code: str, details: str) -> PlaceError:
        whom = f"the labgrid coordinator {self.address}"
        if code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "PERMISSION_DENIED"):
            return Refused(f"{whom}: {details}")
        other = (
            f"{self.address} is no labgrid coordinator that this labgrid "
            f"({metadata.version('labgrid')}) can talk to"
        )
        if code == "UNIMPLEMENTED":
            return PlaceError(f"{other} ({details}): install the same labgrid on both sides")
        if "HTTP/2" in details:
            return PlaceError(
                f"{other}: it does not speak gRPC, so it may be a labgrid before 25.0 (crossbar); "
                "bring it up to date, or correct `coordinator`"
            )
        if code == "DEADLINE_EXCEEDED":
            details = "no answer in time"
        proxy = os.environ.get("LG_PROXY")
        hint = f" (LG_PROXY={proxy} is not used: forward its port with `ssh -L`)" if proxy else ""
        return PlaceError(
            f"{whom} does not answer: {_cause(details)}{hint}; start `labgrid-coordinator` there, "
            "or correct `coordinator` (else LG_COORDINATOR)"
        )


class Refused(PlaceError):
    """The coordinator answers, and does not do what it is asked."""


def own_name() -> str:
    """Return what labgrid-client of this login calls itself: ``host/user``."""
    host = os.environ.get("LG_HOSTNAME") or socket.gethostname()
    return f"{host}/{os.environ.get('LG_USERNAME') or getpass.getuser()}"


def _cause(details: str) -> str:
    """Return the last part of what gRPC says, which is what happened."""
    return details.rpartition(": ")[2].strip() or "it is gone"


def _labgrid() -> tuple[Any, Any, Any, Any]:
    """Import gRPC and labgrid's common parts, messages and stubs.

    Raises:
        PlaceError: labgrid is missing, or one without them.
    """
    parts = (
        "common",
        "generated.labgrid_coordinator_pb2",
        "generated.labgrid_coordinator_pb2_grpc",
    )
    try:
        common, messages, stubs = (import_module(f"labgrid.remote.{part}") for part in parts)
        return import_module("grpc"), common, messages, stubs
    except ImportError as error:
        raise PlaceError(
            f"cannot import labgrid 25 or newer ({error}): {install_command('labgrid')}"
        ) from error
