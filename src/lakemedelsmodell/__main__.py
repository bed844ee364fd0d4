"""``python -m lakemedelsmodell``."""

from lakemedelsmodell.cli import main

if __name__ == "__main__":
    main()
