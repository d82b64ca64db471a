"""How the site is built: `make docs`. Pictures and the command line's help are made anew each time."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import adabet_fast

HERE = Path(__file__).parent

project = "adabet_fast"
author = "The adabet_fast authors"
version = release = adabet_fast.__version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
root_doc = "index"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
RESULTS = ("peers", "sizes", "growth", "reduction", "selection")  # `python -m bench.peers` and its kin write them

html_theme = "furo"
html_title = f"adabet_fast {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_copyright = False

default_role = "autolink"  # `h1` in a docstring is a link, `x` is not
nitpicky = True
nitpick_ignore = [("py:obj", "budget"), ("py:obj", "needed")]  # set when a MemoryBudgetError is raised
add_module_names = False
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types are in the text
numpydoc_show_class_members = False  # autodoc lists them
# Order and names of sections, blank lines, summaries. Left out is what the house leaves out on purpose: Returns where
# the summary says all, types that the signature has, parameters described in groups.
numpydoc_validation_checks = {"GL05", "GL06", "GL07", "GL09", "GL10", "PR05", "RT02", "SS01", "SS02", "SS04"}
rst_prolog = r"""
.. |a| replace:: \|a\|
"""


class CommandHelp(Directive):
    """What `adabet-fast COMMAND --help` prints."""

    optional_arguments = 1
    final_argument_whitespace = False

    def run(self) -> list[nodes.Node]:
        """One literal block."""
        from adabet_fast.cli.parser import make_parser

        parser = make_parser()
        if self.arguments:
            (choices,) = (action.choices for action in parser._actions if action.dest == "command")
            parser = choices[self.arguments[0]]
        text = parser.format_help()
        return [nodes.literal_block(text, text, language="text")]


def draw(app: Sphinx) -> None:
    """Draw all pictures."""
    spec = importlib.util.spec_from_file_location("pictures", HERE / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    pictures.draw_all(HERE / "_pictures")


def fill_in(app: Sphinx, name: str, source: list[str]) -> None:
    """Put in what is known when the pages are built: the result tables that exist, what can run here."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")  # doctest needs the empty line, readers do not
    source[0] = source[0].replace("% backends", f"```text\n{adabet_fast.backends()}\n```")
    found = [result for result in RESULTS if (HERE / f"{result}.md").is_file()]
    if name == "benchmarks" and found:
        entries = "\n".join(found)
        toctree = f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
        source[0] = source[0].replace("% results", f"{toctree}\n% results")


def setup(app: Sphinx) -> None:
    """Register these."""
    app.add_directive("command-help", CommandHelp)
    app.connect("builder-inited", draw)
    app.connect("source-read", fill_in)
