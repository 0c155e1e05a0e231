"""What a setting means elsewhere."""

from __future__ import annotations

import pytest

from fogbank.kernel.config import Config


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("0.0.0.0", "127.0.0.1"),
        ("::1", "[::1]"),
        ("::", "[::1]"),
    ],
)
def test_an_address_of_the_server_can_be_asked(host: str, told: str) -> None:
    assert Config(host=host).url_host == told
