"""Fine-tuning of a chat model on this machine's processor: the steps of Azure ML's chat_completion_pipeline."""
