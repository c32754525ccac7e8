"""Steps of a deployment that Bicep can not do. Standard library only: they run with the Python of whoever deploys."""
