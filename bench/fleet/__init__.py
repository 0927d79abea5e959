"""Devices at work: reached, held, told apart, and what they measured brought to this disk."""
