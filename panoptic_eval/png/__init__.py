"""Label PNGs: their bytes, ids, runs and masks. Nothing here knows what an id means."""
