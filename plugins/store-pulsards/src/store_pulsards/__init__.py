"""The pulsards backend of store-core; ``create_store("pulsards://")`` finds it."""

from store_pulsards.server import Limits
from store_pulsards.serving import StoreServer
from store_pulsards.store import EmbeddedStore, PulsardsStore

__all__ = ["EmbeddedStore", "Limits", "PulsardsStore", "StoreServer"]
