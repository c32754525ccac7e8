"""Azure Machine Learning's HTTP surface: parses and serialises; what is true is decided one package up."""
