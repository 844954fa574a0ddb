"""`opsbook serve`: takes alerts, opens incidents for them, and shows both, live."""

import logging

LOG = logging.getLogger(__name__)
