"""Pure functions from raw recordings to numbers with intervals, and to verdicts. No I/O."""
