"""What `catalog.py` lists with: folders, archives, tables, DICOM headers."""
