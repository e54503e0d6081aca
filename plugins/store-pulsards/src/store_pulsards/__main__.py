"""``python -m store_pulsards`` is ``pulsards``."""

import sys

from store_pulsards.cli import main

sys.exit(main())
