"""A network namespace with loopback only, and the kernel's own count of attempts to leave it.

Without a route, ``connect`` and ``sendto`` fail with ENETUNREACH before a packet exists, and the kernel adds
one to ``OutNoRoutes`` (IPv4: /proc/net/snmp, IPv6: /proc/net/snmp6) of that namespace, whoever tried.
Names are looked up at an address outside, so that a lookup counts as well.

Chromium asks the system, now and then, whether there would be a way out by IPv6: it connects a UDP socket to
one fixed address and closes it. That sends nothing, yet counts where no route is. So that it cannot hide an
attempt of ours, that one address may be given a way out that ends on this machine, where packets are counted:
``Heard.attempts["packets"]``. Anything sent there is seen; any other address still has no route.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPO = HERE.parents[1]
CHROMIUMS_QUESTION = "2001:4860:4860::8888"
_ENTER = """
ip link set lo up
if [ -n "$OFFLINE_ANSWER" ]; then
  ip link add leaving type veth peer name arriving
  for end in leaving arriving; do ip link set $end addrgenmode none; ip link set $end multicast off up; done
  ip -6 addr add 2001:db8::2/128 dev lo nodad
  ip -6 route add "$OFFLINE_ANSWER/128" dev leaving
  ip -6 neigh add "$OFFLINE_ANSWER" lladdr 02:00:00:00:00:01 dev leaving
fi
printf 'nameserver 192.0.2.53\\noptions timeout:1 attempts:1\\n' > "$1" && mount --bind "$1" /etc/resolv.conf
printf '127.0.0.1 localhost %s\\n::1 localhost\\n' "$(hostname)" > "$2" && mount --bind "$2" /etc/hosts
shift 2
exec "$@"
"""


@dataclass(frozen=True)
class Heard:
    """What happened inside: exit code, output, attempts that the kernel counted, what Python noted."""

    code: int
    output: str
    attempts: dict[str, int]
    notes: list[str]


def missing() -> str | None:
    """Why no namespace can be made here; None where it can."""
    try:
        done = subprocess.run(
            ["unshare", "--net", "--mount", "--", "ip", "link", "set", "lo", "up"],
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as error:
        return f"no {error.filename} here"
    return None if done.returncode == 0 else f"no network namespace here: {done.stderr.strip()[:120]}"


def run(
    command: list[str], scratch: Path, timeout_s: float, *, answer: str = "", **environment: str
) -> Heard:
    """Run a command in a fresh namespace; every attempt to leave it is counted.

    Args:
        scratch: a folder for the notes and the namespace's resolv.conf and hosts.
        answer: an address that gets a way out where packets are counted, see above.
    """
    notes = scratch / "notes.txt"
    notes.unlink(missing_ok=True)
    env = {**os.environ, **environment, "OFFLINE_NOTES": str(notes), "OFFLINE_ANSWER": answer}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE / "watch"), str(REPO), env.get("PYTHONPATH"))))
    inside = [sys.executable, str(HERE / "namespace.py"), *command]
    files = [str(scratch / "resolv.conf"), str(scratch / "hosts")]
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--", "sh", "-ec", _ENTER, "sh", *files, *inside],
        capture_output=True, text=True, env=env, cwd=REPO, timeout=timeout_s,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(lines[-1])
    output = "\n".join(lines[:-1]) + done.stderr
    noted = notes.read_text().splitlines() if notes.exists() else []
    return Heard(told["code"], output, told["attempts"], noted)


def counted() -> dict[str, int]:
    """Attempts to leave the namespace of this process, since it was made: sends and connects without a route,
    and packets that took the way out where there is one."""
    heads, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()[:2])
    v6 = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    found = dict(zip(heads, values, strict=True))
    counts = {"ipv4": int(found["OutNoRoutes"]), "ipv6": int(v6["Ip6OutNoRoutes"])}
    devices = Path("/proc/net/dev").read_text().splitlines()[2:]
    packets = {line.split(":")[0].strip(): int(line.split(":")[1].split()[9]) for line in devices}
    return counts | ({"packets": packets["leaving"]} if "leaving" in packets else {})


def _inside() -> None:
    before = counted()
    code = subprocess.run(sys.argv[1:]).returncode
    after = counted()
    attempts = {name: after[name] - before[name] for name in after}
    sys.stdout.write("\n" + json.dumps({"code": code, "attempts": attempts}) + "\n")


if __name__ == "__main__":
    _inside()
