"""Which task is this? From a statement, from data, or from both; without a network and without a model library."""
