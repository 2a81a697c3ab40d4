"""``python -m promptguard``."""

import sys

from .cli import main

sys.exit(main())
