"""Sequential statistics: pure functions on numbers."""
