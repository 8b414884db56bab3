"""Flow notation: one line says a flow, and what is wrong with it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgsim.analysis.notation import Flow, format_flow, parse_flow
from sgsim.errors import NotationError
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Address, parse_address

A, B = parse_address("10.0.1.5"), parse_address("10.0.2.7")
A6, B6 = parse_address("2001:db8::1"), parse_address("2001:db8::2")


@pytest.mark.parametrize(
    ("text", "flow"),
    [
        ("tcp 10.0.1.5:40000 > 10.0.2.7:443", Flow(TCP, A, B, 40000, 443)),
        ("tcp 10.0.1.5 > 10.0.2.7:443", Flow(TCP, A, B, None, 443)),
        ("  TCP  10.0.1.5>10.0.2.7:443 ", Flow(TCP, A, B, None, 443)),
        ("6 10.0.1.5 > 10.0.2.7:443", Flow(TCP, A, B, None, 443)),
        ("udp 10.0.1.5:0 > 10.0.2.7:65535", Flow(UDP, A, B, 0, 65535)),
        ("tcp [2001:db8::1]:4000 > [2001:db8::2]:443", Flow(TCP, A6, B6, 4000, 443)),
        ("tcp 2001:db8::1 > [2001:DB8:0::2]:443", Flow(TCP, A6, B6, None, 443)),
        ("icmp 10.0.1.5 > 10.0.2.7 8/0", Flow(ICMP, A, B, icmp_type=8, icmp_code=0)),
        ("icmp 10.0.1.5 > 10.0.2.7 8", Flow(ICMP, A, B, icmp_type=8)),
        ("icmp 10.0.1.5 > 10.0.2.7", Flow(ICMP, A, B)),
        ("icmpv6 2001:db8::1 > 2001:db8::2 128/0", Flow(ICMPV6, A6, B6, icmp_type=128, icmp_code=0)),
        ("50 10.0.1.5 > 10.0.2.7", Flow(50, A, B)),
        ("132 [2001:db8::1] > 2001:db8::2", Flow(132, A6, B6)),
        ("tcp eni-0a1b:40000 > i-0c2d:443", Flow(TCP, "eni-0a1b", "i-0c2d", 40000, 443)),
    ],
)
def test_text_means_flow(text, flow):
    assert parse_flow(text) == flow


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "missing"),
        ("tcpx 10.0.1.5 > 10.0.2.7:443", 1, "'tcpx' is not a protocol"),
        ("256 10.0.1.5 > 10.0.2.7", 1, "outside 0 to 255"),
        ("tcp", 4, "the source is missing"),
        ("tcp > 10.0.2.7:443", 5, "the source is missing"),
        ("tcp 10.0.1.5", 13, "'>' is missing"),
        ("tcp 10.0.1.5 - 10.0.2.7:443", 14, "expected '>'"),
        ("tcp 10.0.1.5 >", 15, "the destination is missing"),
        ("tcp 10.0.1.5 > 10.0.2.7", 24, "the destination port is missing"),
        ("tcp 10.0.1.5 > 10.0.2.7:70000", 25, "'70000' is not a port"),
        ("tcp 10.0.1.5 > 10.0.2.7:", 25, "'' is not a port"),
        ("tcp 10.0.1.5:x > 10.0.2.7:1", 14, "'x' is not a port"),
        ("tcp 10.0.1.300:1 > 10.0.2.7:1", 5, "not an IP address"),
        ("tcp 10.0.1 > 10.0.2.7:1", 5, "not an IP address"),
        ("tcp [2001:db8::1:1 > [2001:db8::2]:1", 5, "not '[address]:port'"),
        ("tcp [2001:db8::1]:99999 > [2001:db8::2]:1", 19, "not a port"),
        ("tcp 10.0.1.5 > [2001:db8::2]:1", 16, "different address families"),
        ("tcp 10.0.1.5 > 10.0.2.7:443 8/0", 29, "too much"),
        ("icmp 10.0.1.5:8 > 10.0.2.7", 15, "icmp has no ports"),
        ("icmp 10.0.1.5 > 10.0.2.7 8/0/0", 26, "not an ICMP type and code"),
        ("icmp 10.0.1.5 > 10.0.2.7 256/0", 26, "not an ICMP type and code"),
        ("icmp 10.0.1.5 > 10.0.2.7 8/0 x", 30, "too much"),
        ("icmp 2001:db8::1 > 2001:db8::2 128/0", 6, "it is icmpv6"),
        ("icmpv6 10.0.1.5 > 10.0.2.7", 8, "it is icmp"),
        ("50 10.0.1.5 > 10.0.2.7:80", 24, "50 has no ports"),
    ],
)
def test_errors_name_the_column_and_show_the_right_form(text, column, problem):
    with pytest.raises(NotationError) as caught:
        parse_flow(text)
    assert caught.value.where == f"column {column}"
    assert problem in caught.value.problem
    shown = caught.value.advice.removeprefix("write it like '").removesuffix("'")
    assert format_flow(parse_flow(shown)) == shown
    assert "\n" not in str(caught.value)


LAST = {4: 2**32 - 1, 6: 2**128 - 1}
addresses = st.one_of(st.builds(Address, st.just(family), st.integers(0, last)) for family, last in LAST.items())
ports = st.integers(0, 65535)


@st.composite
def flows(draw):
    """Flows that the notation can say."""
    source = draw(addresses)
    destination = Address(source.family, draw(st.integers(0, LAST[source.family])))
    protocol = draw(st.sampled_from((TCP, UDP, ICMP if source.family == 4 else ICMPV6, 50, 132)))
    if protocol in (TCP, UDP):
        return Flow(protocol, source, destination, draw(st.none() | ports), draw(ports))
    if protocol in (ICMP, ICMPV6):
        icmp_type = draw(st.none() | st.integers(0, 255))
        code = None if icmp_type is None else draw(st.none() | st.integers(0, 255))
        return Flow(protocol, source, destination, icmp_type=icmp_type, icmp_code=code)
    return Flow(protocol, source, destination)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(flows())
def test_format_is_the_inverse_of_parse(flow):
    assert parse_flow(format_flow(flow)) == flow


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(alphabet="tcpudim6v 0123456789.:[]>/eni-", max_size=40))
def test_any_text_is_a_flow_or_a_typed_error(text):
    try:
        parse_flow(text)
    except NotationError as error:
        assert error.where.startswith("column ")
