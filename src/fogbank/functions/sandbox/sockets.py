"""Whose a TCP socket of this machine is, by its addresses: the kernel's word, over netlink, else out of /proc/net.

Both tell of this process's network namespace: functions live in the same one.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Address: TypeAlias = tuple[str, int]  # Of IPv4.
_ANY: Final = ("0.0.0.0", 0)  # The other end of a socket that listens has no address.

# <linux/netlink.h>, <linux/sock_diag.h>, <linux/inet_diag.h>: sock_diag(7).
_NETLINK_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, number, port.
_WANTED = struct.Struct("=BBBxI")  # inet_diag_req_v2: family, protocol, extensions, states.
_PORTS = struct.Struct("!HH")
_REST = struct.Struct("=III")  # Of inet_diag_sockid: any interface, any cookie.
_FOUND = struct.Struct("=BBBB2s2s16s16s3I5I")  # inet_diag_msg, with the sockid in it.
_NONE = 0xFFFFFFFF
_ALL_STATES = 0xFFFFFFFF
_LISTEN: Final = 10
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2: the address of an IPv6 socket that speaks IPv4.
_ANSWER_BYTES = 4096
_MAPPED_WORDS = "".join(f"{int.from_bytes(_MAPPED[at : at + 4], sys.byteorder):08X}" for at in (0, 4, 8))


@dataclass(frozen=True, slots=True)
class Socket:
    uid: int  # Who made it.
    inode: int  # As /proc/PID/fd names it; 0 once nobody holds it any more.


class Sockets:
    """Asks in the way that works on this machine; `problem` says why none does, and is empty where one does."""

    def __init__(self) -> None:
        self._number = 0
        self._diag = _opened()
        self.problem = self._tried()
        if self.problem and self._diag is not None:  # A kernel may lack that part: it finds no socket then.
            self.close()
            self.problem = self._tried()

    def connected(self, at: Address, to: Address) -> Socket | None:
        """The end at `at` of the connection to `to`."""
        return self._find(at, to, listening=False)

    def listening(self, at: Address) -> Socket | None:
        """The one that takes connections to `at`; it may do so for all addresses of this machine."""
        return self._find(at, _ANY, listening=True)

    def close(self) -> None:
        if self._diag is not None:
            self._diag.close()
            self._diag = None

    def _tried(self) -> str:
        """With sockets of its own."""
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                with socket.create_connection(server.getsockname()) as client:
                    connected = self.connected(client.getsockname(), client.getpeername())
                    expected = [Socket(os.geteuid(), os.fstat(one.fileno()).st_ino) for one in (client, server)]
                found = [connected, self.listening(server.getsockname())]
        except OSError as error:
            return f"this machine makes no connection to itself: {error}"
        return "" if found == expected else "the kernel does not tell whose a connection is"

    def _find(self, at: Address, to: Address, *, listening: bool) -> Socket | None:
        if self._diag is not None:
            with suppress(OSError):
                return self._asked(self._diag, at, to, listening=listening)
            self.close()  # With an answer, perhaps, that is still to come.
            self._diag = _opened()
        return _listed(at, to, listening=listening)

    def _asked(self, diag: socket.socket, at: Address, to: Address, *, listening: bool) -> Socket | None:
        """Raises OSError where the kernel answers no such question."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        here, there = socket.inet_aton(at[0]), socket.inet_aton(to[0])
        body = b"".join(
            (
                _WANTED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _ALL_STATES),
                _PORTS.pack(at[1], to[1]),
                here + bytes(12) + there + bytes(12),
                _REST.pack(0, _NONE, _NONE),
            )
        )
        diag.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST, self._number, 0) + body)
        answer = diag.recv(_ANSWER_BYTES, socket.MSG_DONTWAIT)
        _, kind, _, number, _ = _HEADER.unpack_from(answer)
        if number != self._number:
            raise OSError(errno.EPROTO, "an answer to another question")
        if kind != _BY_FAMILY:
            refused = -int.from_bytes(answer[16:20], sys.byteorder, signed=True)
            if refused == errno.ENOENT:
                return None
            raise OSError(refused, os.strerror(refused))
        return _read(answer[_HEADER.size :], at, to, listening=listening)


def _opened() -> socket.socket | None:
    with suppress(OSError, AttributeError):  # No netlink here.
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    return None


def _read(found: bytes, at: Address, to: Address, *, listening: bool) -> Socket | None:
    """Where no connection has these ends, the kernel answers with what listens at the first."""
    family, state, _, _, port, other_port, here, there, *_, uid, inode = _FOUND.unpack_from(found)
    if listening:
        return Socket(uid, inode) if state == _LISTEN and port == at[1].to_bytes(2) else None
    ends = (_packed(family, here), port, _packed(family, there), other_port)
    wanted = (socket.inet_aton(at[0]), at[1].to_bytes(2), socket.inet_aton(to[0]), to[1].to_bytes(2))
    return Socket(uid, inode) if state != _LISTEN and ends == wanted else None


def _packed(family: int, address: bytes) -> bytes:
    if family == socket.AF_INET:
        return address[:4]
    return address[12:] if address.startswith(_MAPPED) else address


# -- /proc/net (proc_pid_net(5)) --


def _listed(at: Address, to: Address, *, listening: bool) -> Socket | None:
    if listening:
        hosts = {_word(at), _word(_ANY), _MAPPED_WORDS + _word(at), "0" * 32}
        port = f":{at[1]:04X}"
        return _first(lambda here, _, state: state == _LISTEN and here[-5:] == port and here[:-5] in hosts)
    ends = (f"{_word(at)}:{at[1]:04X}", f"{_word(to)}:{to[1]:04X}")
    wanted = {ends, (_MAPPED_WORDS + ends[0], _MAPPED_WORDS + ends[1])}
    return _first(lambda here, there, state: state != _LISTEN and (here, there) in wanted)


def _first(fits: Callable[[str, str, int], bool]) -> Socket | None:
    for fields in _lines():
        if fits(fields[1], fields[2], int(fields[3], 16)):
            return Socket(int(fields[7]), int(fields[9]))
    return None


def _lines() -> Iterator[list[str]]:
    for name in ("tcp", "tcp6"):
        with suppress(OSError), open(f"/proc/self/net/{name}") as lines:  # noqa: PTH123  # Read line by line.
            next(lines, None)
            yield from (line.split() for line in lines)


def _word(address: Address) -> str:
    return f"{int.from_bytes(socket.inet_aton(address[0]), sys.byteorder):08X}"
