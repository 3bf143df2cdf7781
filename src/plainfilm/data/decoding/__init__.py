"""What `images.py` decodes with: Pillow's formats and DICOM."""
