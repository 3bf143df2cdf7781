import pytest

from plainfilm.serve.clients import client_of


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("192.0.2.7", 4711), "192.0.2.7"),
        (("::ffff:192.0.2.7", 4711, 0, 0), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("::1", 1), "::/64"),
        (("unknown", 0), "unknown"),
        (("", 0), ""),
        (None, ""),
    ],
)
def test_a_client_is_an_address_or_the_network_of_one_customer(address, client):
    assert client_of(address) == client
