"""Addresses that must never be reached, and a resolver that answers with inner ones."""

from collections.abc import Iterable

from app.providers.addresses import Lookup

# Names that a hostile or careless resolver answers with inner addresses.
INNER_NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
    "internal": ["10.0.0.5"],
    "metadata.google.internal": ["169.254.169.254"],
    "mixed.test": ["93.184.216.34", "10.0.0.1"],
    "mixed6.test": ["2606:2800:220:1::1", "fd00::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "nat64.test": ["64:ff9b::a00:1"],
    "sixtofour.test": ["2002:7f00:1::"],
    "linklocal.test": ["fe80::1%eth0"],
    "cgnat.test": ["100.64.0.1"],
    "odd.test": ["not-an-address"],
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "0x7f000001.test": ["127.0.0.1"],
}

REFUSED = (
    # plain and private
    "https://127.0.0.1/", "https://127.0.0.1:443/v1", "https://127.255.255.254/", "https://10.0.0.1/", "https://10.255.1.2/",
    "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/", "https://100.100.100.200/", "https://0.0.0.0/", "https://0.1.2.3/", "https://192.0.0.192/",
    "https://192.0.2.1/", "https://198.18.0.1/", "https://198.51.100.7/", "https://203.0.113.9/", "https://224.0.0.1/",
    "https://239.255.255.250/", "https://240.0.0.1/", "https://255.255.255.255/", "https://168.63.129.16/",
    "https://192.88.99.1/",
    # IPv6
    "https://[::1]/", "https://[::]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fc00::1]/",
    "https://[fd00:ec2::254]/", "https://[ff02::1]/", "https://[2001:db8::1]/", "https://[2001::1]/", "https://[2001:20::1]/",
    "https://[3fff::1]/", "https://[fec0::1]/", "https://[100::1]/", "https://[5f00::1]/", "https://[4000::1]/",
    # IPv4 inside IPv6
    "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::ffff:10.0.0.1]/", "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "https://[::127.0.0.1]/", "https://[64:ff9b::127.0.0.1]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:0001::]/", "https://[2002:a9fe:a9fe::1]/", "https://[2606:4700::5efe:10.0.0.1]/",
    "https://[2606:4700::200:5efe:a00:1]/", "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    # other spellings of numbers
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.1/",
    "https://127.0.1/", "https://0/", "https://017700000001/", "https://127.0.0.1./", "https://127.0.0.01/",
    "https://0xa9fea9fe/", "https://1.0x0/", "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://１２７.0.0.1/",
    # tricks of parsers
    "https://user@10.0.0.1/", "https://api.openai.com@10.0.0.1/", "https://user:pass@example.com/",
    "https://example.com:pw@127.0.0.1/", "https://example.com#@127.0.0.1/", "https://example.com?@127.0.0.1/",
    "https://example.com\\@127.0.0.1/", "https://127.0.0.1\\.example.com/", "https:\\\\127.0.0.1/", "https:///127.0.0.1/",
    "https://exa mple.com/", "https://example.com/\r\nHost: x", "https://example.com\t.evil/", " https://example.com/",
    "https://example.com/\x00", "https://", "https://:443/", "https://[/", "https://[::1/", "https://]/", "https://exa%6dple.com/",
    "https://127.0.0.1%2f@example.com/", "https://%31%32%37.0.0.1/", "https://-bad-/", "https://ex_ample!.com/", "https://*/",
    # schemes and ports
    "http://example.com/", "http://93.184.216.34/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/",
    "unix:///var/run/docker.sock", "//example.com/", "example.com", "", "javascript:alert(1)", "data:text/plain,x",
    "https://example.com:22/", "https://example.com:80/", "https://example.com:6379/", "https://example.com:0/",
    "https://example.com:65536/", "https://example.com:-1/", "https://example.com:443443/", "https://93.184.216.34:8080/",
    # where a key could leak or a path be hidden
    "https://example.com/?key=1", "https://example.com/#x", "https://example.com/?", "https://example.com/#",
    "https://" + "a" * 3_000 + ".com/",
    # names that resolve inwards
    *(f"https://{name}/" for name in INNER_NAMES),
)  # fmt: skip


def resolver(**names: Iterable[str]) -> Lookup:
    async def look_up(host: str, port: int) -> tuple[str, ...]:
        if host not in names:
            raise OSError("no such host")
        return tuple(names[host])

    return look_up


WORLD = resolver(**INNER_NAMES, **{"example.com": ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]})
