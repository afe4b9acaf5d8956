"""Whether the libraries underneath fit together, and what is said when they do not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onelogin

from saml_sp.protocol import libraries

ROOT = Path(__file__).parent.parent.parent
ASKED = "from saml_sp.protocol import libraries; print(libraries.schema_problem())"


def test_lxml_and_xmlsec_carry_the_same_libxml2() -> None:
    lxml, xmlsec = libraries.libxml2_versions()
    assert lxml == xmlsec


def test_the_schemas_compile() -> None:
    assert libraries.schema_problem() == ""


def test_it_says_why_the_schemas_do_not_compile(tmp_path: Path) -> None:
    """An installation of python3-saml from which the schemas were left out."""
    installed = Path(onelogin.__path__[0])
    shutil.copytree(installed, tmp_path / "onelogin", ignore=shutil.ignore_patterns("*.xsd", "__pycache__"))
    found_first = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", ASKED], env=found_first, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert ".xsd" in done.stdout
