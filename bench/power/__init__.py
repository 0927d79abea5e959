"""Which sensor a device's power is read from and why, and which of its rails make up the total."""
