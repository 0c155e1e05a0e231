"""Whose a connection is, told by the kernel: in the quick way and in the one that is everywhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fogbank.functions.sandbox import peers
from fogbank.functions.sandbox.peers import Peers
from fogbank.functions.sandbox.sockets import Socket, Sockets

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["sock_diag", "proc"])
def sockets(request: pytest.FixtureRequest) -> Iterator[Sockets]:
    found = Sockets()
    if found.problem:
        pytest.skip(found.problem)
    if request.param == "proc":
        found.close()
    elif found._diag is None:
        pytest.skip("this kernel has no sock_diag")
    yield found
    found.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def own(of: socket.socket) -> Socket:
    return Socket(os.geteuid(), os.fstat(of.fileno()).st_ino)


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_the_other_end_of_a_connection_is_named_by_its_maker_and_inode(
    sockets: Sockets, server: socket.socket, host: str
) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client:
        client.connect((host, server.getsockname()[1]))
        with server.accept()[0] as accepted:
            assert sockets.connected(accepted.getpeername(), accepted.getsockname()) == own(client)
            assert sockets.connected(accepted.getsockname(), accepted.getpeername()) == own(accepted)
            client.shutdown(socket.SHUT_WR)
            assert sockets.connected(accepted.getpeername(), accepted.getsockname()) == own(client)


def test_a_connection_that_nobody_holds_any_more_is_nobodys(sockets: Sockets, server: socket.socket) -> None:
    with socket.create_connection(server.getsockname()) as client:
        accepted = server.accept()[0]
    with accepted:
        found = sockets.connected(accepted.getpeername(), accepted.getsockname())
        assert found is None or found.inode == 0
        assert not Peers(sockets, peers.of_processes(lambda: [os.getpid()])).connected(
            accepted.getpeername(), accepted.getsockname()
        )
    assert client.fileno() == -1


def test_what_listens_at_the_peers_address_is_not_taken_for_the_peer(sockets: Sockets, server: socket.socket) -> None:
    assert sockets.connected(server.getsockname(), ("127.0.0.1", 1)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_who_listens_is_found_wherever_it_has_bound_itself(sockets: Sockets, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, dualstack_ipv6=":" in host) as listening:
        port = listening.getsockname()[1]
        assert sockets.listening(("127.0.0.1", port)) == own(listening)
    assert sockets.listening(("127.0.0.1", port)) is None


def test_another_user_owns_nothing_of_it(sockets: Sockets, server: socket.socket) -> None:
    with socket.create_connection(server.getsockname()) as client:
        ends = client.getsockname(), client.getpeername()
        assert Peers(sockets, peers.of_user(os.geteuid())).connected(*ends)
        assert not Peers(sockets, peers.of_user(os.geteuid() + 1)).connected(*ends)


def test_a_process_owns_what_it_holds_and_its_parent_what_both_hold(sockets: Sockets, server: socket.socket) -> None:
    code = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read()"
    command = [sys.executable, "-S", "-c", code, str(server.getsockname()[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        with server.accept()[0] as accepted:
            ends = accepted.getpeername(), accepted.getsockname()

            def owns(*pids: int) -> bool:
                return Peers(sockets, peers.of_processes(lambda: list(pids))).connected(*ends)

            assert owns(child.pid) and not owns(os.getpid())
            assert Peers(sockets, peers.of_processes(lambda: peers.family([os.getpid()]))).connected(*ends)
        child.communicate()


def test_a_process_that_is_no_member_any_more_when_it_is_found_owns_nothing(server: socket.socket) -> None:
    """Its id may have been a member's, and be somebody else's now."""
    listed = iter([[os.getpid()], []])
    with socket.create_connection(server.getsockname()) as client:
        assert not peers.of_processes(lambda: next(listed))(own(client))


def test_a_process_with_very_many_files_costs_no_more_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_LOOKS_MAX", 50)
    ends = socket.socketpair()
    held = [os.dup(ends[0].fileno()) for _ in range(80)]
    try:
        with socket.socket() as last:
            assert not peers.of_processes(lambda: [os.getpid()])(own(last))
    finally:
        for fd in held:
            os.close(fd)
        for end in ends:
            end.close()


ORPHAN = """
import os
if os.fork() == 0:
    if os.fork() == 0:
        os.write(1, b"%d\\n" % os.getpid())
        os.read(0, 1)
    os._exit(0)
os.wait()
os.write(1, b"0\\n")
os.read(0, 1)
"""


def test_an_orphan_is_in_the_session_that_it_was_born_in() -> None:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        orphan = max(int(leader.stdout.readline()), int(leader.stdout.readline()))  # 0: its parent has ended.
        assert orphan not in list(peers.family([leader.pid]))
        assert orphan in list(peers.family_and_sessions([leader.pid]))
        leader.communicate(b"..")
