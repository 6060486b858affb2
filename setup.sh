#!/usr/bin/env bash
# Installs what is missing on Debian 12/13 or Raspberry Pi OS: system packages through apt where that is allowed, and a
# virtual environment with the project in it. Where apt is not allowed it names the exact command and stops.
#
#   setup.sh PYTHON VENV EXTRA [cluster|units|updates|page]
set -euo pipefail

python=$1 venv=$2 extra=$3 more=${4:-}
cd "$(dirname "$0")"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: $("$python" --version) is too old; install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2
    exit 2
}

missing=()
"$python" -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("zbar"))' || missing+=(libzbar0)
command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing+=(mosquitto)
"$python" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
on_a_pi=false
if [ -e /proc/device-tree/model ] && grep -aq "Raspberry Pi" /proc/device-tree/model; then
    on_a_pi=true
    # The camera stack and the pins' library are the maker's packages: PyPI has no wheels that fit every Python here.
    [ -d /usr/lib/python3/dist-packages/picamera2 ] || missing+=(python3-picamera2)
    [ -e /usr/lib/python3/dist-packages/lgpio.py ] || missing+=(python3-lgpio)
fi
if [ "$extra" = dev ] || [ "$extra" = audit ]; then
    # The phone's page draws its QR codes with it, and wheels carry it (setup.py).
    [ -e /usr/share/javascript/qrcode-generator/qrcode.js ] || missing+=(node-qrcode-generator)
fi
if [ "$extra" = dev ]; then
    command -v shellcheck >/dev/null || missing+=(shellcheck)
    "$python" -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("pangoft2-1.0"))' || missing+=(libpangoft2-1.0-0)
    [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing+=(fonts-dejavu-core)
    compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || missing+=(postgresql)
    command -v ssh-keygen >/dev/null || missing+=(openssh-client)
    command -v rauc >/dev/null || missing+=(rauc)
    command -v mksquashfs >/dev/null || missing+=(squashfs-tools)
    command -v zstd >/dev/null || missing+=(zstd)
    [ -x /usr/sbin/mke2fs ] || [ -x /sbin/mke2fs ] || missing+=(e2fsprogs)
    [ -x /usr/sbin/sfdisk ] || [ -x /sbin/sfdisk ] || missing+=(fdisk)
fi

if [ "$more" = cluster ] && [ ! -d /usr/lib/rabbitmq ]; then missing+=(rabbitmq-server); fi
if [ "$more" = units ]; then
    command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
    command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
fi
if [ "$more" = updates ]; then
    command -v linux.uml >/dev/null || missing+=(user-mode-linux)
    command -v dbus-daemon >/dev/null || missing+=(dbus-daemon)
    command -v mtype >/dev/null || missing+=(mtools)
    [ -x /usr/sbin/mkfs.vfat ] || missing+=(dosfstools)
fi

if [ "$more" = page ]; then
    command -v chromium >/dev/null || missing+=(chromium)
    command -v chromedriver >/dev/null || missing+=(chromium-driver)
    command -v WebKitWebDriver >/dev/null || missing+=(webkit2gtk-driver)
    command -v Xvfb >/dev/null || missing+=(xvfb)
fi

if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ]; then
        as_root=()
    elif sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        echo "setup: missing ${missing[*]}; run: sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
        # The demo has a broker in Python to fall back on; nothing falls back for the rest.
        [ "$extra ${missing[*]}" = "demo mosquitto" ] || exit 2
        missing=()
    fi
fi
if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: installing ${missing[*]} with apt" >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    apt_install() {
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
    }
    if [[ " ${missing[*]} " == *" postgresql "* ]]; then
        # The tests start servers of their own in temporary folders; the package shall not make and start one for good.
        apt_install postgresql-common
        "${as_root[@]}" sed -i 's/^#\?create_main_cluster .*/create_main_cluster = false/' \
            /etc/postgresql-common/createcluster.conf
    fi
    apt_install "${missing[@]}"
    # The packages start brokers of their own; ours are started when they are needed, on ports that nothing else uses.
    for service in mosquitto rabbitmq-server; do
        if [[ " ${missing[*]} " == *" $service "* ]] && [ -d /run/systemd/system ]; then
            "${as_root[@]}" systemctl disable --now --quiet "$service" || true
        fi
    done
fi

if [ ! -x "$venv/bin/python" ]; then
    # On a Pi, picamera2 and libcamera come from the system's packages and are seen through the environment's wall.
    if $on_a_pi; then
        "$python" -m venv --system-site-packages "$venv"
    else
        "$python" -m venv "$venv"
    fi
fi

extras=$extra
if $on_a_pi; then extras="$extra,pi"; fi
if [ "$more" = page ]; then extras="$extras,page"; fi
echo "setup: installing the project with [$extras] into $venv" >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extras]"
