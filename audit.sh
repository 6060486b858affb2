#!/usr/bin/env bash
# What the product is made of, and what is known against it. Both look at a fresh environment with the product alone, because
# the developers' own has tools in it that no station gets.
#
#   audit.sh PYTHON VENV sbom     writes build/sbom.cdx.json: CycloneDX, validated
#   audit.sh PYTHON VENV audit    exit code 0: nothing is known; 1: something is; 2: no such product; 3: nobody could be asked
#
# OSV_URL names a mirror of the OSV service for machines that do not see the world, and PRODUCT an environment that is there
# already, to be looked at as it is.
set -euo pipefail

python=$1 venv=$2 verb=$3
cd "$(dirname "$0")"
product=${PRODUCT:-build/product}
osv=${OSV_URL:-https://api.osv.dev/v1/query}

mkdir -p build
if [ -z "${PRODUCT:-}" ]; then
    "$python" -m venv --clear --without-pip "$product"
    "$venv/bin/python" -m pip --python "$product/bin/python" install --disable-pip-version-check ".[centre]" \
        >build/product.log 2>&1 || {
        echo "$verb: pip could not install the product into $product; what it said is in build/product.log" >&2
        exit 2
    }
fi

case $verb in
sbom)
    "$venv/bin/cyclonedx-py" environment "$product" --pyproject pyproject.toml --mc-type firmware \
        --output-reproducible --of JSON --validate -o build/sbom.cdx.json
    "$python" - build/sbom.cdx.json <<'END'
import json, sys
bom = json.load(open(sys.argv[1]))
print(f"{sys.argv[1]}: CycloneDX {bom['specVersion']}, {len(bom['components'])} components, valid")
END
    ;;
audit)
    "$venv/bin/python" -m pip --python "$product/bin/python" freeze --exclude door-station-kiosk >build/product.txt
    for service in pypi osv; do
        rm -f build/audit.json
        # --strict: a package that could not be looked up is a failure, not a clean bill.
        timeout 300 "$venv/bin/pip-audit" --strict --disable-pip --no-deps --requirement build/product.txt --timeout 15 \
            --progress-spinner off --vulnerability-service "$service" --osv-url "$osv" --format json --output build/audit.json \
            2>build/audit.log && found=0 || found=$?
        if [ -s build/audit.json ]; then
            "$python" - build/audit.json <<'END'
import json, sys
packages = json.load(open(sys.argv[1]))["dependencies"]
for package in packages:
    for each in package["vulns"]:
        mended = ", ".join(each["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {each['id']}, mended in {mended}")
print(f"audit packages={len(packages)} known={sum(len(package['vulns']) for package in packages)}")
END
            exit "$found"
        fi
    done
    echo "audit: nobody could be asked (PyPI's advisories: pypi.org, OSV: $osv): $(tail -n 1 build/audit.log)" >&2
    echo "audit: this says nothing about the packages; run it where one of the two can be reached, or carry build/product.txt" \
        "there and run: pip-audit --strict --disable-pip --no-deps -r product.txt" >&2
    exit 3
    ;;
*)
    echo "audit.sh: $verb is neither sbom nor audit" >&2
    exit 2
    ;;
esac
