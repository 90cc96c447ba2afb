"""The graph: its operations, checks, text, reference meaning and passes; no devices or users."""
