"""To and from other packages; each is imported when it is first used."""

__all__: list[str] = []
