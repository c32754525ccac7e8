"""One scoring container: a fine-tuned chat model behind the request format of Azure ML's chat models."""
