"""Settings of the HTML book for Sphinx: executed notebooks; nothing is run, nothing fetched at build or view."""

project = "Weakly supervised segmentation, an experiment book"
html_title = "wsnb"
html_short_title = "wsnb"
language = "en"
extensions = ["myst_nb"]
exclude_patterns = ["_static"]

nb_execution_mode = "off"
nb_ipywidgets_js = {}  # the default loads scripts from the network
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
mathjax_path = "mathjax/tex-svg.js"  # copied beside by the report; glyphs are inside, so no fonts are loaded
mathjax3_config = {"tex": {"tags": "none"}, "svg": {"fontCache": "global"}}
suppress_warnings = [
    "mystnb.unknown_mime_type",
    "myst.xref_missing",
    "myst.header",
    "misc.highlighting_failure",
]

html_theme = "furo"
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": True}
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
