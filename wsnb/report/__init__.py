"""Results as tables, charts and the HTML book, from records alone."""
