"""Commands of `optin` that are more than a few lines."""
