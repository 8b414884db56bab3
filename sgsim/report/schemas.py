"""Names of the machine formats; a number goes up when a reader of the old one would misread the new one."""

RECORD_SCHEMA = "sgsim.replay.record/1"
SUMMARY_SCHEMA = "sgsim.replay.summary/1"
EXPLANATION_SCHEMA = "sgsim.explanation/1"
DECISION_SCHEMA = "sgsim.decision/1"
EXPECTATIONS_SCHEMA = "sgsim.expectations/1"
WHATIF_SCHEMA = "sgsim.whatif/1"
WHATIF_ROW_SCHEMA = "sgsim.whatif.finding/1"
