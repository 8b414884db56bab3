"""Numbers that the flow-log kernels and the reader share; kept apart so that the reader can name them without numba.

Roles say what a position of a line is read as. Classes say what became of a line.
"""

SKIP = 0
SRCADDR, DSTADDR, PKT_SRCADDR, PKT_DSTADDR = 1, 2, 3, 4
SRCPORT, DSTPORT, PROTOCOL = 5, 6, 7
PACKETS, BYTES, START, END = 8, 9, 10, 11
TCP_FLAGS, ACTION, LOG_STATUS, FLOW_DIRECTION, TYPE, VERSION = 12, 13, 14, 15, 16, 17
FIRST_ID = 18
ACCOUNT_ID, INTERFACE_ID, VPC_ID, SUBNET_ID, INSTANCE_ID, REJECT_REASON = 18, 19, 20, 21, 22, 23
IDS = 6

# Classes of lines; those from MALFORMED on are causes.
OK, NODATA, SKIPDATA, TRANSIT_GATEWAY, EFA, INCOMPLETE, BLANK, HEADER = 0, 1, 2, 3, 4, 5, 6, 7
MALFORMED = 8
CAUSES = (
    "wrong number of fields",
    "control character",
    "not a number",
    "number too large",
    "port above 65535",
    "protocol above 255",
    "not an address",
    "address families differ",
    "time out of range",
    "end before start",
    "unknown action",
    "unknown log status",
    "unknown flow direction",
    "not the default format's version",
    "text that is too long or not ASCII",
    "line too long",
    "cut off",
    "broken JSON",
    "JSON without log events",
    "damaged Parquet data",
    "file not usable",
)
(
    FIELD_COUNT, CONTROL, NOT_A_NUMBER, TOO_LARGE, PORT, PROTOCOL_RANGE, ADDRESS, FAMILIES, TIME_RANGE, END_FIRST,
    BAD_ACTION, BAD_STATUS, BAD_DIRECTION, BAD_VERSION, BAD_TEXT, LONG_LINE, CUT_OFF, BROKEN_JSON, NO_EVENTS,
    DAMAGED, UNUSABLE,
) = range(MALFORMED, MALFORMED + len(CAUSES))  # fmt: skip
CLASSES = MALFORMED + len(CAUSES)

LIMIT_TIME = 1 << 33  #: seconds (year 2242); in nanoseconds it still fits int64
LARGEST = 10**18 - 1  #: of any number: what 18 digits hold
LIMIT_TEXT = 1024  #: bytes of an id
SLACK = 32  #: bytes that must follow the last line of a text: kernels read whole words, and an address ahead

# Why the kernel stopped.
DONE, FULL, CANDIDATE = 0, 1, 2

# Positions for `refused`: no line, every line.
REFUSE_NONE, REFUSE_ALL = -1, -2

# How lines are read: as records, as transit gateway records, or not at all.
MODE_RECORDS, MODE_TRANSIT_GATEWAY, MODE_UNUSABLE = 0, 1, 2

NO_FAMILY = 255  #: of a text that is no address
ABSENT = 255  #: action and log status of a record that does not say

# Outcomes of a number that is not one, and of an id or word that is not one (MISSING likewise).
MISSING, NOT_ONE, LARGE = -1, -2, -3
