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
SOURCES := pyproject.toml $(shell find kiosk central bench image-build tests -name '*.py')

# Every verb is one.
.PHONY: $(shell grep -oE '^[a-z-]+:' $(firstword $(MAKEFILE_LIST)) | tr -d :)

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { verb[++n] = $$1; says[n] = $$2; if (length($$1) > wide) wide = length($$1) } \
		END { for (i = 1; i <= n; i++) printf "%-*s  %s\n", wide, verb[i], says[i] }' $(MAKEFILE_LIST)

demo: $(VENV)/.ready-demo ## set up, then run the whole system on this machine without hardware
	$(BIN)/kiosk demo --people $(PEOPLE) --seed $(SEED)

shell: $(VENV)/.ready-demo ## a shell in which `kiosk` and `central` are on the path
	@bash --rcfile <(printf '[ ! -r ~/.bashrc ] || . ~/.bashrc\n. %q\n' "$(BIN)/activate") -i

centre: $(VENV)/.ready-centre ## set up what a centre needs beyond a station: printing, PostgreSQL's and RabbitMQ's clients
	@echo "$(BIN)/central is ready; make shell puts it on the path"

# Coverage is judged over both halves: the first leaves what it saw, and a stamp when it was whole and passed.
test: $(VENV)/.ready-test ## set up, then run the tests that are quick and need little: minutes; ARGS="-k outbox" narrows it
	@mkdir -p build && rm -f build/tested
	COVERAGE_FILE=build/.coverage-test $(BIN)/python -m pytest -n 2 -m "not slow" --budget-s 600 $(or $(ARGS),--cov --cov-report= --cov-fail-under=0)
	@$(if $(ARGS),,touch build/tested)

test-all: $(if $(ARGS),,build/tested) $(VENV)/.ready-test-all ## the rest: PostgreSQL, RAUC, types; first `make test` where the code is newer
	$(if $(ARGS),,rm -f build/.coverage-all* && cp build/.coverage-test build/.coverage-all)
	COVERAGE_FILE=build/.coverage-all $(BIN)/python -m pytest -n 2 -m slow --budget-s 1800 $(or $(ARGS),--cov --cov-append --cov-report=term)

build/tested: $(SOURCES)
	$(MAKE) test

test-faults: $(VENV)/.ready-faults ## the whole fault suite, a few minutes, and its table: what was lost, what was doubled
	KIOSK_FAULTS=full $(BIN)/python -m pytest -q -n 2 tests/fault $(ARGS)

test-stolen-card: $(VENV)/.ready-faults ## 3,000 people pass, all is delivered and deleted; then the raw card is searched for them
	$(BIN)/python -m pytest -v -rP --show-capture=stdout tests/fault/test_stolen_card.py $(ARGS)

test-audit: $(VENV)/.ready-test $(VENV)/.ready-audit ## `make sbom` and `make audit` on the real packages, against a stand-in for the advisories
	$(BIN)/python -m pytest -q tests/system/test_audit.py $(ARGS)

test-cluster: $(VENV)/.ready-cluster ## three RabbitMQ nodes on this machine, one killed under load
	KIOSK_CLUSTER=1 $(BIN)/python -m pytest tests/cluster $(ARGS)

test-units: $(VENV)/.ready-units ## boot the services under a real systemd in a container: sandbox, watchdog, restarts; needs root
	KIOSK_UNITS=1 timeout 1500 $(BIN)/python -m pytest -q tests/units $(ARGS)

test-boards: $(VENV)/.ready-boards ## the real libraries of a Pi over chips that are not there: lights, cameras, boot files, an idle board; and test-arm
	KIOSK_BOARDS=1 $(BIN)/python -m pytest -q tests/boards $(ARGS)

test-arm: $(VENV)/.ready-boards ## the card image's own wheels on a Pi's processors under qemu-user: the same answers as here; about five minutes
	KIOSK_BOARDS=1 $(BIN)/python -m pytest -v tests/boards/test_aarch64.py $(ARGS)

test-brokers: $(VENV)/.ready-brokers ## the brokers that people run, real ones: connect, deliver, restart, status, last will; docs/transport.md has the table
	KIOSK_BROKERS=1 timeout 3000 $(BIN)/python -m pytest -q tests/brokers $(ARGS)

test-page: $(VENV)/.ready-page ## the phone's page in Chromium and WebKit: its code is read by the station's decoder and judged
	KIOSK_PAGE=1 timeout 600 $(BIN)/python -m pytest -q tests/page $(ARGS)

test-updates: $(VENV)/.ready-updates ## install, try, keep, leave updates with RAUC under a kernel of its own, the power cut at every step
	KIOSK_UPDATES=1 timeout 1500 $(BIN)/python -m pytest -q -n 2 tests/updates $(ARGS)

check: $(VENV)/.ready-check ## linters, types, layers and scripts only
	$(BIN)/python -m pytest tests/unit/house/test_house.py tests/unit/house/test_layers.py

format: $(VENV)/.ready-check ## format the sources
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: bench-latency bench-outbox bench-seal bench-drain ## latency at the door, cost of a commit, drain to the centre

bench-latency: $(VENV)/.ready-bench ## from a frame to the cue, and what an idle frame costs
	$(BIN)/python -m bench.latency $(ARGS)

bench-idle: $(VENV)/.ready-bench ## what an idle frame costs in each board's size beside the default size; exit code 1 if one costs more
	$(BIN)/python -m bench.idle $(ARGS)

bench-outbox: $(VENV)/.ready-bench ## time, bytes and flushes of a commit beside sqlite3's default
	$(BIN)/python -m bench.outbox $(ARGS)

bench-seal: $(VENV)/.ready-bench ## what sealing an entry costs, classic and post-quantum
	$(BIN)/python -m bench.seal $(ARGS)

bench-drain: $(VENV)/.ready-bench ## 50,000 entries into the ledger beside paho and a bridge, also over a slow way
	$(BIN)/python -m bench.drain $(ARGS)
	$(BIN)/python -m bench.drain --sealed $(ARGS)
	$(BIN)/python -m bench.drain --sealed --entries 5000 --round-trip-ms 100 --rivals kiosk,paho --rounds 1

bench-decode: $(VENV)/.ready-bench ## the reader's promises, 25 minutes; DATA= takes photos, ROWS=hard,kinds some, QUICK=1 a sample; docs/decoding-table.md; then moving hands
	$(BIN)/python -m bench.decode $(if $(DATA),--data "$(DATA)") $(if $(ROWS),--rows $(ROWS)) $(if $(QUICK),--quick) \
		$(if $(filter file,$(origin SEED)),,--seed $(SEED)) --docs docs $(ARGS)
	$(if $(ROWS),,$(BIN)/python -m bench.motion)

bench-motion: $(VENV)/.ready-bench ## how often a moving hand is read, by its speed and the exposure; exit code 1 below the floor
	$(BIN)/python -m bench.motion $(ARGS)

bench-collector: $(VENV)/.ready-bench-collector ## entries a second into SQLite and into PostgreSQL
	$(BIN)/python -m bench.collector $(ARGS)

bench-verify: $(VENV)/.ready-bench ## what judging a signed code costs, each form
	$(BIN)/python -m bench.verify $(ARGS)

fuzz: $(VENV)/.ready-bench $(VENV)/.ready-fuzz ## bombs, a million broken inputs, then atheris, at every parser; FUZZ=20000 GUIDED=1 for a look
	$(BIN)/python -m bench.fuzz --inputs $(FUZZ) --guided $(GUIDED) $(ARGS)

sim-fleet: $(VENV)/.ready-bench ## 10,000 simulated kiosks deliver a morning peak, about 6 minutes; KIOSKS=200 for a look
	$(BIN)/python -m bench.fleet --kiosks $(KIOSKS) --entries $(ENTRIES) $(ARGS)

sbom: $(VENV)/.ready-audit ## what the product is made of: build/sbom.cdx.json, CycloneDX, validated
	./audit.sh "$(PYTHON)" "$(VENV)" sbom

audit: $(VENV)/.ready-audit ## what is known against it; exit code 1 if anything is, 3 if nobody can be asked
	./audit.sh "$(PYTHON)" "$(VENV)" audit

image: $(VENV)/.ready-image ## a card image of BOARD (virt, pi4, pi5, zero2w), as root; ARCHIVES=FILE names other archives, URL= where it will lie
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board $(BOARD) $(if $(ARCHIVES),--archives $(ARCHIVES)) $(if $(URL),--url $(URL)) $(ARGS)

image-twice: $(VENV)/.ready-image ## build the image twice and compare every bit; ARGS=--fresh makes the slow parts twice, too
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board $(BOARD) --twice $(ARGS)

update-keys: $(VENV)/.ready-image ## keys that sign updates, once, into build/keys; every image made from then on trusts them
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --keys

update-bundle: $(VENV)/.ready-image ## a signed update of BOARD from the same root as its image; KEY= and CERT= name other keys
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board $(BOARD) --bundle $(if $(KEY),--key $(KEY)) $(if $(CERT),--cert $(CERT)) \
		$(if $(ARCHIVES),--archives $(ARCHIVES)) $(ARGS)

image-lock: $(VENV)/.ready-image ## newest versions of an image's Python packages, with their hashes
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --lock

test-image: $(VENV)/.ready-image $(VENV)/.ready-test-image ## build the image of BOARD=virt and boot it in QEMU: a table of checks
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board $(BOARD) --raw $(ARGS)
	@rm -f build/image/test_$(BOARD).txt
	KIOSK_IMAGE=1 $(BIN)/python -m pytest tests/image/test_$(BOARD).py; code=$$?; cat build/image/test_$(BOARD).txt; exit $$code

test-image-update: $(VENV)/.ready-image $(VENV)/.ready-test-image ## build BOARD=virt-stable and let it judge, install and order updates in QEMU
	PYTHONPATH=image-build:. $(BIN)/python -m imaging --board virt-stable --raw $(ARGS)
	KIOSK_IMAGE=1 $(BIN)/python -m pytest tests/image/test_update.py; code=$$?; cat build/image/test_update.txt; exit $$code

docs: $(VENV)/.ready-docs ## write what is made from the types: the reference, the pictures, the lists
	$(BIN)/python -m kiosk.service.reference config/kiosk.yaml docs/configuration.md
	$(BIN)/python -m kiosk.service.acceptance docs/acceptance.md
	$(BIN)/python -m kiosk.service.pictures docs/pictures
	$(BIN)/python -m kiosk.service.views docs/aiming.md docs/vi/ngam-camera.md
	$(BIN)/python -m kiosk.demo.picture docs/pictures/demo.svg

words: $(VENV)/.ready-test ## gather what programs say to people into kiosk/language/vi.po; what is new there waits for its Vietnamese
	@mkdir -p build
	$(BIN)/pybabel -q extract -k say --no-location --sort-output --width 1000 -o build/kiosk.pot kiosk
	$(BIN)/pybabel -q update -i build/kiosk.pot -o kiosk/language/vi.po -l vi --no-fuzzy-matching --ignore-obsolete \
		--ignore-pot-creation-date --width 1000

sheets: $(VENV)/.ready-sheets ## print the door's sheet, the technician's and the handbook into build/sheets/ (OFFICE=, CONTACT=, KEEP_DAYS=)
	$(BIN)/python docs/sheets/make.py build/sheets --office "$(OFFICE)" --contact "$(CONTACT)" $(if $(KEEP_DAYS),--keep-days "$(KEEP_DAYS)")

setup: $(VENV)/.ready-test-all ## install what the tests need, and run none
	@echo "$(VENV) has all that make test and make test-all need"

$(VENV)/.ready-%: pyproject.toml setup.sh
	@./setup.sh "$(PYTHON)" "$(VENV)" $*
	@touch $@

# Not every Python has a wheel of atheris; without it the fuzzer says so and does the rest.
$(VENV)/.ready-fuzz: pyproject.toml setup.sh
	@./setup.sh "$(PYTHON)" "$(VENV)" fuzz || echo "make: the fuzzer goes on without atheris" >&2
	@touch $@

clean: ## remove what the other verbs made
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
