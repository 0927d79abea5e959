"""Boards: reaching one, putting files there, and talking to the agent."""
