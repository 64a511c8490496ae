"""Settings of the HTML book for Sphinx: executed notebooks; nothing is run, nothing fetched at build or view."""

import base64
import hashlib
import json
import re
from pathlib import Path

from docutils import nodes

project = "Weakly supervised segmentation, an experiment book"
html_title = "wsnb"
html_short_title = "wsnb"
language = "en"
extensions = ["myst_nb", "sphinx_design"]
exclude_patterns = ["_static", "_written"]

nb_execution_mode = "off"
nb_ipywidgets_js = {}  # the default loads scripts from the network
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
mathjax_path = "mathjax/tex-svg.js"  # copied beside by the report; glyphs are inside; no fonts are loaded
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
html_js_files = ["book.js"]
html_favicon = "_static/favicon.svg"
myst_html_meta = {"description": "Segmentation from image tags, boxes, scribbles and points: published methods as "
                                 "chains of notebooks, with every number from the record of a run."}
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False


def named(app, doctree, name):
    """Give every cell the class of its column, col-method-backbone of "method, backbone", for book.css."""
    for table in doctree.findall(nodes.table):
        first = next(iter(table.findall(nodes.row)))
        columns = [f"col-{nodes.make_id(entry.astext())}" for entry in first]
        for row in table.findall(nodes.row):
            for entry, column in zip(row, columns, strict=False):
                entry["classes"].append(column)


def numbered(app, doctree, name):
    """Number the captions of a page: Figure 1, Figure 2."""
    for number, caption in enumerate(doctree.findall(nodes.caption), 1):
        caption.insert(0, nodes.strong("", f"Figure {number}. "))


PLACES = {"body": "td|th|h[1-4]", "furo_navigation_tree": "a"}  # elements where a long name has little room
LONG, JOINT = re.compile(r"[\w/.@-]{16,}"), re.compile(r"(?<=\w)[_/](?=\w)")


def breakable(app, page, template, context, doctree):
    """Let names such as a_paper/an_experiment go on in a new line; their text stays as it is."""

    def opened(text):
        return LONG.sub(lambda name: JOINT.sub(r"\g<0><wbr>", name[0]), text[0])

    for part, tags in PLACES.items():
        context[part] = re.sub(rf"(?s)<({tags})\b.*?</\1>", lambda place: re.sub(r">[^<]+", opened, place[0]),
                               context.get(part, ""))


INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
POLICY = ("default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
          "font-src 'self' data:; base-uri 'none'; form-action 'self'")  # fmt: skip


def protected(app, error):
    """Let each page load the files beside it and run the theme's scripts: nothing from the network, and no script of a
    notebook's output or of a name."""
    if error:
        return
    own = INLINE.findall(Path(app.outdir, "genindex.html").read_text(encoding="utf-8"))  # a page without our content
    own.append(f"window.MathJax = {json.dumps(mathjax3_config)}")
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in own)
    policy = POLICY.format(scripts=" ".join(f"'sha256-{digest}'" for digest in digests))
    for path in Path(app.outdir).rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        head = f'<head><meta http-equiv="Content-Security-Policy" content="{policy}"/>'
        path.write_text(page.replace("<head>", head, 1), encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.connect("build-finished", protected)
    app.connect("doctree-resolved", named)
    app.connect("doctree-resolved", numbered)
    app.connect("html-page-context", breakable, priority=900)  # after the theme has made its lists
