"""Room of oneloop."""
