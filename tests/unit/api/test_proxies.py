"""Whose word counts for where a request comes from."""

import pytest

from api.proxies import UNREADABLE, Proxies, read_proxies

TRUSTED = Proxies(read_proxies("10.0.0.0/8, ::1,2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("forwarded", "name"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, 192.0.2.7"], "192.0.2.7"),  # the first one is what the client says
        (["192.0.2.7, 10.1.2.3", "10.0.0.9"], "192.0.2.7"),
        (["6.6.6.6", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["[2001:db8::7]:4711"], "2001:db8::/64"),
        (["2001:db8::1:2:3:4"], "2001:db8::/64"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 2001:db8:1::5"], "192.0.2.7"),
        (["192.0.2.7, unknown"], UNREADABLE),
        (["192.0.2.7, , "], "192.0.2.7"),
        (["10.0.0.1, 10.0.0.2"], ""),  # a proxy's own request, such as a check of its health
        ([], ""),
        ([""], ""),
    ],
)
def test_last_that_is_no_trusted_proxy_counts(forwarded: list[str], name: str) -> None:
    assert TRUSTED.name(TRUSTED.behind(forwarded)) == name


def test_log_has_the_whole_address() -> None:
    assert TRUSTED.behind(["[2001:db8::1:2:3:4]:4711"]) == "2001:db8::1:2:3:4"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
        ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8:0:1:ffff::", "2001:db8:0:1::/64"),
    ],
)
def test_host_has_one_name_whatever_its_addresses(host: str, name: str) -> None:
    assert TRUSTED.name(host) == name


@pytest.mark.parametrize("text", ["proxy", "10.0.0.0/40", "10.0.0.1;10.0.0.2", "*"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"addresses of proxies .* 127\.0\.0\.1,10\.0\.0\.0/8"):
        read_proxies(text)
