"""Drives the published bindings; see tests/system/test_bindings.py. Arguments: base URL, password, URL of a manifest, a directory."""
import hashlib
import json
import pathlib
import sys
import time

from pulpcore.client import pulp_file, pulpcore

base, password, manifest, directory = sys.argv[1:]
core = pulpcore.ApiClient(pulpcore.Configuration(host=base, username="admin", password=password))
file = pulp_file.ApiClient(pulp_file.Configuration(host=base, username="admin", password=password))
NOTHING = "01900000-0000-7000-8000-000000000000/"
calls = 0


def call(fn, *args, **kw):
    global calls
    calls += 1
    return fn(*args, **kw)


def refused(status, fn, *args, **kw):
    try:
        call(fn, *args, **kw)
    except (pulpcore.ApiException, pulp_file.ApiException) as e:
        assert e.status == status, (fn, e.status, e.body)
        return json.loads(e.body)
    raise AssertionError(f"{fn} was not refused")


tasks = pulpcore.TasksApi(core)


def wait(answer):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        task = call(tasks.read, answer.task)
        if task.state in ("completed", "failed", "canceled"):
            assert task.state == "completed", task
            return task
        time.sleep(0.05)
    raise AssertionError(f"{answer.task} does not end")


assert {v.component for v in call(pulpcore.StatusApi(core).status_read).versions} >= {"core", "file"}

# remotes
remotes = pulp_file.RemotesFileApi(file)
body = pulp_file.FileFileRemote(name="b", url=manifest, policy="on_demand", headers=[{"X-A": "b"}], total_timeout=30.5, pulp_labels={"a": "b"})
remote = call(remotes.create, body)
assert call(remotes.read, remote.pulp_href).total_timeout == 30.5
assert call(remotes.list, name="b", ordering=["-pulp_created"], pulp_label_select="a=b").count == 1
assert refused(400, remotes.create, body) == {"name": ["This field must be unique."]}
refused(404, remotes.read, "/pulp/api/v3/remotes/file/file/" + NOTHING)
wait(call(remotes.partial_update, remote.pulp_href, pulp_file.PatchedfileFileRemote(max_retries=3, username="u", password="p")))
assert [f.is_set for f in call(remotes.read, remote.pulp_href).hidden_fields if f.name == "password"] == [True]
call(remotes.update, remote.pulp_href, body)
wait(call(remotes.partial_update, remote.pulp_href, pulp_file.PatchedfileFileRemote(username=None, password=None)))
call(remotes.set_label, remote.pulp_href, pulp_file.SetLabel(key="k", value="v"))
call(remotes.unset_label, remote.pulp_href, pulp_file.UnsetLabel(key="k"))

# repositories, syncs, versions
repositories, versions = pulp_file.RepositoriesFileApi(file), pulp_file.RepositoriesFileVersionsApi(file)
repository = call(repositories.create, pulp_file.FileFileRepository(name="b", remote=remote.pulp_href, retain_repo_versions=9))
synced = wait(call(repositories.sync, repository.pulp_href, pulp_file.FileRepositorySyncURL(mirror=False)))
assert [p.code for p in synced.progress_reports]
version = call(versions.read, synced.created_resources[0])
assert version.content_summary.present["file.file"]["count"] == 2
assert call(versions.list, repository.pulp_href, number__gte=1).count == 1
assert call(repositories.list, name__in=["b", "c"]).count == 1
refused(400, repositories.list, remote="nonsense")

# content
content = pulp_file.ContentFilesApi(file)
small = pathlib.Path(directory, "small")
small.write_bytes(b"small")
units = call(content.list, repository_version=version.pulp_href).results
assert all(u.artifact is None for u in units) and call(content.read, units[0].pulp_href).relative_path
made = wait(call(content.create, relative_path="x/y", file=str(small), repository=repository.pulp_href))
assert made.created_resources[0].startswith(repository.pulp_href + "versions/")
unit = call(content.upload, relative_path="x/z", file=str(small))
assert unit.sha256 == hashlib.sha256(b"small").hexdigest()
refused(400, content.create, relative_path="x/y")
wait(call(repositories.modify, repository.pulp_href, pulp_file.RepositoryAddRemoveContent(
    add_content_units=[unit.pulp_href], remove_content_units=[units[0].pulp_href])))

# publications, distributions
publications, distributions = pulp_file.PublicationsFileApi(file), pulp_file.DistributionsFileApi(file)
publication = call(publications.read, wait(call(publications.create, pulp_file.FileFilePublication(repository=repository.pulp_href))).created_resources[0])
assert call(publications.list, repository=repository.pulp_href).count == 1 and publication.manifest == "PULP_MANIFEST"
place = wait(call(distributions.create, pulp_file.FileFileDistribution(name="b", base_path="b", publication=publication.pulp_href))).created_resources[0]
assert call(distributions.read, place).base_url and call(distributions.list, base_path="b").count == 1
overlap = refused(400, distributions.create, pulp_file.FileFileDistribution(name="c", base_path="b/c"))
assert list(overlap) == ["base_path"]
wait(call(distributions.partial_update, place, pulp_file.PatchedfileFileDistribution(hidden=True)))

# uploads, artifacts
uploads, artifacts = pulpcore.UploadsApi(core), pulpcore.ArtifactsApi(core)
upload = call(uploads.create, pulpcore.Upload(size=10))
for first in (5, 0):
    call(uploads.update, f"bytes {first}-{first + 4}/10", upload.pulp_href, str(small))
assert len(call(uploads.read, upload.pulp_href).chunks) == 2 and call(uploads.list).count == 1
whole = hashlib.sha256(b"smallsmall").hexdigest()
artifact = call(artifacts.read, wait(call(uploads.commit, upload.pulp_href, pulpcore.UploadCommit(sha256=whole))).created_resources[0])
assert artifact.sha256 == whole and call(artifacts.list, sha256=whole).count == 1
refused(400, artifacts.create, str(small))
refused(403, artifacts.delete, artifact.pulp_href)
upload = call(uploads.create, pulpcore.Upload(size=10))
refused(400, uploads.update, "bytes 0-9/10", upload.pulp_href, str(small))
call(uploads.delete, upload.pulp_href)

# lists of all types; what is only shown
for api in ("RepositoriesApi", "RepositoryVersionsApi", "RemotesApi", "PublicationsApi", "DistributionsApi", "ContentApi", "WorkersApi", "TaskGroupsApi",
            "SigningServicesApi", "ContentguardsApi"):
    call(getattr(pulpcore, api)(core).list)
assert call(tasks.list, state="completed", limit=2, name__contains="general").count > 2

# maintenance, and the end
wait(call(pulpcore.RepositoriesReclaimSpaceApi(core).reclaim, pulpcore.ReclaimSpace(repo_hrefs=[repository.pulp_href])))
wait(call(versions.delete, version.pulp_href))
for api, href in ((distributions, place), (repositories, repository.pulp_href), (remotes, remote.pulp_href)):
    wait(call(api.delete, href))
    refused(404, api.read, href)
wait(call(pulpcore.OrphansCleanupApi(core).cleanup, pulpcore.OrphansCleanup(orphan_protection_time=0)))
assert call(content.list).count == 0 and call(artifacts.list).count == 0
wait(call(tasks.purge, pulpcore.Purge()))
print(json.dumps({"calls": calls}))
