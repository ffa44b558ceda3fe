"""Other drivers for the same Parts: the HF Trainer (`trainer.py`)."""
