"""Route templates of the local Functions host."""

from __future__ import annotations

import pytest

from localcloud.functions.routes import RouteError, parse_route


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("status", "api/status", {}),
        ("status", "API/Status", {}),
        ("status", "api/statusx", None),
        ("items/{id}", "api/items/a b", {"id": "a b"}),
        ("items/{id}", "api/items", None),
        ("items/{id}", "api/items/a/b", None),
        ("items/{id?}", "api/items", {}),
        ("items/{id:int?}", "api/items/12", {"id": "12"}),
        ("items/{id:int}", "api/items/12x", None),
        ("items/{id:int}", "api/items/9999999999", None),
        ("items/{id:long}", "api/items/9999999999", {"id": "9999999999"}),
        ("items/{id=7}", "api/items", {"id": "7"}),
        ("items/{id=7}", "api/items/8", {"id": "8"}),
        ("{a:alpha}/{b:guid}", "api/xy/0f8fad5b-d9cb-469f-a165-70867728950e", "any"),
        ("{a:alpha}", "api/x1", None),
        ("{a:length(2,3)}", "api/abcd", None),
        ("{a:length(2)}", "api/ab", {"a": "ab"}),
        ("{a:minlength(2):maxlength(3)}", "api/abc", {"a": "abc"}),
        ("{a:range(1,5)}", "api/6", None),
        ("{a:min(3)}", "api/3", {"a": "3"}),
        ("{a:max(3)}", "api/4", None),
        ("{a:bool}", "api/TRUE", {"a": "TRUE"}),
        ("{a:decimal}", "api/1.5", {"a": "1.5"}),
        ("{a:regex(^x.z$)}", "api/xyz", {"a": "xyz"}),
        ("files/{*path}", "api/files/a/b", {"path": "a/b"}),
        ("files/{*path}", "api/files", {}),
        ("{name}.{extension}", "api/a.jsonl", {"name": "a", "extension": "jsonl"}),
        ("a+b", "api/a+b", {}),
    ],
)
def test_a_template_matches_as_in_asp_net(template: str, path: str, values: dict[str, str] | str | None) -> None:
    found = parse_route("api", template).match(path)
    assert bool(found) if values == "any" else found == values


def test_without_a_prefix_the_template_is_the_path() -> None:
    assert parse_route("", "a/{b}").match("a/1") == {"b": "1"}


def test_the_more_specific_route_sorts_first() -> None:
    templates = ["{*all}", "a/{x}", "a/{x:int}", "a/b"]
    ordered = sorted((parse_route("api", t) for t in templates), key=lambda route: route.specificity)
    assert [route.template for route in ordered] == ["api/a/b", "api/a/{x:int}", "api/a/{x}", "api/{*all}"]


@pytest.mark.parametrize(
    "template", ["admin/x", "Runtime/x", "{a}/{a}", "{a:odd}", "{a:int(3)}", "{a:length(x)}", "{a", "a}"]
)
def test_a_route_that_the_host_refuses(template: str) -> None:
    with pytest.raises(RouteError):
        parse_route("api", template)
