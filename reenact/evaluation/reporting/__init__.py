"""From the summary to a report: tables, plots, pictures, and the files that hold them."""
