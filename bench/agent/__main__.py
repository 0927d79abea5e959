"""Lets ``python -m bench.agent`` do what the zipapp does."""

from bench.agent.main import main

main()
