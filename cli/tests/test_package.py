"""What is shipped: the wheel, the README's table, and nothing of the server."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from portico_cli import __version__
from portico_cli.errors import ExitCode

CLI = Path(__file__).parent.parent
SOURCES = CLI / "src" / "portico_cli"
DEPENDENCIES = {"httpx", "keyring", "rich", "typer", "yaml"}


def test_the_wheel_has_the_command_and_the_types(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=CLI, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"portico_cli-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entries = configparser.ConfigParser()
        entries.read_string(archive.read(f"portico_cli-{__version__}.dist-info/entry_points.txt").decode())
        metadata = archive.read(f"portico_cli-{__version__}.dist-info/METADATA").decode()
        archive.extractall(tmp_path / "there")
    assert "portico_cli/py.typed" in names
    assert all(name.startswith(("portico_cli/", "portico_cli-")) for name in names)
    assert entries["console_scripts"]["portico"] == "portico_cli.__main__:main"
    assert "Requires-Python: >=3.11" in metadata
    script = "from portico_cli.__main__ import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", script, "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "there")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == f"portico-cli {__version__}\n"


def test_the_readme_s_table_is_what_the_program_does() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \| .+ \|$", (CLI / "README.md").read_text(), re.MULTILINE)
    assert [(int(number), name) for number, name in rows] == [(int(code), code.name) for code in ExitCode]


def test_it_imports_nothing_of_the_server() -> None:
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names | DEPENDENCIES | {"portico_cli"}, (path, name)


def test_every_environment_variable_is_in_the_readme() -> None:
    readme = (CLI / "README.md").read_text()
    sources = "".join(path.read_text() for path in SOURCES.rglob("*.py"))
    for name in set(re.findall(r'"(PORTICO_[A-Z_]+)"', sources)):
        assert f"`{name}`" in readme, name
