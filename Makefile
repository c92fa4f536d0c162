# Everything here needs Go, git and make; scripts/test-env.sh sees to the rest.

# Time for each fuzz target, least coverage in per cent, words for the scheduler.
FUZZTIME  ?= 20s
COVER_MIN ?= 85
ARGS      ?= demo

# Rows of the fault suite (all), minutes of a soak and what it draws from (0 is anything).
FAULTS    ?=
MINUTES   ?= 10
SEED      ?= 0

# How often the proof takes services and workers away.
ROUNDS    ?= 1

TOOL        = go tool -modfile=tools/go.mod
WITH_BROKER = scripts/test-env.sh

# Packages with tests that need a broker; packages that are programs.
INTEGRATION = $(shell grep -rl --include='*_test.go' '^//go:build integration' . | sed 's|/[^/]*$$||' | grep -vE '^./(faults|cmd/scheduler/internal/proof)$$' | sort -u)
PROGRAMS    = /(cmd|bench|examples)/

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## compile everything, commands into bin/
	go build ./...
	go build -o bin/ ./cmd/...

.PHONY: test
test: ## vet, unit and integration tests, all with the race detector, the short form of the fault suite, and the proof
	$(WITH_BROKER) $(MAKE) --no-print-directory vet race integration faults-short proof

.PHONY: vet
vet:
	go vet -tags integration ./...

.PHONY: race
race: ## unit tests with the race detector
	go test -race -timeout 5m ./...

.PHONY: integration
integration: ## tests against a real RabbitMQ and Python peers, which it gets by itself
	$(WITH_BROKER) go test -race -tags integration -count 1 -p 1 -parallel 8 -timeout 9m $(INTEGRATION)

.PHONY: systemd
systemd: ## the unit files of deploy/ under a real systemd, in a container of Debian packages
	image=$$(scripts/systemd-image.sh) && GOSLO_SYSTEMD_IMAGE=$$image \
		$(WITH_BROKER) go test -tags integration -count 1 -v -timeout 9m ./deploy

.PHONY: faults
faults: ## real faults under load, as a table (FAULTS="tcp kill" for some rows)
	$(WITH_BROKER) go test -tags integration -count 1 -v -timeout 40m -run '^TestFaults$$' ./faults -args -long -rows '$(FAULTS)'

# With -v, for its table; without the race detector, since it measures time.
.PHONY: faults-short
faults-short: ## some of them, shortened, in a minute (FAULTS="partition" for others)
	$(WITH_BROKER) go test -tags integration -count 1 -v -timeout 5m -run '^TestFaults$$' ./faults -args -rows '$(FAULTS)'

.PHONY: soak
soak: ## random faults for MINUTES, from SEED if that is given
	$(WITH_BROKER) go test -tags integration -count 1 -v -timeout $$(($(MINUTES) + 15))m -run '^TestSoak$$' ./faults \
		-args -minutes $(MINUTES) -seed $(SEED)

# As faults-short. It builds the program.
.PHONY: proof
proof: ## services and workers that come and go under load, as a table, in half a minute (ROUNDS=20 for more)
	$(WITH_BROKER) go test -tags integration -count 1 -v -timeout $$((5 + $(ROUNDS)))m -run '^Test(Nothing|Fanout)' ./cmd/scheduler/internal/proof \
		-args -rounds $(ROUNDS)

.PHONY: cover
cover: ## statement coverage of unit and integration tests together; fails under COVER_MIN
	$(WITH_BROKER) go test -tags integration -count 1 -p 1 -parallel 8 -timeout 9m \
		-covermode atomic -coverpkg ./... -coverprofile coverage.all ./...
	@grep -vE '$(PROGRAMS)' coverage.all >coverage.out
	@go tool cover -func coverage.out | awk -v min=$(COVER_MIN) \
		'/^total:/ { print "coverage: " $$3 " of statements, wanted " min "%"; exit $$3 + 0 < min }'

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## benchmarks side by side, with a real RabbitMQ
	$(WITH_BROKER) go run ./bench $(BENCH_ARGS)

.PHONY: bench-service
bench-service: ## daemons beside Python's oslo.service (Debian: python3-oslo.service), as a table
	go run ./bench/service $(BENCH_ARGS)

.PHONY: lint
lint: ## linters, format, import directions, go.mod
	go mod tidy -diff
	$(TOOL) golangci-lint run --allow-parallel-runners ./...
	@if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .ci/run; else echo "no shellcheck here: scripts not checked"; fi

.PHONY: tidy
tidy: ## bring go.mod and the formatting in order
	go mod tidy
	cd tools && go mod tidy
	$(TOOL) golangci-lint fmt

.PHONY: run demo
run: ## go run ./cmd/scheduler demo (or ARGS="...")
	go run ./cmd/scheduler $(ARGS)

demo: run ## the same

.PHONY: compose-up
compose-up: ## RabbitMQ and two scheduler workers in containers
	CGO_ENABLED=0 GOOS=linux go build -trimpath -o bin/scheduler ./cmd/scheduler
	scripts/compose.sh up --build -d

.PHONY: compose-down
compose-down: ## stop and remove them
	scripts/compose.sh down --volumes --remove-orphans
