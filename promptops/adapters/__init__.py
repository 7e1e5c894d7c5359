"""Prompts for programs that others wrote: one file per package, and each imports that package only when it is used."""
