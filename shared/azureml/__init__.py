"""The one seam to Azure Machine Learning.

`arm` reads, polls, and changes endpoints and deployments through azure-core's ARM pipeline (0.1 s to import, no
polling threads); `sdk` does the registry, jobs and models through azure-ai-ml, which it imports at first use.
"""
