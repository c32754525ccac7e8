"""Azure Machine Learning, emulated: jobs really train, deployments really serve, the SDK cannot tell."""

from localcloud.azureml.runners import Runners
from localcloud.azureml.service import AzureML

__all__ = ["AzureML", "Runners"]
