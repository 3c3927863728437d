"""Odd machines, one a row: what differs from a usual one, and the command that runs there.

``$CASE`` is the folder of a row, in ``before``, ``start`` and the values of ``env``. It holds ``home``, ``tmp``,
``cwd`` and the small space ``mini.yaml``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

LAUNCH, VALIDATE, STATUS, RAY, DATA, SPACES = "launch", "validate", "status", "ray", "data", "spaces"
UNSET = None
MINI = """\
study:
  name: mini
  budget: {trials: 1}
  objectives: {accuracy: maximize, params: minimize}
network:
  family: squeezenet
  stem: {width: {choices: [4, 8], default: 4}}
  fire2: {squeeze: 2, expand1x1: 4, expand3x3: 4}
  fire3: {keep: false}
  fire4: {keep: false}
  fire5: {keep: false}
  fire6: {keep: false}
  fire7: {keep: false}
  fire8: {keep: false}
  fire9: {keep: false}
  pool: {after: [stem, fire2]}
encoding: {timesteps: 1}
data: {name: digits, subset: 80, validation: 0.25, test: 20}
train: {epochs: 1, batch: 16, chance_patience: 0}
"""
TMPFS = "mount -t tmpfs -o"
WORDS = {
    LAUNCH: ("launch", "$CASE/mini.yaml", "--executor", "inline", "--device", "cpu"),
    RAY: ("launch", "$CASE/mini.yaml", "--device", "cpu", "--workers", "1"),
    VALIDATE: ("validate", "$CASE/mini.yaml"),
    STATUS: ("status",),
    DATA: ("data", "list"),
    SPACES: ("spaces",),
}


@dataclass(frozen=True)
class Odd:
    """``before`` is a line of bash that runs first. ``start`` runs the command, which is ``"$@"``.

    ``refuses`` is the pattern of the message that the command may end with instead, with exit code 2. ``needs`` are
    programs, ``root``, or ``wheel``: an installation outside a checkout.
    """

    name: str
    command: str = VALIDATE
    env: Mapping[str, str | None] = field(default_factory=dict)
    before: str = ""
    start: str = 'exec "$@"'
    cwd: str = "$CASE/cwd"
    runs: str = "$CASE/cwd/runs"
    refuses: str = ""
    codes: tuple[int, ...] = (0,)
    needs: tuple[str, ...] = ()
    module: bool = False  # run `python -m search` instead of `snnsearch`


def env(command: str, **values: str | None) -> Odd:
    """Return a machine on which variables of the environment are odd."""
    return Odd(" ".join(f"{name}={value}" for name, value in values.items()), command, env=values)


def limit(command: str, options: str, refuses: str = "") -> Odd:
    return Odd(f"ulimit {options}", command, before=f"ulimit {options}", refuses=refuses)


def temporary(name: str, path: str, before: str = "", command: str = VALIDATE) -> Odd:
    """Return a machine whose temporary folder is odd."""
    return Odd(f"temporary folder {name}", command, env={"TMPDIR": path}, before=before)


def runs(name: str, path: str, before: str = "", refuses: str = "", command: str = LAUNCH) -> Odd:
    """Return a machine whose runs folder is odd."""
    return Odd(f"runs folder {name}", command, env={"SNNSEARCH_RUNS": path}, before=before, runs=path, refuses=refuses)


def home(name: str, path: str | None, command: str = LAUNCH, before: str = "") -> Odd:
    """Return a machine whose home is odd; the cache is in it."""
    return Odd(f"home {name}", command, env={"HOME": path, "XDG_CACHE_HOME": UNSET}, before=before)


def cache(name: str, path: str, command: str = LAUNCH, before: str = "") -> Odd:
    return Odd(f"cache {name}", command, env={"XDG_CACHE_HOME": path}, before=before)


def user(
    name: str, number: int, command: str = LAUNCH, refuses: str = "", before: str = "", **values: str | None
) -> Odd:
    """Return a machine on which another user than root runs the command."""
    start = f'exec setpriv --reuid={number} --regid={number} --clear-groups "$@"'
    everything = f"chmod -R a+rwX $CASE; {before}"
    needs = ("root", "setpriv", *(("python of other users",) if command == RAY else ()))
    return Odd(name, command, values, everything, start, refuses=refuses, needs=needs)


def mounted(name: str, mount: str, command: str = LAUNCH, refuses: str = "", **values: str | None) -> Odd:
    """Return a machine with other mounts, in a mount namespace of its own."""
    start = f"""exec unshare -m bash -c '{mount}; exec "$@"' - "$@" """
    return Odd(name, command, values, start=start, refuses=refuses, needs=("root", "unshare"))


def stream(name: str, redirection: str, command: str, refuses: str = "", codes: tuple[int, ...] = (0,)) -> Odd:
    return Odd(name, command, start=f'exec "$@" {redirection}', refuses=refuses, codes=codes)


def ignoring(signal: str, command: str = LAUNCH) -> Odd:
    return Odd(f"SIG{signal} ignored", command, before=f"trap '' {signal}")


def clock(name: str, time: str, command: str = LAUNCH) -> Odd:
    values = {"FAKETIME": time, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return Odd(f"clock {name}", command, values, needs=("faketime",))


def modules(*names: str, command: str = LAUNCH) -> Odd:
    """Return a machine whose current folder has modules that are named like others. They must not be imported."""
    lines = "; ".join(f"echo 'raise SystemExit(77)' > $CASE/cwd/{name}.py" for name in names)
    return Odd(f"current folder with {names[0]}.py", command, before=lines)


def deleted(command: str, *, module: bool = False) -> Odd:
    """Return a machine on which the current folder was deleted."""
    lines, said = "mkdir $CASE/gone; cd $CASE/gone; rmdir $CASE/gone", "current folder was deleted.*cd DIR"
    return Odd(f"current folder deleted, {command}", command, before=lines, refuses=said, module=module)


LOCALES = (
    env(VALIDATE, LANG="C", LC_ALL="C"),
    env(VALIDATE, LANG="POSIX", LC_ALL="POSIX"),
    env(LAUNCH, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
    env(VALIDATE, LC_ALL="tr_TR.UTF-8"),
    env(VALIDATE, LC_ALL="de_DE.UTF-8"),
    env(STATUS, LC_ALL="xx_XX.nothing"),
    env(STATUS, LANG=UNSET, LC_ALL=UNSET),
    env(VALIDATE, PYTHONIOENCODING="ascii"),
    env(VALIDATE, PYTHONIOENCODING="utf-16"),
    env(VALIDATE, PYTHONIOENCODING="latin-1"),
    env(SPACES, PYTHONIOENCODING="cp1252"),
    env(VALIDATE, PYTHONIOENCODING="utf-8:strict", LC_ALL="C"),
    env(DATA, PYTHONUTF8="0"),
)
TERMINALS = (
    env(VALIDATE, NO_COLOR="1"),
    env(VALIDATE, FORCE_COLOR="1"),
    env(VALIDATE, FORCE_COLOR="1", NO_COLOR="1"),
    env(VALIDATE, TERM="dumb"),
    env(VALIDATE, TERM=UNSET),
    env(STATUS, TERM="nonsense"),
    env(VALIDATE, COLUMNS="20"),
    env(LAUNCH, COLUMNS="1"),
    env(VALIDATE, COLUMNS="0"),
    env(VALIDATE, COLUMNS="-1"),
    env(VALIDATE, COLUMNS="wide"),
    env(SPACES, COLUMNS="100000"),
    env(STATUS, LINES="0"),
    env(VALIDATE, CI="1"),
)
TIMES = (
    env(LAUNCH, TZ="Asia/Kathmandu"),
    env(STATUS, TZ="Pacific/Chatham"),
    env(VALIDATE, TZ="Nowhere/Nothing"),
    env(STATUS, TZ=""),
    env(VALIDATE, TZ="UTC+99"),
    env(STATUS, TZ="/etc/passwd"),
    clock("in 1990", "@1990-01-01 00:00:00"),
    clock("in 2050", "@2050-01-01 00:00:00", VALIDATE),
    clock("that is turned back", "@2026-10-25 02:59:59", VALIDATE),
)
LIMITS = (
    limit(VALIDATE, "-n 64"),
    limit(LAUNCH, "-n 64"),
    limit(STATUS, "-n 12"),
    limit(RAY, "-n 1024"),
    limit(STATUS, "-v 1000000"),
    limit(LAUNCH, "-v 500000", refuses="memory"),
    limit(LAUNCH, "-f 0", refuses="File too large.*--runs"),
    limit(LAUNCH, "-f 64", refuses="free space"),
    limit(VALIDATE, "-s 256"),
    limit(VALIDATE, "-s unlimited"),
    limit(STATUS, "-c 0"),
    limit(VALIDATE, "-l 0"),
    limit(STATUS, "-t 600"),
    Odd("nice 19", VALIDATE, start='exec nice -n 19 "$@"', needs=("nice",)),
    Odd("one processor", LAUNCH, start='exec taskset -c 0 "$@"', needs=("taskset",)),
)
FOLDERS = (
    temporary("missing", "$CASE/nowhere", command=LAUNCH),
    temporary("a file", "$CASE/mini.yaml"),
    temporary("with a long path", "$CASE/" + "t" * 100, "mkdir $TMPDIR", LAUNCH),
    temporary("with spaces", "$CASE/a b  c", 'mkdir "$TMPDIR"', LAUNCH),
    temporary("with letters", "$CASE/päth-日本", "mkdir $TMPDIR"),
    temporary("relative", "tmp", "mkdir tmp", LAUNCH),
    temporary("a link", "$CASE/link", "ln -s tmp $CASE/link"),
    temporary("with a line break", "$CASE/a\nb", 'mkdir "$TMPDIR"'),
    temporary("empty", ""),
    temporary("for Ray with spaces", "$CASE/a b", 'mkdir "$TMPDIR"', RAY),
    runs("a link", "$CASE/link", "mkdir $CASE/real; ln -s real $CASE/link"),
    runs("a link to nowhere", "$CASE/link", "ln -s nowhere $CASE/link", "--runs"),
    runs("with spaces", "$CASE/a b  c", command=STATUS),
    runs("with a line break", "$CASE/a\nb"),
    runs("with letters", "$CASE/läufe-日本"),
    runs("with signs of URLs", "$CASE/100%25 ?a=b#c"),
    runs("with quotes", "$CASE/it's \"mine\"", command=STATUS),
    runs("a file", "$CASE/mini.yaml", refuses="--runs"),
    runs("below a file", "$CASE/mini.yaml/runs", refuses="--runs"),
    runs("with a long name", "$CASE/" + "r" * 300, refuses="--runs"),
    runs("with a long path", "$CASE/" + "/".join(["r" * 200] * 5), refuses="504 at most; .*--runs"),
    runs("the current folder", "."),
    runs("not UTF-8", "$CASE/\udcff\udcfe", refuses="not UTF-8.*--runs"),
    home("unset", UNSET),
    home("missing", "$CASE/nowhere/at/all", VALIDATE),
    home("a file", "$CASE/mini.yaml"),
    home("a device", "/dev/null", DATA),
    home("relative", "home", STATUS),
    home("empty", "", DATA),
    cache("missing", "$CASE/a/b/c", VALIDATE),
    cache("relative", "cache"),
    cache("a file", "$CASE/mini.yaml"),
    cache("empty", "", DATA),
    cache("with spaces and letters", "$CASE/a ü"),
    env(DATA, SNNSEARCH_DATA="$CASE/nowhere"),
    env(DATA, SNNSEARCH_DATA="$CASE/mini.yaml"),
    env(STATUS, SNNSEARCH_RUNS=""),
    env(STATUS, SNNSEARCH_STORAGE=""),
    deleted(VALIDATE, module=True),
    deleted(LAUNCH),
    Odd("current folder /, python -m search", STATUS, cwd="/", module=True),
    Odd("current folder /", LAUNCH, env={"SNNSEARCH_RUNS": "$CASE/runs"}, cwd="/", runs="$CASE/runs"),
    modules("random", "torch", "numpy"),
    modules("search", "snnkit", "reports", "yaml", command=VALIDATE),
    modules("sitecustomize", "usercustomize", "logging", command=VALIDATE),
    modules("ray", "optuna", "types", command=RAY),
)  # fmt: skip
USERS = (
    user("user nobody", 65534, VALIDATE),
    user("user without an entry", 54321),
    user("user without a home", 54321, HOME="/nonexistent", XDG_CACHE_HOME=UNSET),
    user("user without an entry, Ray", 54321, RAY, HOME="/nonexistent", XDG_CACHE_HOME=UNSET),
    user("runs folder that is read-only", 54321, refuses="--runs", before="chmod a-w $CASE/cwd"),
    user("temporary folder that is read-only", 54321, VALIDATE, before="chmod a-w $CASE/tmp"),
    user("cache that is read-only", 54321, before="mkdir $CASE/c; chmod 555 $CASE/c", XDG_CACHE_HOME="$CASE/c"),
    user("home that is read-only", 54321, VALIDATE, before="chmod 555 $CASE/home", XDG_CACHE_HOME=UNSET),
    user("space that is not readable", 54321, VALIDATE, "(?s)mini.yaml.*not readable", "chmod 600 $CASE/mini.yaml"),
    user("current folder that is not readable", 54321, VALIDATE, before="chmod 711 $CASE/cwd"),
    user("few processes", 54321, before="ulimit -u 6", refuses="(?i)thread|process|resource"),
)
CONTAINERS = (
    mounted("temporary folder noexec", "mount -t tmpfs -o noexec none $CASE/tmp", XDG_CACHE_HOME="$CASE/tmp"),
    mounted("no /proc", "mount -t tmpfs none /proc"),
    mounted("no /proc, Ray", "mount -t tmpfs none /proc", RAY, refuses="--executor inline"),
    mounted("no /sys", "mount -t tmpfs none /sys", VALIDATE),
    mounted("no /dev/shm", "mount -t tmpfs -o ro none /dev/shm"),
    mounted("small /dev/shm, Ray", "mount -t tmpfs -o size=64m none /dev/shm", RAY),
    mounted("disk that is full", f"{TMPFS} size=64k none $CASE/cwd; cd $CASE/cwd", refuses="(?i)space"),
    mounted("disk that fills", f"{TMPFS} size=320k none $CASE/cwd; cd $CASE/cwd", refuses="(?i)space"),
    mounted("cache that is full", f"{TMPFS} size=16k none $CASE/home", HOME="$CASE/home", XDG_CACHE_HOME=UNSET),
    mounted("temporary folder that is full", f"{TMPFS} size=4k none $CASE/tmp", VALIDATE),
    mounted("no /etc/passwd", "mount --bind /dev/null /etc/passwd", HOME=UNSET),
    mounted("no /etc/hosts", "mount --bind /dev/null /etc/hosts", VALIDATE),
    mounted("no time zones", "mount -t tmpfs none /usr/share/zoneinfo", VALIDATE, TZ="Asia/Tokyo"),
    Odd("no network", VALIDATE, start='exec unshare -n "$@"', needs=("root", "unshare")),
    Odd("no network, Ray", RAY, start='exec unshare -n "$@"', refuses="--executor inline", needs=("root", "unshare")),
    Odd(
        "odd name of the machine", VALIDATE, needs=("root", "unshare"),
        start="""exec unshare -u bash -c 'hostname "x-ü_1" ; exec "$@"' - "$@" """,
    ),
)  # fmt: skip
PROGRAMS = (
    env(LAUNCH, PATH="/nonexistent"),
    env(VALIDATE, PATH=""),
    env(VALIDATE, PATH=UNSET),
    env(LAUNCH, CC="nonexistent-compiler", XDG_CACHE_HOME="$CASE/cc"),
    env(LAUNCH, CC="false", XDG_CACHE_HOME="$CASE/cc"),
    env(LAUNCH, GIT_DIR="/nonexistent", GIT_WORK_TREE="/"),
    Odd("wheel outside a checkout", LAUNCH, needs=("wheel",)),
    Odd("wheel outside a checkout, Ray", RAY, needs=("wheel",)),
    Odd("wheel without write access", VALIDATE, env={"PYTHONDONTWRITEBYTECODE": "1"}, needs=("wheel",)),
)
PYTHON = (
    env(LAUNCH, PYTHONOPTIMIZE="2"),
    env(VALIDATE, PYTHONHASHSEED="0"),
    env(STATUS, PYTHONDONTWRITEBYTECODE="1"),
    env(VALIDATE, PYTHONWARNINGS="error"),
    env(LAUNCH, PYTHONWARNINGS="error"),
    env(VALIDATE, PYTHONSAFEPATH="1"),
    env(VALIDATE, PYTHONDEVMODE="1"),
    env(STATUS, PYTHONPYCACHEPREFIX="/dev/null"),
    env(VALIDATE, PYTHONUNBUFFERED="1"),
    env(STATUS, PYTHONMALLOC="debug"),
    env(VALIDATE, PYTHONNOUSERSITE="1"),
    env(STATUS, PYTHONBREAKPOINT="nothing.at.all"),
)
STREAMS = (
    stream("standard input closed", "<&-", VALIDATE),
    stream("standard output closed", ">&-", VALIDATE),
    stream("standard output closed, launch", ">&-", LAUNCH),
    stream("standard error closed", "2>&-", VALIDATE),
    stream("all streams closed", "<&- >&- 2>&-", LAUNCH),
    stream("standard output full", ">/dev/full", VALIDATE, "cannot write the output"),
    stream("standard output full, launch", ">/dev/full", LAUNCH),
    stream("standard error full", "2>/dev/full", STATUS),
    stream("reader that has left", "> >(exit 0)", VALIDATE, codes=(0, 1)),
    stream("reader that has left, launch", "> >(exit 0)", LAUNCH),
    ignoring("HUP", VALIDATE),
    ignoring("PIPE", VALIDATE),
    ignoring("INT", VALIDATE),
    ignoring("CHLD"),
    ignoring("CHLD", RAY),
)
LIBRARIES = (
    env(VALIDATE, http_proxy="http://127.0.0.1:9", https_proxy="nonsense", all_proxy="socks5://127.0.0.1:9"),
    env(RAY, http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9", all_proxy="http://127.0.0.1:9"),
    env(LAUNCH, OMP_NUM_THREADS="0"),
    env(VALIDATE, OMP_NUM_THREADS="many"),
    env(LAUNCH, OMP_NUM_THREADS="1000"),
    env(VALIDATE, OMP_NUM_THREADS=""),
    env(LAUNCH, OMP_NUM_THREADS=UNSET, OMP_THREAD_LIMIT="1", MKL_NUM_THREADS="many"),
    env(VALIDATE, CUDA_VISIBLE_DEVICES=""),
    env(VALIDATE, CUDA_VISIBLE_DEVICES="-1"),
    env(LAUNCH, CUDA_VISIBLE_DEVICES="nonsense"),
    env(VALIDATE, OPTUNA_STORAGE="nonsense", OPTUNA_STORAGES="x"),
    env(VALIDATE, RAY_ADDRESS="nonsense"),
    env(RAY, RAY_ADDRESS="127.0.0.1:1"),
    Odd("RAY_TMPDIR too long for sockets", RAY, {"RAY_TMPDIR": "$CASE/" + "n" * 99}, refuses="RAY_TMPDIR.*--executor"),
    env(STATUS, RAY_TMPDIR="/nonexistent"),
    env(VALIDATE, HTTP_PROXY="http://[::1"),
    Odd("umask 077", LAUNCH, before="umask 077"),
    Odd("umask 000", VALIDATE, before="umask 000"),
    Odd("umask 777", VALIDATE, before="umask 777"),
    Odd("umask 777, user", LAUNCH, start='umask 777; exec setpriv --reuid=54321 --regid=54321 --clear-groups "$@"',
        before="chmod -R a+rwX $CASE", refuses="--runs", needs=("root", "setpriv")),
)  # fmt: skip
ODD_MACHINES = (
    *LOCALES, *TERMINALS, *TIMES, *LIMITS, *FOLDERS, *USERS, *CONTAINERS, *PROGRAMS, *PYTHON, *STREAMS, *LIBRARIES,
)  # fmt: skip
