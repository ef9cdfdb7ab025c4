"""What is served: sets of files in one directory, each with its PULP_MANIFEST, and lists of what clients ask for."""
import hashlib
import os
import random

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
BLOCK = 4 * MiB


class Set:
    """DIRECTORY/NAME with files of the given sizes. The bytes are random, differ from file to file, and are the same in every run."""

    def __init__(self, directory, name, sizes):
        self.name = name
        self.directory = directory / name
        self.files = []  # (relative path, size, sha256)
        rng = random.Random(name)
        block = rng.randbytes(BLOCK)
        self.directory.mkdir()
        for i, size in enumerate(sizes):
            path = f"{i % 97:02d}/file-{i}.bin" if len(sizes) > 1 else "file.bin"
            full = self.directory / path
            full.parent.mkdir(exist_ok=True)
            digest = hashlib.sha256()
            with open(full, "wb") as f:
                mark, left = b"%s %d " % (name.encode(), i), size
                at = rng.randrange(BLOCK - 256 * KiB) if size <= 256 * KiB else 0
                while left > 0:
                    piece = (mark + block[at:])[:left]
                    mark = b"%d " % left
                    digest.update(piece)
                    f.write(piece)
                    left -= len(piece)
            self.files.append((path, size, digest.hexdigest()))
        with open(self.directory / "PULP_MANIFEST", "w") as f:
            for path, size, digest in self.files:
                f.write(f"{path},{digest},{size}\n")

    @property
    def bytes(self):
        return sum(size for _, size, _ in self.files)

    def path(self, i=0):
        return self.directory / self.files[i][0]

    def forget(self):
        """Writes it out, so that the writing does not go on beside what is measured."""
        os.sync()


def small_sizes(n, seed=1):
    """4 to 64 KiB, evenly."""
    rng = random.Random(seed)
    return [rng.randrange(4 * KiB, 64 * KiB + 1) for _ in range(n)]


class Files:
    """Sets by name, made when they are first asked for."""

    SETS = {
        "one4k": lambda o: [4 * KiB],
        "many": lambda o: small_sizes(o.many),
        "one64m": lambda o: [64 * MiB],
        "one256m": lambda o: [256 * MiB],
        "one1g": lambda o: [o.big],
    }

    def __init__(self, directory, options):
        self.directory = directory
        self.options = options
        self.made = {}
        directory.mkdir()

    def get(self, name):
        if name not in self.made:
            self.made[name] = Set(self.directory, name, self.SETS[name](self.options))
            os.sync()
        return self.made[name]
