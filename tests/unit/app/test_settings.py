"""Settings: read once, refused by name, never shown when secret."""

from pathlib import Path

import pytest

from app.commands.errors import SettingInvalid
from app.settings import ROWS, DemoPart, read_settings, without_secrets


def test_nothing_set_is_a_desk() -> None:
    settings = read_settings({})
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8080, 1)
    assert settings.is_embedded


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SIGNALBOX_PORT", "0", "from 1 to 65535 and is '0'"),
        ("SIGNALBOX_PORT", "http", "whole number"),
        ("SIGNALBOX_WORKERS", "-1", "from 1 to 64"),
        ("SIGNALBOX_ENV", "prod", "'development' or 'production'"),
        ("SIGNALBOX_ALLOW", "everything", "embedded-database"),
        ("SIGNALBOX_IDLE_TIMEOUT_S", "0", "more than 0"),
        ("SIGNALBOX_IDLE_TIMEOUT_S", "nan", "more than 0"),
        ("SIGNALBOX_DATABASE_URL", "mysql://root:hunter2@db", "postgresql://"),
        ("SIGNALBOX_DATABASE_URL", "postgresql://root:hunter2@db:port/x", "postgresql://"),
        ("SIGNALBOX_UPSTREAM_ALLOW", "vllm", "host:port"),
        ("SIGNALBOX_UPSTREAM_ALLOW", "10.0.0.0/99", "CIDR"),
        ("SIGNALBOX_PROT", "8080", "There is no setting SIGNALBOX_PROT"),
    ],
)
def test_a_value_that_cannot_be_right_names_the_variable(variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingInvalid) as raised:
        read_settings({variable: value})
    assert variable in str(raised.value)
    assert says in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgres://u:p@h/d\n")
    settings = read_settings({"SIGNALBOX_DATABASE_URL_FILE": str(path)})
    assert settings.database_url == "postgresql+asyncpg://u:p@h/d"
    with pytest.raises(SettingInvalid, match="SIGNALBOX_DATABASE_URL_FILE"):
        read_settings({"SIGNALBOX_DATABASE_URL_FILE": str(tmp_path / "none")})


def test_secrets_are_neither_shown_nor_handed_to_children() -> None:
    environment = {"SIGNALBOX_MASTER_KEY": "hunter2", "SIGNALBOX_DATABASE_URL": "postgres://u:hunter2@h/d", "PATH": "/"}
    assert "hunter2" not in repr(read_settings(environment))
    assert without_secrets(environment) == {"PATH": "/"}


@pytest.mark.parametrize("part", list(DemoPart))
def test_production_refuses_demo_parts_unless_named(part: DemoPart) -> None:
    with pytest.raises(SettingInvalid, match=part.value):
        read_settings({"SIGNALBOX_ENV": "production"}).refuse_in_production(part, "Set it")
    read_settings({"SIGNALBOX_ENV": "production", "SIGNALBOX_ALLOW": part}).refuse_in_production(part, "Set it")
    read_settings({}).refuse_in_production(part, "Set it")


def test_the_document_tells_each_setting_with_its_default() -> None:
    document = Path("infra/settings.md").read_text()
    for row in ROWS:
        assert f"| `{row.variable}` |" in document
        assert row.meaning in document
