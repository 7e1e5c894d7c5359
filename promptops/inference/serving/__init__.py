"""A local OpenAI-compatible endpoint that answers with the configuration under test."""
