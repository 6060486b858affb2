#!/usr/bin/env bash
# Installs what a part of the project needs on Debian 12 or 13 or Raspberry Pi OS: system packages through apt where that
# is allowed, and a virtual environment with the project in it. What apt and pip say goes into build/setup.log; people get
# a line a step, and where it cannot go on a sentence with the remedy.
#
#   setup.sh PYTHON VENV PART        exit code 0: it is all there; 2: it is not, and the last line says what to do
set -euo pipefail
cd "$(dirname "$0")"
log=build/setup.log

# PART | extra of pyproject.toml | packages of Debian. A virtual environment comes with each.
test='libzbar0 mosquitto fonts-dejavu-core shellcheck openssh-client e2fsprogs node-qrcode-generator'
parts="
demo     | demo     | libzbar0 mosquitto
centre   | centre   | fonts-dejavu-core node-qrcode-generator
docs     |          | libzbar0
sheets   | sheets   | libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core
test     | test     | $test
test-all | test-all | $test libpangoft2-1.0-0 libharfbuzz-subset0 postgresql rauc squashfs-tools zstd fdisk
check    | test-all | libzbar0 shellcheck
bench    | bench    | libzbar0 mosquitto
bench-collector | bench | libzbar0 postgresql
fuzz     | fuzz     | libzbar0
audit    | audit    | node-qrcode-generator
image    | image    |
faults   | test     | libzbar0 mosquitto e2fsprogs
test-image | test   | libzbar0 mosquitto openssh-client
cluster  | test     | libzbar0 mosquitto rabbitmq-server
units    | test     | libzbar0 mosquitto mmdebstrap systemd-container
boards   | boards   | libzbar0 gcc libc6-dev libcap-dev python3-dev dosfstools mtools mmdebstrap qemu-user-static
brokers  | brokers  | libzbar0 mosquitto rabbitmq-server mmdebstrap nodejs npm
updates  | test     | libzbar0 mosquitto rauc squashfs-tools user-mode-linux dbus-daemon mtools dosfstools e2fsprogs fdisk
page     | page     | libzbar0 mosquitto fonts-dejavu-core node-qrcode-generator chromium chromium-driver webkit2gtk-driver xvfb
"
# Package | how one sees that it is there: by a command, a shared library or a file.
packages='
libzbar0          | library zbar
mosquitto         | command mosquitto
shellcheck        | command shellcheck
libpangoft2-1.0-0 | library pangoft2-1.0
libharfbuzz-subset0 | library harfbuzz-subset
fonts-dejavu-core | file /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
postgresql        | file /usr/lib/postgresql/*/bin/postgres
openssh-client    | command ssh-keygen
rauc              | command rauc
squashfs-tools    | command mksquashfs
zstd              | command zstd
e2fsprogs         | command mke2fs
fdisk             | command sfdisk
rabbitmq-server   | file /usr/lib/rabbitmq
mmdebstrap        | command mmdebstrap
nodejs            | command node
npm               | command npm
qemu-user-static  | file /usr/bin/qemu-aarch64*
systemd-container | command systemd-nspawn
user-mode-linux   | command linux.uml
dbus-daemon       | command dbus-daemon
mtools            | command mtype
dosfstools        | command mkfs.vfat
chromium          | command chromium
chromium-driver   | command chromedriver
webkit2gtk-driver | command WebKitWebDriver
xvfb              | command Xvfb
node-qrcode-generator | file /usr/share/javascript/qrcode-generator/qrcode.js
gcc               | command gcc
libc6-dev         | file /usr/include/stdio.h
libcap-dev        | file /usr/include/sys/capability.h
python3-dev       | file /usr/include/python3*/Python.h
python3-picamera2 | file /usr/lib/python3/dist-packages/picamera2
python3-lgpio     | file /usr/lib/python3/dist-packages/lgpio.py
'

say() { echo "setup: $*" >&2; }

fail() {
    say "$*"
    exit 2
}

# The end of a step that others took: what to do, and where their own words are.
give_up() { fail "$2 and run it again; what $1 said is in $log"; }

# The columns behind a name in one of the tables; nothing where there is no such name.
row() { awk -F '|' -v name="$2" '{ gsub(/^ +| +$/, "", $1) } $1 == name { print $2 "|" $3; found = 1 } END { exit !found }' <<<"$1"; }

is_there() {
    local how what
    read -r how what <<<"$(row "$packages" "$1" | tr -d '|')"
    case $how in
    command) PATH=$PATH:/usr/sbin:/sbin command -v "$what" >/dev/null ;;
    library) "$python" -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library(sys.argv[1]))' "$what" ;;
    file) compgen -G "$what" >/dev/null ;;
    *) fail "the table of packages has no row for $1: add one to setup.sh" ;;
    esac
}

# Runs a command whose words go to the log. A terminal sees the newest of them on one line that moves.
logged() {
    local what=$1 width status=0
    shift
    step_from=$(($(wc -c <"$log") + 1))
    echo "== $*" >>"$log"
    if [ -t 2 ]; then
        width=$(stty size <&2 2>/dev/null | cut -d ' ' -f 2) && [ "${width:-0}" -gt 40 ] || width=80
        "$@" </dev/null 2>&1 | while IFS= read -r line; do
            printf '%s\n' "$line" >>"$log"
            line="setup: $what: ${line//[^[:print:]]/ }"
            printf '\r%s\033[K' "${line:0:width-1}" >&2
        done || status=1
        printf '\r\033[K' >&2
    else
        "$@" </dev/null >>"$log" 2>&1 || status=1
    fi
    return "$status"
}

# What the last logged command said: the lines with one of these words, the newest last.
said() { tail -c "+$step_from" "$log" | grep -E "$1"; }

apt_get() { logged apt "${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"; }

apt_install() {
    apt_get install -y --no-install-recommends "$@" && return
    local unknown='Unable to locate package|no installation candidate'
    local away='Temporary failure resolving|Could not (resolve|connect)|Unable to connect|Connection (failed|timed out|refused)'
    if said "$away|Network is unreachable|No route to host" >/dev/null; then
        give_up apt "apt cannot reach its archives to install $*: connect this machine to a network"
    elif said "$unknown" >/dev/null; then
        unknown=$(said "$unknown" | grep -oE "[Pp]ackage '?[a-z0-9.+-]+" | sed "s/.*[ ']//" | sort -u | tr '\n' ' ')
        give_up apt "apt knows no package ${unknown% }: look at apt's sources, or connect this machine to a network,"
    elif said 'Could not get lock' >/dev/null; then
        give_up apt "another apt has been at work for five minutes: let it end"
    fi
    give_up apt "apt could not install $* ($(said '^E:|^dpkg: error' | tail -n 1)): mend that"
}

install_packages() {
    local seconds=$SECONDS
    command -v apt-get >/dev/null ||
        fail "missing $*, and this machine has no apt: install what Debian calls so by hand, or use Debian 12 or 13"
    if [ "$(id -u)" = 0 ]; then
        as_root=()
    elif sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    elif [ "$part $*" = "demo mosquitto" ]; then
        say "mosquitto is not installed; the demo goes on with a broker in Python in its place (the real one:" \
            "sudo apt-get install -y --no-install-recommends mosquitto)"
        return
    else
        fail "missing $*, and only root may install: run sudo apt-get install -y --no-install-recommends $*, then this again"
    fi
    say "installing $* with apt"
    apt_get update || true # one archive of many may be out of reach; what is really missing shows when it is installed
    if [[ " $* " == *" postgresql "* ]]; then
        # The tests start servers of their own in temporary folders; the package shall not make and start one for good.
        apt_install postgresql-common
        "${as_root[@]}" sed -i 's/^#\?create_main_cluster .*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    fi
    apt_install "$@"
    # The packages start brokers of their own; ours are started when they are needed, on ports that nothing else uses.
    for service in mosquitto rabbitmq-server; do
        if [[ " $* " == *" $service "* ]] && [ -d /run/systemd/system ]; then
            "${as_root[@]}" systemctl disable --now --quiet "$service" >>"$log" 2>&1 || true
        fi
    done
    say "apt is done after $((SECONDS - seconds)) s"
}

has_environment() { "$venv/bin/python" -c 'import pip' >>"$log" 2>&1; }

make_environment() {
    local options=()
    if [ -e "$venv/pyvenv.cfg" ]; then
        say "$venv does not work (half made, or its Python is gone): making it anew"
        options+=(--clear)
    elif [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
        fail "$venv is there and is no virtual environment of Python's: name another folder, as in make VENV=.venv2"
    fi
    # On a Pi, picamera2 and libcamera come from the system's packages and are seen through the environment's wall.
    if $on_a_pi; then options+=(--system-site-packages); fi
    logged venv "$python" -m venv "${options[@]}" "$venv" ||
        give_up "$python" "$python could not make $venv ($(said . | tail -n 1)): mend that"
}

pip_install() {
    local seconds=$SECONDS
    say "installing the project${extra:+ with [$extra]} into $venv with pip"
    local options=(--disable-pip-version-check --no-input --progress-bar off --retries 3)
    if logged pip "$venv/bin/python" -m pip install "${options[@]}" -e ".${extra:+[$extra]}"; then
        say "pip is done after $((SECONDS - seconds)) s"
        return
    fi
    local missing='No matching distribution found for ' away='NewConnectionError|NameResolutionError|ConnectTimeoutError'
    if said 'CERTIFICATE_VERIFY_FAILED' >/dev/null; then
        give_up pip "pip does not trust the package index's certificate: name the file of its authority with PIP_CERT"
    elif said "$away|ReadTimeoutError|ProxyError|ProtocolError|Max retries exceeded" >/dev/null; then
        give_up pip "pip cannot reach the package index: connect this machine to a network, or name a mirror with PIP_INDEX_URL,"
    elif said 'No space left on device' >/dev/null; then
        give_up pip "the disk is full: make room (the project needs about 1 GB)"
    elif said "$missing" >/dev/null; then
        missing=$(said "$missing" | tail -n 1 | sed "s/.*$missing//")
        give_up pip "pip found no $missing for $("$venv/bin/python" --version): name another Python, as in make PYTHON=python3.13 VENV=.venv2,"
    fi
    give_up pip "pip failed ($(said '^ *(ERROR|error):' | tail -n 1 | sed 's/^ *//')): mend that"
}

names=$(awk -F '|' 'NF { gsub(/ /, "", $1); printf "%s%s", sep, $1; sep = ", " }' <<<"$parts")
[ $# = 3 ] ||
    fail "say which Python, which folder and which part, as in ./setup.sh python3 .venv demo, or type make demo; parts: $names"
python=$1 venv=$2 part=$3
row "$parts" "$part" >/dev/null || fail "there is no part $part; parts: $names"
IFS='|' read -r extra needed <<<"$(row "$parts" "$part")"
extra=${extra// /}

command -v "$python" >/dev/null || fail "there is no $python here: name Python 3.11 or newer, as in make PYTHON=python3"
version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) ||
    fail "$python does not start: name Python 3.11 or newer, as in make PYTHON=python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is Python $version, which is too old: name Python 3.11 or newer, as in make PYTHON=python3.12"
mkdir -p build "$venv" 2>/dev/null || true
for place in build "$venv" "$log"; do
    if [ -e "$place" ] && [ -w "$place" ]; then continue; fi
    if [ "$place" = "$log" ] && [ ! -e "$log" ]; then continue; fi
    owner=$(stat -c %U "$place" 2>/dev/null || stat -c %U .)
    fail "$(id -un) may not write to $place, which belongs to $owner: run it as $owner, or work in a copy of your own"
done
echo "== setup.sh $* as $(id -un) on $(date -u +%FT%TZ)" >>"$log"

on_a_pi=false
if [ -e /proc/device-tree/model ] && grep -aq "Raspberry Pi" /proc/device-tree/model; then
    on_a_pi=true
    # The camera stack and the pins' library are the maker's packages: PyPI has no wheels that fit every Python here.
    if [[ " $needed " == *" libzbar0 "* ]]; then needed+=" python3-picamera2 python3-lgpio"; fi
    extra=${extra:+$extra,}pi
fi
missing=()
for package in $needed; do
    is_there "$package" || missing+=("$package")
done
if ! has_environment && ! "$python" -c 'import ensurepip' 2>/dev/null; then
    # Debian's own Python has it in python3-venv; another one beside it in a package of its own.
    case ${python##*/} in
    python3.*) missing+=("${python##*/}-venv") ;;
    *) missing+=(python3-venv) ;;
    esac
fi
if [ ${#missing[@]} -gt 0 ]; then install_packages "${missing[@]}"; fi
has_environment || make_environment
pip_install
