"""``python -m store_core.cli`` is ``store``."""

from __future__ import annotations

import sys

from store_core.cli import main

sys.exit(main())
