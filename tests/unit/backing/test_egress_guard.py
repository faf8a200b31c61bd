"""What may be called on behalf of a user, and what may not: every way to write a private address is one."""

import ipaddress

import pytest

from schemas.backing.egress import Guard, HttpEgress
from schemas.errors import ConfigurationError, Transient
from schemas.settings.processes import ApiSettings, EgressSettings

PRIVATE = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
    "2001::1", "2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "100::1",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")


@pytest.mark.parametrize("address", PRIVATE)
def test_refuses_an_address_that_is_not_public(address: str) -> None:
    assert not Guard().allows(ipaddress.ip_address(address))
    shown = f"[{address}]" if ":" in address else address
    assert "egress_networks" in (Guard().refusal(f"https://{shown}/keys") or "")


@pytest.mark.parametrize("address", PUBLIC)
def test_allows_a_public_address(address: str) -> None:
    assert Guard().allows(ipaddress.ip_address(address))
    shown = f"[{address}]" if ":" in address else address
    assert Guard().refusal(f"https://{shown}:8443/keys") is None


@pytest.mark.parametrize(
    "url",
    [
        "", "keys", "//issuer.example/keys", "ftp://issuer.example/", "file:///etc/passwd", "gopher://x.example/",
        "https://", "https:///keys", "https:issuer.example", "https://user@issuer.example/", "https://u:p@issuer.example/",
        "https://issuer.example/#x", "https://issuer.example\\@127.0.0.1/", "https://issuer.example/ x", "https://iss\tuer.example/",
        "https://issuer.example:0/", "https://issuer.example:99999/", "https://issuer.example:x/", "https://[::1/",
        "https://[fe80::1%25eth0]/", "https://127.1/", "https://2130706433/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
        "https://127.0.0.1./", "https://%31%32%37.0.0.1/", "https://\uff11\uff12\uff17.0.0.1/", "https://issuer..example/",
        "https://-issuer.example/", "http://issuer.example/keys",
    ],
)  # fmt: skip
def test_refuses_a_url_that_is_not_plain_https(url: str) -> None:
    assert Guard().refusal(url)


def test_http_needs_the_operators_word() -> None:
    assert "egress_allow_http" in (Guard().refusal("http://issuer.example/keys") or "")
    assert Guard(allow_http=True).refusal("http://issuer.example/keys") is None


def test_named_networks_are_allowed_and_no_others() -> None:
    guard = Guard.of(EgressSettings(egress_networks=" 10.1.0.0/16, 127.0.0.1/32,fd00::/8 "))
    right = ("10.1.2.3", "127.0.0.1", "fd00::7", "::ffff:10.1.2.3")
    wrong = ("10.2.0.1", "127.0.0.2", "169.254.169.254", "::1")
    assert [guard.allows(ipaddress.ip_address(one)) for one in (*right, *wrong)] == [True] * 4 + [False] * 4
    assert guard.refusal("https://127.0.0.1:9/keys") is None


@pytest.mark.parametrize("networks", ["10.0.0.0/33", "10.0.0.1/8", "localhost", "*", "10.0.0.0/8;11.0.0.0/8"])
def test_a_network_that_cannot_be_read_ends_the_process_in_words(networks: str) -> None:
    with pytest.raises(ConfigurationError, match="HOOKBERG_EGRESS_NETWORKS"):
        Guard.of(EgressSettings(egress_networks=networks))


class Names:
    """A name server of its own; each look-up gives the next answer."""

    def __init__(self, *answers: tuple[str, ...] | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append((host, port))
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        (("127.0.0.1",), "no public address"),
        (("93.184.216.34", "10.0.0.1"), "10.0.0.1"),
        (("::ffff:169.254.169.254",), "no public address"),
        (("fe80::1%eth0",), "no public address"),
        ((), "no address"),
    ],
)
async def test_a_name_is_refused_for_any_address_behind_it(addresses: tuple[str, ...], words: str) -> None:
    names = Names(addresses)
    with pytest.raises(Transient, match=words):
        await HttpEgress(Guard(), timeout_s=5, resolve=names).get("https://issuer.example:8443/keys", limit_bytes=9)
    assert names.asked == [("issuer.example", 8443)]


async def test_a_name_that_is_not_known_is_told() -> None:
    with pytest.raises(Transient, match=r"issuer\.example cannot be resolved"):
        await HttpEgress(Guard(), timeout_s=5, resolve=Names(OSError("unknown"))).get(
            "https://issuer.example/", limit_bytes=9
        )


async def test_a_refused_url_is_not_even_looked_up() -> None:
    names = Names()
    for url in ("http://issuer.example/", "https://10.0.0.1/"):
        with pytest.raises(Transient):
            await HttpEgress(Guard(), timeout_s=5, resolve=names).get(url, limit_bytes=9)
    assert names.asked == []


def test_settings_of_both_kinds_are_not_taken_for_one_another() -> None:
    both = ApiSettings(
        kafka_bootstrap_servers="127.0.0.1:1",
        registry_url="sqlite:///x",
        egress_networks="10.0.0.0/8",
        notify_allow_private="127.0.0.0/8",
        notify_allow_http=True,
    )
    fetched, called = Guard.of(both), Guard.for_webhooks(both)
    assert fetched.refusal("https://10.0.0.1/") is None
    assert "egress_networks" in (fetched.refusal("https://127.0.0.1/") or "")
    assert "egress_allow_http" in (fetched.refusal("http://10.0.0.1/") or "")
    assert called.refusal("http://127.0.0.1/") is None
    assert "notify_allow_private" in (called.refusal("https://10.0.0.1/") or "")
