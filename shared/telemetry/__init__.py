"""One trace from the uploaded file to the live endpoint, and the figures beside it. Nothing is imported until used."""
