"""What `azd` deploys, and the checks of it that need no Azure."""
