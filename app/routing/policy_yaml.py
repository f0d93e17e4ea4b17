"""A policy in YAML and the same in JSON: one tree in two spellings. Called by whoever reads or shows policies.

YAML is read with what could mean two things refused: aliases, keys written twice, values that JSON has not.
Invariant: what `yaml_of` writes, `json_of_yaml` reads back to the same tree.
"""

import json
from typing import Any, Final

import yaml

from app.routing.errors import PolicyInvalid

LINE_CHARACTERS: Final = 100


def json_of_yaml(raw: bytes) -> bytes:
    """Bring a policy in YAML to the JSON that is checked and stored. Raises PolicyInvalid."""
    try:
        document = yaml.load(raw, _StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise PolicyInvalid((f"not a policy in YAML: {error.problem}{where}",)) from error
    except yaml.YAMLError as error:
        raise PolicyInvalid((f"neither JSON nor YAML: {str(error).splitlines()[0]}",)) from error
    except RecursionError as error:
        raise PolicyInvalid(("nested too deeply to be a policy",)) from error
    except (TypeError, ValueError) as error:
        raise PolicyInvalid((f"holds a value that JSON does not have: {error}; put it in quotes",)) from error


def yaml_of(document: bytes) -> str:
    """Write a policy in YAML, keys in their order."""
    return yaml.safe_dump(json.loads(document), sort_keys=False, allow_unicode=True, width=LINE_CHARACTERS)


class _StrictLoader(yaml.SafeLoader):
    """YAML as far as it is JSON. An alias could also make a small file grow without end."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read; write the part twice", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' is not text; put it in quotes", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' stands twice in one place; keep one", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)
