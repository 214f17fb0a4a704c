# make test is what CI runs. The rest are its parts, and ways to build.

# TOOL:PACKAGE of what the tests need beside Go. The race detector needs a C
# compiler; the Python seeds need python3, those of steps ps, the tests' own LAN
# needs ip, those of the page a browser, and the unit in the docs is verified.
NEEDS = python3:python3 ps:procps gcc:gcc+libc6-dev git:git ip:iproute2 chromium:chromium systemd-analyze:systemd

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Tests that need more than the product are a module of their own, tests/, so that who
# imports this one does not get it. Seen from there, ALL is every package of both.
ALL = github.com/recap/pumpkin/...
FUZZTIME = 10s
ROUNDS = 10

.PHONY: all test needs format vet lint cross build fuzz faults bench clean
all: build

# The tests come last, so that their own lines end the output.
test: needs format vet lint cross
	go build ./...
	go -C tests test -race -timeout 15m $(ALL)
	PMK_TEST_DURABILITY=memory go test -race -timeout 15m ./internal/node
	PMK_TEST_DURABILITY=disk go test -race -timeout 15m ./internal/node

needs:
	@.ci/need $(NEEDS)

format:
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then \
		echo "not formatted; run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...
	go -C tests vet ./...

# Not a tool of go.mod: whoever imports this module would get its needs, too.
lint:
	cd tests && go run $(STATICCHECK) $(ALL)

# vet compiles the tests as well.
cross:
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go -C tests vet $(ALL)

# One static, stripped file that needs nothing beside it.
build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X github.com/recap/pumpkin/internal/cli.version=$(VERSION)' -o bin/pmk ./cmd/pmk

# Every fuzz test for a while. What they have found so far runs in make test.
fuzz:
	@set -e; for pkg in $$(go list ./...); do \
		for name in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -timeout 10m $$pkg; \
		done; \
	done

# What nodes lose under faults, ROUNDS times as often as in make test.
faults:
	PMK_FAULT_ROUNDS=$(ROUNDS) go -C tests test -v -count 1 -timeout 12h ./faulttest

bench: build
	bin/pmk bench

clean:
	rm -rf bin
