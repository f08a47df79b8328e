"""What others get is what was built here, from known parts: audit, bill of materials, signed digests.

- ``audit``: known vulnerabilities of the versions in ``constraints.txt``, by pip-audit. Offline it says so
  and passes. ``WORKBENCH_AUDIT_URL`` names a mirror of the OSV service.
- ``packages FOLDER``: the wheel, the starter, the bill of materials of this environment (``sbom.cdx.json``,
  CycloneDX), and their digests (``SHA256SUMS``), signed with the SSH key of ``WORKBENCH_SIGNING_KEY``.
- ``sign FOLDER``: digests and signature of whatever lies there, such as a release bundle.
- ``verify FOLDER SIGNERS``: whether the files are those that were signed, by somebody in ``SIGNERS`` (the
  allowed signers of ``ssh-keygen``; the identity is ``workbench``).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUMS, SIGNATURE, NAMESPACE, IDENTITY = "SHA256SUMS", "SHA256SUMS.sig", "nemotron-workbench", "workbench"
STARTER = ROOT / "data" / "checkpoint" / "starter.nemo"


def audit(requirements: Path = ROOT / "constraints.txt", service: str | None = None) -> int:
    """Print known vulnerabilities of pinned versions; 1 where there are any, 0 where none can be found.

    Args:
        requirements: a line a package, pinned.
        service: address of a mirror of the OSV service; PyPI's own data by default.
    """
    command = [sys.executable, "-m", "pip_audit", "-r", str(requirements), "--no-deps", "--disable-pip"]
    command += ["--progress-spinner", "off", "-f", "json"]
    command += ["-s", "osv", "--osv-url", service] if service else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        why = (done.stderr.strip().splitlines() or ["no answer"])[-1][:200]
        print(f"workbench: no vulnerability data ({why}); the dependencies are unaudited.", file=sys.stderr)
        return 0
    found = [
        (p["name"], p["version"], v["id"], v.get("fix_versions"))
        for p in packages
        for v in p.get("vulns", ())
    ]
    for name, version, identity, mended in found:
        print(f"{name} {version}: {identity}; mended in {', '.join(mended or ()) or 'no version yet'}")
    print(f"{len(packages)} packages audited, {len(found)} vulnerabilities known")
    return bool(found)


def bill_of_materials(path: Path) -> Path:
    """Write every package of this environment, with version and license, as CycloneDX JSON."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.prefix, "--pyproject"]
    command += [str(ROOT / "pyproject.toml"), "--output-reproducible", "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def wheel(folder: Path) -> None:
    """Build the wheel with the tools of this environment; nothing is fetched."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
    ]
    subprocess.run([*command, str(ROOT)], check=True)


def sign(folder: Path, key: str | None) -> bool:
    """Write the digests of all files of a folder; sign them where there is a key. Whether it was signed."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in (SUMS, SIGNATURE))
    lines = [f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    (folder / SIGNATURE).unlink(missing_ok=True)
    if not key:
        return False
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", NAMESPACE, str(folder / SUMS)]
    subprocess.run(command, check=True, capture_output=True)
    return True


def verify(folder: Path, signers: Path) -> list[str]:
    """What is wrong with a folder; nothing where every file is as it was signed, and none was added."""
    if not (folder / SIGNATURE).is_file() or not (folder / SUMS).is_file():
        return ["it is not signed"]
    command = ["ssh-keygen", "-q", "-Y", "verify", "-f", str(signers), "-I", IDENTITY, "-n", NAMESPACE]
    with (folder / SUMS).open("rb") as sums:
        done = subprocess.run(
            [*command, "-s", str(folder / SIGNATURE)], stdin=sums, capture_output=True, check=False
        )
    if done.returncode:
        return ["the signature is not by one of the signers, or the digests were changed"]
    lines = (line.split("  ", 1) for line in (folder / SUMS).read_text("utf-8").splitlines())
    told = {name: digest for digest, name in lines}
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {SUMS, SIGNATURE}
    faults = [f"{name}: missing" for name in sorted(told.keys() - there)]
    faults += [f"{name}: not signed" for name in sorted(there - told.keys())]
    return faults + [f"{n}: changed" for n in sorted(told.keys() & there) if _digest(folder / n) != told[n]]


def packages(folder: Path, key: str | None) -> None:
    """Wheel, bill of materials and starter in one folder, with digests and signature."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel(folder)
    bill_of_materials(folder / "sbom.cdx.json")
    shutil.copyfile(STARTER, folder / STARTER.name)
    said = "signed" if sign(folder, key) else "not signed: set WORKBENCH_SIGNING_KEY to an SSH key"
    print(f"{folder}: {', '.join(sorted(p.name for p in folder.iterdir()))} ({said})")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def main(arguments: list[str]) -> int:
    """One of the commands above; its exit code."""
    key = os.environ.get("WORKBENCH_SIGNING_KEY")
    match arguments:
        case ["audit"]:
            return audit(service=os.environ.get("WORKBENCH_AUDIT_URL"))
        case ["packages", folder]:
            packages(Path(folder), key)
        case ["sign", folder]:
            print("signed" if sign(Path(folder), key) else "digests written, not signed")
        case ["verify", folder, signers]:
            faults = verify(Path(folder), Path(signers))
            print("\n".join(faults) or "every file is as it was signed")
            return bool(faults)
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
