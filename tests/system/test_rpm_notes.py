"""Advisories, groups and modules: as units, and in metadata of our own."""
import pytest

from rpms import Dnf, Rpms, needs_tools, opened, repomd
from sluice import TaskFailed
from test_rpm import REPOMD, RPM, Repo

pytestmark = needs_tools

COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
 <group><id>zoo</id><name>Zoo</name><name xml:lang="de">Tierpark</name><description>Animals &amp; more</description><default>true</default>
  <uservisible>true</uservisible><display_order>7</display_order><packagelist><packagereq type="mandatory">bear</packagereq>
  <packagereq type="conditional" requires="bear">lion</packagereq></packagelist></group>
 <category><id>all</id><name>All</name><description/><display_order>1</display_order><grouplist><groupid>zoo</groupid></grouplist></category>
 <environment><id>park</id><name>Park</name><description>d</description><display_order>2</display_order><grouplist><groupid>zoo</groupid></grouplist>
  <optionlist><groupid default="true">zoo</groupid></optionlist></environment>
 <langpacks><match name="bear" install="bear-%s"/></langpacks>
</comps>
"""
MODULES = """---
document: modulemd
version: 2
data:
  name: cat
  stream: "1"
  version: 20240101
  context: abcd
  arch: x86_64
  summary: A cat
  description: >-
    Purrs.
  license: {module: [MIT]}
  dependencies:
  - requires: {platform: [el9]}
  profiles:
    default: {rpms: [lion]}
  artifacts:
    rpms: ["lion-0:1.0-1.noarch"]
...
---
document: modulemd-defaults
version: 1
data:
  module: cat
  stream: "1"
  profiles:
    "1": [default]
...
---
document: modulemd-obsoletes
version: 1
data:
  modified: 2024-01-02T00:00Z
  module: cat
  stream: "0"
  message: "too old"
  eol_date: 2024-06-01T00:00Z
...
"""


def advisory(ident, title, severity="Important", version="1.0"):
    return (f'<update from="zoo@example.org" status="final" type="security" version="2"><id>{ident}</id><title>{title}</title>'
            f'<issued date="2024-01-01 00:00:00"/><updated date="2024-01-02 00:00:00"/><rights/><release>9</release><severity>{severity}</severity>'
            '<summary>s</summary><description>less &lt; more</description><solution>update</solution><reboot_suggested/>'
            '<references><reference href="http://example.org/1" id="CVE-2024-1" title="CVE-2024-1" type="cve"/></references>'
            f'<pkglist><collection short="z"><name>zoo</name><package name="lion" version="{version}" release="1" epoch="0" arch="noarch" src="lion.src.rpm">'
            f'<filename>lion-{version}-1.noarch.rpm</filename><sum type="sha256">{"ab" * 32}</sum></package></collection></pkglist></update>')


def put(upstream, repo, updates, modules=MODULES):
    work = repo.directory.parent
    (work / "comps.xml").write_text(COMPS)
    (work / "updateinfo.xml").write_text('<?xml version="1.0"?><updates>' + "".join(updates) + "</updates>")
    (work / "modules.yaml").write_text(modules)
    repo.createrepo("--no-database", "-g", work / "comps.xml")
    repo.modifyrepo(work / "updateinfo.xml", "updateinfo")
    repo.modifyrepo(work / "modules.yaml", "modules")
    repo.put(upstream, "/r/")


@pytest.fixture
def repo(tmp_path):
    repo = Rpms(tmp_path / "up")
    repo.build("bear", "1.0")
    repo.build("lion", "1.0")
    return repo


NOTES = {"advisories": 2, "packagegroups": 1, "packagecategories": 1, "packageenvironments": 1, "packagelangpacks": 1, "modulemds": 1,
         "modulemd_defaults": 1, "modulemd_obsoletes": 1}


def test_units_of_a_complete_mirror(sluice, upstream, repo):
    put(upstream, repo, [advisory("Z-1", "One"), advisory("Z-2", "Two", "Low")])
    r = Repo(sluice, "r", upstream.url("/r/"))
    theirs = (repo.directory / REPOMD).read_bytes()
    assert r.get(REPOMD) == (200, theirs)
    assert {kind: len(r.units(kind)) for kind in NOTES} == NOTES
    [one] = sluice.api.list("content/rpm/advisories/", id="Z-1")
    assert (one["title"], one["severity"], one["fromstr"], one["issued_date"], one["description"]) == (
        "One", "Important", "zoo@example.org", "2024-01-01 00:00:00", "less < more")
    assert one["references"] == [{"href": "http://example.org/1", "ref_id": "CVE-2024-1", "title": "CVE-2024-1", "ref_type": "cve"}]
    assert one["pkglist"][0]["packages"][0]["filename"] == "lion-1.0-1.noarch.rpm" and one["reboot_suggested"] is True
    assert [a["id"] for a in sluice.api.list("content/rpm/advisories/", severity="Low")] == ["Z-2"]
    [group] = r.units("packagegroups")
    assert group["name_by_lang"] == {"de": "Tierpark"} and group["display_order"] == 7 and group["description"] == "Animals & more"
    assert group["packages"][1] == {"name": "lion", "type": 2, "basearchonly": False, "requires": "bear"}
    assert r.units("packageenvironments")[0]["option_ids"] == [{"name": "zoo", "default": True}]
    [module] = r.units("modulemds")
    assert (module["name"], module["stream"], module["version"], module["description"]) == ("cat", "1", "20240101", "Purrs.")
    assert module["profiles"] == {"default": ["lion"]} and module["dependencies"] == [{"platform": ["el9"]}]
    assert r.units("modulemd_obsoletes")[0]["message"] == "too old"
    assert {p["name"]: p["is_modular"] for p in r.units()} == {"bear": False, "lion": True}
    sluice.api.do("POST", "publications/" + RPM, repository=r.repo["pulp_href"])
    assert r.get(REPOMD) == (200, theirs)  # still upstream's


def test_metadata_of_our_own_has_them(sluice, upstream, repo, tmp_path):
    put(upstream, repo, [advisory("Z-1", "One"), advisory("Z-2", "Two")])
    r = Repo(sluice, "r", upstream.url("/r/"), sync="additive", autopublish=True)
    dnf = Dnf(tmp_path / "dnf", {"r": sluice.url("r/")})
    platform = "--setopt=module_platform_id=platform:el9"
    dnf.run(platform, "install", "lion")
    assert {"Zoo", "Park"} <= set(dnf.run(platform, "group", "list").stdout.split())
    assert {"Z-1", "Z-2"} <= set(dnf.run(platform, "updateinfo", "list", "--installed").stdout.split())
    assert "cat" in dnf.run(platform, "module", "list").stdout.split()
    # An advisory that changed takes the place of the old one; what upstream drops stays.
    put(upstream, repo, [advisory("Z-1", "One, again")])
    r.sync("additive")
    assert sorted(a["title"] for a in r.units("advisories")) == ["One, again", "Two"]
    files = repomd(r.get(REPOMD)[1])
    assert set(files) == {"primary", "filelists", "other", "updateinfo", "group", "modules"}
    text = opened(r.get(files["updateinfo"][0])[1]).decode()
    assert text.count("<update ") == 2 and "One, again" in text
    [two] = sluice.api.list("content/rpm/advisories/", id="Z-2")
    sluice.api.do("POST", r.repo["pulp_href"] + "modify/", remove_content_units=[two["pulp_href"]])
    text = opened(r.get(repomd(r.get(REPOMD)[1])["updateinfo"][0])[1]).decode()
    assert "Z-2" not in text and "Z-1" in text


def test_lazy_is_as_immediate(sluice, upstream, repo):
    put(upstream, repo, [advisory("Z-1", "One")])
    lazy = Repo(sluice, "lazy", upstream.url("/r/"), sync="mirror_content_only", autopublish=True)
    full = Repo(sluice, "full", upstream.url("/r/"), "immediate", sync="mirror_content_only", autopublish=True)
    assert lazy.get(REPOMD) == full.get(REPOMD)


@pytest.mark.parametrize("what,text,reason", [("updateinfo", "<updates><update><title>x</title></update></updates>", "updateinfo.xml: a 'rpm.advisory' has no id"),
                                              ("modules", "---\ndocument: modulemd\ndata: [\n", "modules.yaml: line "),
                                              ("modules", "---\na: &x 1\nb: *x\n", "alias"), ("group", "<html/>", "comps.xml: its root is 'html'")])
def test_bad_ones_change_nothing(sluice, upstream, repo, what, text, reason):
    put(upstream, repo, [advisory("Z-1", "One")])
    r = Repo(sluice, "r", upstream.url("/r/"))
    bad = repo.directory.parent / f"bad-{what}.xml"
    bad.write_text(text)
    repo.modifyrepo(bad, what)
    repo.put(upstream, "/r/")
    with pytest.raises(TaskFailed) as failed:
        r.sync()
    assert reason in failed.value.task["error"]["description"]
    assert r.version() == 1
