"""ARS as a tier (`tier.ArsTier`), on effects that may be called again after any crash.

Each looks before it acts and is idempotent by guid. They are plain async functions.
"""
