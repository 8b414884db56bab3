"""Numbers that the capture kernels and their callers share; imports nothing, so that asking for one costs nothing."""

from __future__ import annotations

from typing import Final

BATCH: Final = 8192  #: rows of a batch: its columns (0.8 MB) stay in the L2 cache of the core that made them

# Rows of the record index, int64[INDEX_ROWS, BATCH], which a walker fills and the decoder reads.
OFFSET: Final = 0  #: position of the first captured byte in the buffer
CAPTURED: Final = 1  #: bytes captured
WIRE: Final = 2  #: bytes that the packet had
TIME: Final = 3  #: nanoseconds since the epoch
LINK: Final = 4  #: LINK_* ≥ 0, or -1 - link type for one that only scapy may know
INTERFACE: Final = 5  #: number of the capture interface in its file
TUNNEL: Final = 6  #: VNI, only where `unwrap` has been
INDEX_ROWS: Final = 7

LINK_ETHERNET: Final = 0
LINK_RAW: Final = 1
LINK_LOOPBACK: Final = 2
LINK_COOKED: Final = 3
LINK_COOKED2: Final = 4
LINK_IPV6: Final = 5
LINK_IPV4: Final = 6
LINK_DECIDED: Final = 256  #: LINK_DECIDED + cause: a packet whose fate is known before decoding

# Columns: where each begins in the one block of memory that holds a batch; `c.SRC_HI_AT + 8 * row` and so on.
TIME_AT: Final = 0 * BATCH
SRC_HI_AT: Final = 8 * BATCH
SRC_LO_AT: Final = 16 * BATCH
DST_HI_AT: Final = 24 * BATCH
DST_LO_AT: Final = 32 * BATCH
SRC_MAC_AT: Final = 40 * BATCH
DST_MAC_AT: Final = 48 * BATCH
RECORD_AT: Final = 56 * BATCH
PLACE_AT: Final = 64 * BATCH
FINGERPRINT_AT: Final = PLACE_AT  #: PLACE is 32 bits position of the IP header, 32 bits to the end of the packet
ICMP_ID_AT: Final = 72 * BATCH
IP_ID_AT: Final = 76 * BATCH
LENGTH_AT: Final = 80 * BATCH
VNI_AT: Final = 84 * BATCH
SOURCE_AT: Final = 88 * BATCH
SEEN_AT_AT: Final = 92 * BATCH
SRCPORT_AT: Final = 96 * BATCH
DSTPORT_AT: Final = 98 * BATCH
ICMP_TYPE_AT: Final = 100 * BATCH
ICMP_CODE_AT: Final = 102 * BATCH
FAMILY_AT: Final = 104 * BATCH
PROTOCOL_AT: Final = 105 * BATCH
TCP_FLAGS_AT: Final = 106 * BATCH
FRAGMENT_AT: Final = 107 * BATCH
COLUMN_BYTES: Final = 108 * BATCH

# Quotes of ICMP errors, the same way.
Q_PACKET_AT: Final = 0 * BATCH
Q_SRC_HI_AT: Final = 8 * BATCH
Q_SRC_LO_AT: Final = 16 * BATCH
Q_DST_HI_AT: Final = 24 * BATCH
Q_DST_LO_AT: Final = 32 * BATCH
Q_ICMP_ID_AT: Final = 40 * BATCH
Q_SRCPORT_AT: Final = 44 * BATCH
Q_DSTPORT_AT: Final = 46 * BATCH
Q_ICMP_TYPE_AT: Final = 48 * BATCH
Q_PROTOCOL_AT: Final = 50 * BATCH
QUOTE_BYTES: Final = 51 * BATCH

# What becomes of a packet: index of the tally. Everything but DECODED is a cause, worded in sgsim.traffic.counts.
DECODED: Final = 0
NOT_IP_ETHERTYPE: Final = 1  #: by ethertype, tallied apart
NOT_IP_LLC: Final = 2
NOT_IP_MPLS: Final = 3
NOT_IP_PPP: Final = 4
NOT_IP_LOOPBACK: Final = 5
NOT_IP_INNER: Final = 6  #: a tunnel's payload that is neither Ethernet nor IP
NOT_IP_OTHER_LINK: Final = 7  #: scapy finds no IP header
SHORT_LINK: Final = 8  #: the four places where bytes may end too early …
SHORT_NETWORK: Final = 9
SHORT_EXTENSION: Final = 10
SHORT_TRANSPORT: Final = 11
CUT: Final = 4  #: … + CUT: because the capture kept only the head of the packet
CUT_LINK: Final = SHORT_LINK + CUT
CUT_NETWORK: Final = SHORT_NETWORK + CUT
CUT_EXTENSION: Final = SHORT_EXTENSION + CUT
CUT_TRANSPORT: Final = SHORT_TRANSPORT + CUT
BAD_VERSION: Final = 16
BAD_HEADER_LENGTH: Final = 17
BAD_TOTAL_LENGTH: Final = 18
BAD_EXTENSIONS: Final = 19
BAD_INTERFACE: Final = 20  #: pcapng: an interface that the section does not describe, or one without usable times
BAD_BLOCK: Final = 21  #: pcapng: more bytes captured than the block has
BAD_TIME: Final = 22
BAD_OTHER_LINK: Final = 23  #: scapy fails
UNSUPPORTED_LINK: Final = 24
CAUSES: Final = 32
TALLY: Final = CAUSES + (1 << 16)  #: the causes, then the ethertypes that lead to no IP header
ETHERTYPE: Final = 1 << 16  #: ETHERTYPE + n: NOT_IP_ETHERTYPE of that ethertype

# Results of a walk beside the records that it found: indexes and values of its state, int64[STATE].
AT: Final = 0  #: position of the first byte that is not consumed
STATUS: Final = 1
NEEDED: Final = 2  #: for NEED_MORE the bytes that the record at AT has, as far as known; for SKIP those to skip
LAST_TIME: Final = 3
BACKWARDS: Final = 4  #: packets that are older than their predecessor
FIRST_BACKWARDS: Final = 5  #: the 1-based record of the first of them
RECORDS: Final = 6  #: records walked so far in this file
UNTIMED: Final = 7  #: packets without a time of their own
OVERLONG: Final = 8  #: packets of which more was captured than the snap length allows
STATE: Final = 9

NEED_MORE, FULL, BAD_LENGTH, SECTION, DESCRIPTION, SKIP, BAD_TRAILER, PACKET, OTHER_BLOCK = range(9)

# Columns of a pcapng interface table, int64[interfaces, DESCRIPTION_COLUMNS].
D_LINK, D_UNITS, D_SCALE, D_OFFSET, D_SNAPLEN, D_NUMBER, DESCRIPTION_COLUMNS = range(7)
MULTIPLY, DIVIDE, BINARY, UNUSABLE = range(4)  #: D_UNITS: how D_SCALE turns a time stamp into nanoseconds

# Layout of a pcap file, int64[LAYOUT]: byte order, bytes of a record header, nanoseconds of a fraction, the longest
# record, how the two lengths lie, link, snap length.
L_SWAPPED, L_HEADER, L_FRACTION, L_LIMIT, L_LENGTHS, L_LINK, L_SNAPLEN, LAYOUT = range(8)
LENGTHS_NORMAL, LENGTHS_PERHAPS_SWAPPED, LENGTHS_SWAPPED = range(3)
