"""Data files as cases: each with its digest, licence and source, read strictly and used verbatim."""
