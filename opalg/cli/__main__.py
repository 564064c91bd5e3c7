"""``python -m opalg.cli`` is the ``opalg`` command."""

from opalg.cli import main

if __name__ == "__main__":
    main()
