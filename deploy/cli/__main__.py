"""`python -m deploy.cli`: how the supervisor starts the processes."""

from deploy.cli import main

main()
