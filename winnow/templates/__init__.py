"""The templates: a file each, of which ingest, the router and the ledger each read the part that they need.

``order`` says what can be ordered (ingest) · ``modes`` and ``rounds`` say how candidates are made (router) · ``prices``
say what an output costs (ledger). The reader checks what all three share, and each service checks its own part.
"""

from winnow.templates.reader import TEMPLATES_FOLDER, TemplateFile, parse, read_templates, read_yaml

__all__ = ["TEMPLATES_FOLDER", "TemplateFile", "parse", "read_templates", "read_yaml"]
