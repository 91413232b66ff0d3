"""From a `Query` to an answer: the figures of `mosaic_core.ledger.compute`, said in sentences. Pure."""
