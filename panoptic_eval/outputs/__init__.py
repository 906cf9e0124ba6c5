"""What a report becomes, one file each: JSON, CSV, Markdown, plots, pictures."""
