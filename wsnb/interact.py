"""Controls for readers in JupyterLab that leave batch runs untouched."""


def interactive() -> bool:
    """True if somebody sits at this kernel: JupyterLab allows input, papermill and the runner do not."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def controls(function, **widgets):
    """function(**values) redrawn as the ipywidgets in WIDGETS move; None, and nothing drawn, in a batch run.

    A static figure stands beside every use, so nothing is lost on paper.
    """
    if not interactive():
        return None
    import ipywidgets

    return ipywidgets.interactive(function, {"auto_display": True}, **widgets)
