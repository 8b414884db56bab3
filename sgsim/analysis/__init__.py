"""Questions about traffic and rules: notation, explanations."""
