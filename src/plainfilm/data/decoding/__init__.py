"""What `images.py` decodes with: Pillow's formats, DICOM, and the processes that share the work."""
