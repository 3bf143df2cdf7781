"""What `report.py` draws with: numbers as text, tables, figures, the page."""
