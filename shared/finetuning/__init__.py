"""What a fine-tuning job is asked to do: parameters, the base model's own wishes, the name people see."""
