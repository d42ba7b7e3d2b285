"""More than the machine gets through: is an accepted answer broken, does the rest end in time?

python -m tests.overload              all trials, about six minutes
python -m tests.overload burst slow   two of them

Exit status 1 when a figure is not what it must be. Other loads on the machine spoil the figures.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.overload.rows import ROWS


def main() -> None:
    """Prints what each trial finds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="TRIAL", help=", ".join(ROWS))
    names = parser.parse_args().rows or list(ROWS)
    if unknown := set(names) - set(ROWS):
        parser.error(f"there is no trial {', '.join(unknown)}: choose from {', '.join(ROWS)}")
    is_good = True
    for name in names:
        print(f"{name}: {ROWS[name].__doc__}", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"llamaq-{name}-") as folder:
            for finding in ROWS[name](Path(folder)):
                print(finding, flush=True)
                is_good = is_good and finding.is_good
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
