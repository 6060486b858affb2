# The verbs of this house; `make` alone prints them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PEOPLE ?= 20
SEED ?= 1
KIOSKS ?= 10000
ENTRIES ?= 20
BOARD ?= virt
FUZZ ?= 1000000
GUIDED ?= 20
OFFICE ?= (tên cơ quan)
CONTACT ?= (điện thoại, thư điện tử)

# Every verb is one.
.PHONY: $(shell grep -oE '^[a-z-]+:' $(firstword $(MAKEFILE_LIST)) | tr -d :)

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.ready-demo ## set up, then run the whole system on this machine without hardware
	$(BIN)/kiosk demo --people $(PEOPLE) --seed $(SEED)

test: $(VENV)/.ready-dev ## set up, then run every test, linter and type check
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term $(ARGS)

test-faults: $(VENV)/.ready-dev ## the whole fault suite, a few minutes, and its table: what was lost, what was doubled
	KIOSK_FAULTS=full $(BIN)/python -m pytest -q -n 2 tests/fault $(ARGS)

test-stolen-card: $(VENV)/.ready-dev ## 3,000 people pass, all is delivered and deleted; then the raw card is searched for them
	$(BIN)/python -m pytest -v -rP --show-capture=stdout tests/fault/test_stolen_card.py $(ARGS)

test-audit: $(VENV)/.ready-dev $(VENV)/.ready-audit ## `make sbom` and `make audit` on the real packages, against a stand-in for the advisories
	$(BIN)/python -m pytest -q tests/system/test_audit.py $(ARGS)

test-cluster: $(VENV)/.ready-dev ## three RabbitMQ nodes on this machine, one killed under load
	./setup.sh "$(PYTHON)" "$(VENV)" dev cluster
	KIOSK_CLUSTER=1 $(BIN)/python -m pytest tests/cluster $(ARGS)

test-units: $(VENV)/.ready-dev ## boot the services under a real systemd in a container: sandbox, watchdog, restarts; needs root
	./setup.sh "$(PYTHON)" "$(VENV)" dev units
	KIOSK_UNITS=1 timeout 1500 $(BIN)/python -m pytest -q tests/units $(ARGS)

test-page: $(VENV)/.ready-dev ## the phone's page in Chromium and WebKit: its code is read by the station's decoder and judged
	./setup.sh "$(PYTHON)" "$(VENV)" dev page
	KIOSK_PAGE=1 timeout 600 $(BIN)/python -m pytest -q tests/page $(ARGS)

test-updates: $(VENV)/.ready-dev ## install, try, keep, leave updates with RAUC under a kernel of its own, the power cut at every step
	./setup.sh "$(PYTHON)" "$(VENV)" dev updates
	KIOSK_UPDATES=1 timeout 1500 $(BIN)/python -m pytest -q -n 2 tests/updates $(ARGS)

check: $(VENV)/.ready-dev ## linters, types, layers and scripts only
	$(BIN)/python -m pytest tests/unit/house/test_house.py

format: $(VENV)/.ready-dev ## format the sources
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: bench-latency bench-outbox bench-seal bench-drain ## latency at the door, cost of a commit, drain to the centre

bench-latency: $(VENV)/.ready-dev ## from a frame to the cue, and what an idle frame costs
	$(BIN)/python -m bench.latency $(ARGS)

bench-outbox: $(VENV)/.ready-dev ## time, bytes and flushes of a commit beside sqlite3's default
	$(BIN)/python -m bench.outbox $(ARGS)

bench-seal: $(VENV)/.ready-dev ## what sealing an entry costs, classic and post-quantum
	$(BIN)/python -m bench.seal $(ARGS)

bench-drain: $(VENV)/.ready-dev ## 50,000 entries into the ledger beside paho and a bridge, also over a slow way
	$(BIN)/python -m bench.drain $(ARGS)
	$(BIN)/python -m bench.drain --sealed $(ARGS)
	$(BIN)/python -m bench.drain --sealed --entries 5000 --round-trip-ms 100 --rivals kiosk,paho --rounds 1

bench-decode: $(VENV)/.ready-dev ## every reader on the pictures in DATA: rates, costs, docs/decoding-table.md and its plot
	$(BIN)/python -m bench.decode --data $(DATA) --docs docs

bench-collector: $(VENV)/.ready-dev ## entries a second into SQLite and into PostgreSQL
	$(BIN)/python -m bench.collector $(ARGS)

bench-verify: $(VENV)/.ready-dev ## what judging a signed code costs, each form
	$(BIN)/python -m bench.verify $(ARGS)

fuzz: $(VENV)/.ready-dev $(VENV)/.ready-fuzz ## hostile input at every parser: bombs, a million broken inputs, then atheris; FUZZ=20000 GUIDED=1 for a look
	$(BIN)/python -m bench.fuzz --inputs $(FUZZ) --guided $(GUIDED) $(ARGS)

sim-fleet: $(VENV)/.ready-dev ## 10,000 simulated kiosks deliver a morning peak, about 6 minutes; KIOSKS=200 for a look
	$(BIN)/python -m bench.fleet --kiosks $(KIOSKS) --entries $(ENTRIES) $(ARGS)

sbom: $(VENV)/.ready-audit ## what the product is made of: build/sbom.cdx.json, CycloneDX, validated
	./audit.sh "$(PYTHON)" "$(VENV)" sbom

audit: $(VENV)/.ready-audit ## what is known against it; exit code 1 if anything is, 3 if nobody can be asked
	./audit.sh "$(PYTHON)" "$(VENV)" audit

image: $(VENV)/.ready-dev ## a card image of BOARD (virt, pi4, pi5, zero2w), as root; ARCHIVES=FILE names other archives, URL= where it will lie
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board $(BOARD) $(if $(ARCHIVES),--archives $(ARCHIVES)) $(if $(URL),--url $(URL)) $(ARGS)

image-twice: $(VENV)/.ready-dev ## build the image twice and compare every bit; ARGS=--fresh makes the slow parts twice, too
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board $(BOARD) --twice $(ARGS)

update-keys: $(VENV)/.ready-dev ## keys that sign updates, once, into build/keys; every image made from then on trusts them
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --keys

update-bundle: $(VENV)/.ready-dev ## a signed update of BOARD from the same root as its image; KEY= and CERT= name other keys
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board $(BOARD) --bundle $(if $(KEY),--key $(KEY)) $(if $(CERT),--cert $(CERT)) \
		$(if $(ARCHIVES),--archives $(ARCHIVES)) $(ARGS)

image-lock: $(VENV)/.ready-dev ## newest versions of an image's Python packages, with their hashes
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --lock

test-image: $(VENV)/.ready-dev ## build the image of BOARD=virt and boot it in QEMU: a table of checks
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board $(BOARD) --raw $(ARGS)
	@rm -f build/image/test_$(BOARD).txt
	KIOSK_IMAGE=1 $(BIN)/python -m pytest tests/image/test_$(BOARD).py; code=$$?; cat build/image/test_$(BOARD).txt; exit $$code

test-image-update: $(VENV)/.ready-dev ## build the image of BOARD=virt-stable and let it judge, install and order updates in QEMU
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board virt-stable --raw $(ARGS)
	KIOSK_IMAGE=1 $(BIN)/python -m pytest tests/image/test_update.py; code=$$?; cat build/image/test_update.txt; exit $$code

docs: $(VENV)/.ready-dev ## write what is made from the types: the reference, the pictures, the lists
	$(BIN)/python -m kiosk.service.reference config/kiosk.yaml docs/configuration.md
	$(BIN)/python -m kiosk.service.acceptance docs/acceptance.md
	$(BIN)/python -m kiosk.service.pictures docs/pictures
	$(BIN)/python -m kiosk.demo.picture docs/pictures/demo.svg

words: $(VENV)/.ready-dev ## gather what programs say to people into kiosk/language/vi.po; what is new there waits for its Vietnamese
	@mkdir -p build
	$(BIN)/pybabel -q extract -k say --no-location --sort-output --width 1000 -o build/kiosk.pot kiosk
	$(BIN)/pybabel -q update -i build/kiosk.pot -o kiosk/language/vi.po -l vi --no-fuzzy-matching --ignore-obsolete \
		--ignore-pot-creation-date --width 1000

sheets: $(VENV)/.ready-dev ## print the door's sheet, the technician's and the handbook into build/sheets/ (OFFICE=, CONTACT=, KEEP_DAYS=)
	$(BIN)/python docs/sheets/make.py build/sheets --office "$(OFFICE)" --contact "$(CONTACT)" $(if $(KEEP_DAYS),--keep-days "$(KEEP_DAYS)")

setup: $(VENV)/.ready-dev ## install what is missing

$(VENV)/.ready-demo: pyproject.toml setup.sh
	./setup.sh "$(PYTHON)" "$(VENV)" demo
	@touch $@

$(VENV)/.ready-audit: pyproject.toml setup.sh
	./setup.sh "$(PYTHON)" "$(VENV)" audit
	@touch $@

$(VENV)/.ready-dev: pyproject.toml setup.sh
	./setup.sh "$(PYTHON)" "$(VENV)" dev
	@touch $@

# Not every Python has a wheel of atheris; without it the fuzzer says so and does the rest.
$(VENV)/.ready-fuzz: pyproject.toml setup.sh
	./setup.sh "$(PYTHON)" "$(VENV)" fuzz || echo "make: atheris could not be installed" >&2
	@touch $@

clean: ## remove what the other verbs made
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
