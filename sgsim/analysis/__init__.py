"""Questions about traffic and rules: explanations, rule use, packet space, redundancy, agreement with a log."""
