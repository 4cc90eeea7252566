"""`python -m glasshouse`: the same as the console script."""

from glasshouse.cli import main

if __name__ == "__main__":
    main()
