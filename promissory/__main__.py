"""`python -m promissory`: the command line."""

from promissory.executor.cli.main import main

if __name__ == "__main__":
    main()
