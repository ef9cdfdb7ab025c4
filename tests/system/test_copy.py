"""Units from one repository's version into another: rpm/copy/, which goes by types, not by format."""


def filled(api, name, *paths):
    repo = api.repository(name)
    for path in paths:
        unit = api.post("content/file/files/upload/", files={"file": ("f", path.encode())}, data={"relative_path": path}).json()
        api.do("POST", repo["pulp_href"] + "modify/", add_content_units=[unit["pulp_href"]])
    return api.show(repo["pulp_href"])


def test_copy(sluice):
    api = sluice.api
    source, dest = filled(api, "source", "a", "b", "c"), filled(api, "dest", "d")
    units = {u["relative_path"]: u["pulp_href"] for u in api.units(source)}
    entry = {"source_repo_version": source["latest_version_href"], "dest_repo": dest["pulp_href"]}

    task = api.do("POST", "rpm/copy/", config=[entry | {"content": [units["a"], units["b"]]}], dependency_solving=False)
    assert task["created_resources"] == [dest["pulp_href"] + "versions/2/"]
    assert sorted(u["relative_path"] for u in api.units(api.show(dest["pulp_href"]))) == ["a", "b", "d"]
    api.do("POST", "rpm/copy/", config=[entry])
    assert sorted(u["relative_path"] for u in api.units(api.show(dest["pulp_href"]))) == ["a", "b", "c", "d"]
    # nothing changes: no version
    assert api.do("POST", "rpm/copy/", config=[entry])["created_resources"] == []

    other = api.do("POST", "repositories/rpm/rpm/", name="rpm")
    for bad in ({}, {"config": []}, {"config": {}}, {"config": [1]}, {"config": [{}]}, {"config": [entry | {"more": 1}]},
                {"config": [entry | {"content": [units["a"]]}]}, {"config": [entry | {"content": "x"}]},
                {"config": [entry | {"dest_repo": other["pulp_href"]}]}, {"config": [entry | {"dest_repo": "x"}]},
                {"config": [entry | {"content": ["x"]}], "dependency_solving": False}):
        r = api.post("rpm/copy/", json=bad, check=False)
        assert r.status_code == 400, (bad, r.status_code, r.text)
