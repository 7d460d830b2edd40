"""One render(verdict) -> str per format, one file each."""
