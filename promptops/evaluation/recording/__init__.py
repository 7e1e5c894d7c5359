"""Growing a suite from recorded traffic: sampling, redaction, de-duplication, writing."""
