"""Live views for JupyterLab, each with a static form; nothing else in the package knows about Jupyter."""
