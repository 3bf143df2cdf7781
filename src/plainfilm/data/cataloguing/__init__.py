"""What `catalog.py` lists with: folders, tables, DICOM headers."""
