"""What commands print where nobody looks: whole, plain lines."""

import pytest

from app.commands.output import print_table, reason_of, show


def test_a_pipe_gets_one_plain_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "name", "n"), [("x" * 300, "[red]Acme[/red] & Söhne", "1")], title="All", numbers=("n",))
    title, header, row = capsys.readouterr().out.splitlines()
    assert (title.strip(), header.split()) == ("All", ["id", "name", "n"])
    assert row.split("  ")[:2] == ["x" * 300, "[red]Acme[/red] & Söhne"]


def test_nothing_to_show_is_an_empty_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    show([], is_json=True)
    assert capsys.readouterr().out == "[]\n"
    show([], is_json=False)
    assert capsys.readouterr() == ("", "None.\n")


def test_a_databases_reason_is_its_first_line() -> None:
    assert reason_of(OSError("refused.\nDETAIL: secret")) == "refused"
    assert reason_of(TimeoutError()) == "TimeoutError"
