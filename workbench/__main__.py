"""``python -m workbench VERB``: the same as the console script ``workbench``."""

from workbench.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
