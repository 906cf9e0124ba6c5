import pkgutil
from importlib import import_module
from types import ModuleType

import pytest

import panoptic_eval


@pytest.mark.parametrize("name", panoptic_eval.__all__)
def test_a_public_name_is_no_module_whatever_was_imported_before(name):
    for module in pkgutil.iter_modules(panoptic_eval.__path__):
        import_module(f"panoptic_eval.{module.name}")
    assert not isinstance(getattr(panoptic_eval, name), ModuleType)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = panoptic_eval.nothing
