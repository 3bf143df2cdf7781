"""Where the files of a SOURCE lie: folders, archives, MedMNIST's arrays."""
