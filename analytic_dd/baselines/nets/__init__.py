"""Networks, their first weights, their augmentation and their training."""
