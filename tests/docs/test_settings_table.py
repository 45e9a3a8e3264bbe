"""The table of settings in docs/operations.md against the code, both ways."""

from typing import Any

from pydantic import BaseModel, SecretStr

from studyml.hyperparameters import Hyperparameters
from studyml.settings import Settings
from tests.docs.documents import read, rows


def documented() -> dict[str, list[str]]:
    found = [row for row in rows(read("docs/operations.md")) if row[0].startswith("`STUDYML_") and len(row) == 4]
    names = [row[0].strip("`") for row in found]
    assert len(names) == len(set(names))
    return dict(zip(names, found, strict=True))


def shown(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(value, BaseModel):
        value = value.model_dump_json(exclude_none=True)
    return f"`{value}`" if value not in (None, "") else "empty"


def test_every_setting_is_documented_with_its_default() -> None:
    expected = {f"STUDYML_{name.upper()}": shown(field) for name, field in Settings.model_fields.items()}
    assert {name: row[1] for name, row in documented().items()} == expected


def test_every_setting_has_a_unit_and_a_meaning_and_says_that_it_is_secret() -> None:
    for name, (_, _, unit, meaning) in documented().items():
        assert unit, name
        assert meaning, name
        annotation = str(Settings.model_fields[name.removeprefix("STUDYML_").lower()].annotation)
        assert ("(secret)" in meaning) == ("SecretStr" in annotation), name


def test_every_hyperparameter_is_documented_with_its_meaning() -> None:
    section = read("docs/model.md").split("### Hyperparameters\n")[1].split("\n## ")[0]
    found = {row[0].strip("`"): row[2] for row in rows(section) if row[0].startswith("`")}
    assert found == {name: field.description for name, field in Hyperparameters.model_fields.items()}
