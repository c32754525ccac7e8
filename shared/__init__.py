"""The life of a fine-tuned model on Azure Machine Learning, as plain Python that knows nothing of Functions."""
