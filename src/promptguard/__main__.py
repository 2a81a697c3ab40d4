"""``python -m promptguard``."""

import sys

try:
    from .cli import INTERRUPTED, main
except KeyboardInterrupt:
    # There is no name for it as yet: cli.INTERRUPTED.
    sys.exit(130)

try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(INTERRUPTED)
