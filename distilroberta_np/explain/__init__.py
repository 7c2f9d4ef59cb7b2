"""A page that walks a sentence through the model, as one HTML file or as a static site."""
