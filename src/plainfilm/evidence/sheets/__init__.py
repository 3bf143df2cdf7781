"""What `card.py` writes with: the values a run left, the answers they give, two reporting lists, and Markdown."""
