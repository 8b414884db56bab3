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
INDEX_ROWS: Final = 6

LINK_ETHERNET: Final = 0
LINK_RAW: Final = 1
LINK_LOOPBACK: Final = 2
LINK_COOKED: Final = 3
LINK_COOKED2: Final = 4
LINK_IPV6: Final = 5
LINK_DECIDED: Final = 256  #: LINK_DECIDED + cause: a packet whose fate is known before decoding

# Columns by width: row r of the array of that width.
TIME_U64, SRC_HI, SRC_LO, DST_HI, DST_LO, SRC_MAC, DST_MAC, RECORD, FINGERPRINT, U64_ROWS = range(10)
ICMP_ID, IP_ID, LENGTH, VNI, SOURCE, SEEN_AT, U32_ROWS = range(7)
SRCPORT, DSTPORT, ICMP_TYPE, ICMP_CODE, U16_ROWS = range(5)
FAMILY, PROTOCOL, TCP_FLAGS, FRAGMENT, U8_ROWS = range(5)
U32_AT: Final = U64_ROWS * BATCH * 8  #: where they begin in the one block of memory that holds all columns
U16_AT: Final = U32_AT + U32_ROWS * BATCH * 4
U8_AT: Final = U16_AT + U16_ROWS * BATCH * 2
COLUMN_BYTES: Final = U8_AT + U8_ROWS * BATCH

# Quotes of ICMP errors, the same way.
Q_PACKET, Q_SRC_HI, Q_SRC_LO, Q_DST_HI, Q_DST_LO, Q_U64_ROWS = range(6)
Q_ICMP_ID, Q_U32_ROWS = range(2)
Q_SRCPORT, Q_DSTPORT, Q_ICMP_TYPE, Q_U16_ROWS = range(4)
Q_PROTOCOL, Q_U8_ROWS = range(2)
Q_U32_AT: Final = Q_U64_ROWS * BATCH * 8
Q_U16_AT: Final = Q_U32_AT + Q_U32_ROWS * BATCH * 4
Q_U8_AT: Final = Q_U16_AT + Q_U16_ROWS * BATCH * 2
QUOTE_BYTES: Final = Q_U8_AT + Q_U8_ROWS * BATCH

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

# Flags of the decoder.
DECAPSULATE: Final = 1
FINGERPRINTS: Final = 2

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

NEED_MORE, FULL, BAD_LENGTH, SECTION, DESCRIPTION, SKIP, BAD_TRAILER = range(7)

# Columns of a pcapng interface table, int64[interfaces, DESCRIPTION_COLUMNS].
D_LINK, D_UNITS, D_SCALE, D_OFFSET, D_SNAPLEN, D_NUMBER, DESCRIPTION_COLUMNS = range(7)
MULTIPLY, DIVIDE, BINARY, UNUSABLE = range(4)  #: D_UNITS: how D_SCALE turns a time stamp into nanoseconds

# Layout of a pcap file, int64[LAYOUT]: byte order, bytes of a record header, nanoseconds of a fraction, the longest
# record, how the two lengths lie, link, snap length.
L_SWAPPED, L_HEADER, L_FRACTION, L_LIMIT, L_LENGTHS, L_LINK, L_SNAPLEN, LAYOUT = range(8)
LENGTHS_NORMAL, LENGTHS_PERHAPS_SWAPPED, LENGTHS_SWAPPED = range(3)
