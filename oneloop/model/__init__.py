"""The model's room: where weights come from, the head, precision, optimizer, adapters and losses."""
