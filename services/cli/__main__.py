"""``python -m services.cli``: the command without its script."""

from services.cli import main

if __name__ == "__main__":
    main()
