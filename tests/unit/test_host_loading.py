"""An app that does not load: one line that says what, where, and what to do."""

from pathlib import Path

import pytest

from mosaic_local.host.worker import does_not_load, without_functions

APP = Path("/srv/shop")
TRACE = """Traceback (most recent call last):
  File "/usr/lib/python3.13/importlib/__init__.py", line 88, in import_module
  File "/srv/shop/function_app.py", line 3, in <module>
    import prices
  File "/srv/shop/prices/table.py", line 12, in <module>
  File "/usr/lib/python3.13/os.py", line 716, in __getitem__
"""


def test_an_exception_at_import_is_told_with_its_place_in_the_app() -> None:
    assert does_not_load(APP, "KeyError: 'PRICES'", TRACE) == (
        "the function app does not load: KeyError: 'PRICES' (prices/table.py, line 12)"
    )
    syntax = "SyntaxError: invalid syntax (function_app.py, line 3)"
    assert does_not_load(APP, syntax, TRACE).endswith(syntax)  # has its place already


def test_a_module_that_is_not_there_is_told_with_what_to_do() -> None:
    told = does_not_load(APP, "ModuleNotFoundError: No module named 'x'. Cannot find module. Please check …", TRACE)
    assert "No module named 'x' (prices/table.py, line 12); what the app's requirements.txt names" in told
    assert "Please check" not in told


def test_an_app_without_functions_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert without_functions(tmp_path) == f"there is no function_app.py in {tmp_path}"
    monkeypatch.setenv("PYTHON_SCRIPT_FILE_NAME", "main.py")
    assert "no main.py" in without_functions(tmp_path)
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "function.json").write_text("{}")
    assert "the v1 model, which is not imitated" in without_functions(tmp_path)
    (tmp_path / "main.py").touch()
    assert "main.py has no functions" in without_functions(tmp_path)
