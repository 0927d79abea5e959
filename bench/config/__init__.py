"""devices.yaml: which devices there are, how they are reached and where their power is read."""
